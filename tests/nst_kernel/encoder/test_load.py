import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from nst_kernel import LAYERS, LayerMissing, Vgg19, WeightsError, load_weights
from nst_kernel.encoder import embedded_outline
from nst_kernel.encoder.load import parse_weights
from tests.support import REPOSITORY, SHARED, pixels, random_weights

CONVOLUTIONS = random_weights(0, "conv2_2").convolutions
TORCHVISION = {"conv1_1": "0", "conv1_2": "2", "conv2_1": "5", "conv2_2": "7"}

State = dict[str, Any]


def named(key: Callable[[str], str]) -> State:
    return {
        f"{key(layer)}.{part}": tensor
        for layer, pair in CONVOLUTIONS.items()
        for part, tensor in zip(("weight", "bias"), pair, strict=True)
    }


def gatys() -> State:
    return named(lambda layer: layer)


def torchvision() -> State:
    return named(lambda layer: f"features.{TORCHVISION[layer]}")


def pth(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def legacy_pth(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


CLASSIFIER = {"classifier.0.weight": torch.ones(8, 4), "classifier.0.bias": torch.ones(8)}


@pytest.mark.parametrize("container", [pth, legacy_pth, safetensors_bytes])
@pytest.mark.parametrize(
    ("state", "convention"),
    [
        pytest.param({**torchvision(), **CLASSIFIER}, "rgb", id="all of torchvision's"),
        pytest.param(torchvision(), "rgb", id="features.N"),
        pytest.param(named(TORCHVISION.__getitem__), "rgb", id="N"),
        pytest.param(gatys(), "bgr255", id="Gatys"),
    ],
)
def test_layouts(tmp_path: Path, container: Callable[[State], bytes], state: State, convention: str) -> None:
    file = tmp_path / "some.weights"
    file.write_bytes(container(state))
    weights = load_weights(file, sha256=hashlib.sha256(file.read_bytes()).hexdigest().upper())
    assert (weights.name, weights.input, weights.border) == ("some.weights", convention, "zero")
    assert weights.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert list(weights.convolutions) == list(CONVOLUTIONS)
    for layer, (weight, bias) in CONVOLUTIONS.items():
        assert torch.equal(weights.convolutions[layer][0], weight)
        assert torch.equal(weights.convolutions[layer][1], bias)


def test_a_header_says_how_filters_want_their_input() -> None:
    data = safetensors_bytes(gatys(), metadata={"input": "rgb", "border": "replicate"})
    weights = parse_weights(data, name="w")
    assert (weights.input, weights.border) == ("rgb", "replicate")


def test_eight_bits_with_a_scale_per_filter() -> None:
    scale = torch.linspace(0.01, 0.02, 64)
    eight_bits = torch.arange(64 * 27).remainder(255).sub(127).to(torch.int8).view(64, 3, 3, 3)
    bias = torch.linspace(-1, 1, 64)
    data = safetensors_bytes(
        {"conv1_1.weight": eight_bits, "conv1_1.scale": scale, "conv1_1.bias": bias.half()}, {"input": "rgb"}
    )
    weight, found_bias = parse_weights(data, name="w").convolutions["conv1_1"]
    assert weight.dtype == found_bias.dtype == torch.float32
    torch.testing.assert_close(weight, torch.stack([q * s for q, s in zip(eight_bits.float(), scale, strict=True)]))
    torch.testing.assert_close(found_bias, bias.half().float())


def test_a_file_of_the_first_layers_serves_those() -> None:
    weights = parse_weights(pth(torchvision()), name="first")
    assert set(Vgg19(weights)(torch.rand(1, 3, 16, 16), ["conv2_2", "conv1_1"])) == {"conv1_1", "conv2_2"}
    with pytest.raises(LayerMissing, match="'first' have no layer conv3_1: they cover conv1_1 to conv2_2"):
        weights.check_covers(["conv2_2", "conv3_1"])


def without(*keys: str) -> State:
    return {key: tensor for key, tensor in torchvision().items() if key not in keys}


def altered(key: str, change: Callable[[Tensor], object]) -> State:
    state = torchvision()
    return {**state, key: change(state[key])}


def nan(tensor: Tensor) -> Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[7] = torch.nan
    return tensor


BAD_STATES: dict[str, tuple[object, tuple[str, ...]]] = {
    "a layer missing in the middle": (
        without("features.5.weight", "features.5.bias"),
        ("conv2_1", "features.5.weight"),
    ),
    "the first layer missing": (without("features.0.weight", "features.0.bias"), ("conv1_1", "features.0.weight")),
    "a bias missing": (without("features.5.bias"), ("lack the bias", "conv2_1", "features.5.bias")),
    "filters of another size": (
        altered("features.2.weight", lambda w: w[..., :2]),
        ("conv1_2", "features.2.weight", "(64, 64, 3, 2)", "(64, 64, 3, 3)"),
    ),
    "biases of another number": (
        altered("features.2.bias", lambda b: b[:60]),
        ("conv1_2", "features.2.bias", "(60,)", "(64,)"),
    ),
    "a weight that is no tensor": (altered("features.2.weight", lambda _: 3), ("conv1_2", "features.2.weight", "int")),
    "a bias that is no tensor": (altered("features.2.bias", lambda _: [0]), ("conv1_2", "features.2.bias", "list")),
    "a NaN among the weights": (altered("features.5.weight", nan), ("conv2_1", "finite")),
    "a NaN among the biases": (altered("features.5.bias", nan), ("conv2_1", "finite")),
    "an infinity": (altered("features.5.bias", lambda b: b / 0), ("conv2_1", "finite")),
    "scales of another number": (
        {**gatys(), "conv1_1.scale": torch.ones(1)},
        ("conv1_1", "conv1_1.scale", "(1,)", "(64,)"),
    ),
    "a scale that is no tensor": ({**gatys(), "conv1_1.scale": 1.0}, ("conv1_1.scale", "float")),
    "a sparse weight": (
        altered("features.5.weight", torch.Tensor.to_sparse),
        ("conv2_1", "features.5.weight", "sparse", "dense"),
    ),
    "a complex weight": (
        altered("features.5.weight", lambda w: w.to(torch.complex64)),
        ("conv2_1", "complex64", "float32"),
    ),
    "weights that are true or false": (altered("features.5.weight", lambda w: w > 0), ("conv2_1", "bool", "float32")),
    "whole numbers without a scale": (altered("features.5.bias", lambda b: b.to(torch.int8)), ("conv2_1", "int8")),
    "a bias beyond float32": (altered("features.5.bias", lambda b: b.double() + 1e300), ("conv2_1", "finite")),
    "another network": ({"layer1.0.conv1.weight": torch.ones(2)}, ("no VGG-19 layer", "layer1.0.conv1.weight")),
    "VGG-19 with batch normalisation": (
        {**without("features.2.weight", "features.2.bias"), "features.3.weight": torch.ones(64, 64, 3, 3)},
        ("conv1_2", "features.2.weight"),
    ),
    "a checkpoint around it": ({"epoch": 3, "state_dict": torchvision()}, ("no VGG-19 layer", "state_dict")),
    "keys that are numbers": ({0: torch.ones(1)}, ("no VGG-19 layer", "0")),
    "nothing": ({}, ("no VGG-19 layer", "nothing")),
    "a list": ([torch.ones(1)], ("a list", "state dict")),
    "a tensor": (torch.ones(1), ("a Tensor", "state dict")),
}


@pytest.mark.parametrize(("state", "words"), BAD_STATES.values(), ids=BAD_STATES)
def test_what_a_file_holds_is_checked(tmp_path: Path, state: object, words: tuple[str, ...]) -> None:
    file = tmp_path / "bad.pth"
    file.write_bytes(pth(state))
    with pytest.raises(WeightsError) as error:
        load_weights(file)
    for word in ("bad.pth", *words):
        assert word in str(error.value)


def header(value: object) -> bytes:
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text


BAD_BYTES = {
    "empty": b"",
    "a few bytes": b"abc",
    "text": b"Not found\n" * 100,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "an empty pickle": b"\x80",
    "a broken pickle": b"\x80\x02}q\x00.",
    "an empty archive": b"PK",
    "a truncated .pth": pth(torchvision())[:-1000],
    "half a .pth": pth(torchvision())[:200_000],
    "a truncated safetensors": safetensors_bytes(torchvision())[:-1],
    "only the header of a safetensors": safetensors_bytes(torchvision())[:512],
    "a header that is a list": header([]),
    "a header that is a number": header(3),
    "a header with a list for its metadata": header({"__metadata__": [1]}),
    "a header of a length beyond the file": (1 << 60).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("data", BAD_BYTES.values(), ids=BAD_BYTES)
def test_files_that_are_no_weights(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "bad.weights"
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=r"bad\.weights"):
        load_weights(file)


SMALL = {key: tensor for key, tensor in gatys().items() if key.startswith("conv1_1")}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "whole",
    [pth(SMALL), legacy_pth(SMALL), safetensors_bytes(SMALL), b"PK", b"\x80\x02"],
    ids=["pth", "legacy pth", "safetensors", "start of a zip file", "start of a pickle"],
)
@settings(max_examples=200)
@given(data=st.data())
def test_damage_of_any_kind_is_a_weights_error_if_it_shows(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole[: data.draw(st.integers(1, len(whole)), "length")])
    for place, value in data.draw(
        st.dictionaries(st.integers(0, 400), st.integers(0, 255), max_size=5), "bytes"
    ).items():
        damaged[place % len(damaged)] = value
    damaged += data.draw(st.binary(max_size=20), "tail")
    refusal: str | None = None
    try:
        weights = parse_weights(bytes(damaged), name="damaged")
    except WeightsError as error:
        refusal = str(error)
    if refusal is not None:
        assert "damaged" in refusal
    else:
        assert list(weights.convolutions) == ["conv1_1"]


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.fuse,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("container", [pth, legacy_pth, pickle.dumps, lambda state: pickle.dumps(state, protocol=0)])
def test_a_file_that_runs_code_is_refused(tmp_path: Path, container: Callable[[object], bytes]) -> None:
    trial, fuse = tmp_path / "trial", tmp_path / "went off"
    pickle.loads(pickle.dumps(Bomb(trial)))
    assert trial.exists()
    data = container({**SMALL, "conv1_1.extra": Bomb(fuse)})
    with pytest.raises(WeightsError, match="bomb"):
        parse_weights(data, name="bomb")
    assert not fuse.exists()


def test_another_digest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pth(SMALL))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_weights(file, sha256=digest).sha256 == digest
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match=rf"weights\.pth.*expected {digest}"):
        load_weights(file, sha256=digest)


def test_the_embedded_encoder_is_none_of_another_digest() -> None:
    digest, other = embedded_outline().sha256, "0" * 64
    assert embedded_outline(sha256=digest.upper()).sha256 == load_weights("embedded", sha256=digest).sha256 == digest
    for read in (lambda: embedded_outline(sha256=other), lambda: load_weights("embedded", sha256=other)):
        with pytest.raises(WeightsError, match=rf"weights 'embedded' have SHA-256 {digest}, expected {other}"):
            read()


@pytest.mark.parametrize("pin", ["", "6", "dcbb9e9d", "g" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
def test_a_pin_that_is_no_digest_is_an_error(pin: str) -> None:
    for name in ("embedded", "imagenet"):
        with pytest.raises(WeightsError, match="expected 64 hexadecimal digits"):
            load_weights(name, sha256=pin)
    with pytest.raises(WeightsError, match="expected 64 hexadecimal digits"):
        parse_weights(pth(SMALL), name="weights", sha256=pin)


def deflated(data: bytes) -> bytes:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as whole,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    return packed.getvalue()


def test_a_pth_that_unpacks_to_many_times_its_size_is_refused_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(WeightsError, match=r"unpack from [0-9,]+ to [0-9,]+ bytes: expected at most 4 times"):
        parse_weights(deflated(pth({**SMALL, "conv1_2.weight": torch.zeros(1_000_000)})), name="bomb")


class ManyBytes:
    """Becomes more bytes than there is memory when it is unpickled."""

    def __reduce__(self) -> tuple[type[bytearray], tuple[int]]:
        return bytearray, (10**13,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("container", [pth, legacy_pth])
def test_a_pth_that_asks_for_more_bytes_than_it_has_is_refused_unpacked(
    container: Callable[[object], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = container({**SMALL, "many": ManyBytes()})
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(WeightsError, match=r"ask for 10,000,000,000,000 bytes"):
        parse_weights(data, name="bomb")


@pytest.mark.parametrize("name", ["nothing.pth", "."])
def test_a_path_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(WeightsError) as error:
        load_weights(str(path))
    for word in (str(path), "embedded", "imagenet"):
        assert word in str(error.value)


REAL = [
    SHARED / "weights" / "vgg19_torchvision_to_conv3_1.pth",
    SHARED / "weights" / "vgg19_normalised_to_conv3_1.safetensors",
]


@pytest.mark.skipif(not all(path.exists() for path in REAL), reason="the real weights lie outside the repository")
def test_the_same_real_network_in_two_layouts() -> None:
    torchvision, gatys = (load_weights(path) for path in REAL)
    assert (torchvision.input, gatys.input) == ("rgb", "bgr255")
    assert list(torchvision.convolutions) == list(gatys.convolutions) == list(LAYERS[:5])
    x = pixels(0, 48, 64, torch.float32).unsqueeze(0)
    features: list[Mapping[str, Tensor]] = [Vgg19(weights)(x, LAYERS[:5]) for weights in (torchvision, gatys)]
    for layer in LAYERS[:5]:
        first, second = (F[layer][..., 3:-3, 3:-3] for F in features)
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3 * first.abs().max().item())
    with pytest.raises(LayerMissing, match="conv3_2: they cover conv1_1 to conv3_1"):
        Vgg19(torchvision)(x, ["conv3_2"])


def test_the_embedded_encoder_covers_every_layer() -> None:
    embedded = REPOSITORY / "nst_kernel" / "encoder" / "embedded" / "vgg19_kmeans.safetensors"
    weights = load_weights("embedded")
    assert weights.sha256 == hashlib.sha256(embedded.read_bytes()).hexdigest()
    assert tuple(weights.convolutions) == LAYERS
    assert embedded.stat().st_size <= 27_000_000
