"""Loading of weights, by the names `imagenet` and `embedded` or from a file, and the layouts that files have."""

import io
import itertools
import json
import pickletools
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.error import URLError

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

from nst_kernel.encoder.outline import WeightsError, check_pin, digest_of, embedded_file
from nst_kernel.encoder.weights import Weights
from nst_kernel.layers import LAYERS, shape_of

IMAGENET_HASH = "dcbb9e9d"
"""First hexadecimal digits of the SHA-256 of torchvision's file, as its name carries them."""

MAX_EXPANSION = 4
"""Times its size to which a .pth file may unpack. torch.save compresses nothing, and weights shrink by a tenth."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

_TORCHVISION = dict(zip(LAYERS, (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), strict=True))
"""Number of each convolution in torchvision's VGG-19, N of `features.N`, by layer name."""


def load_weights(source: str | Path = "embedded", *, sha256: str | None = None) -> Weights:
    """Load weights by name or from a file.

    Args:
        source: `embedded` (shipped with the package), `imagenet` (torchvision's, from its cache or its server), or
            the path of a `.pth` or `.safetensors` file in torchvision's layout (`features.0.weight` or `0.weight`,
            normalised RGB) or Gatys' (`conv1_1.weight`, BGR 0-255 minus the mean).
        sha256: the digest that the file must have: 64 hexadecimal digits; None: any.

    Raises:
        WeightsError: if the weights are missing, damaged, of another shape, or have another digest.
    """
    if source == "embedded":
        return parse_weights(embedded_file(), name="embedded", sha256=sha256)
    if source == "imagenet":
        check_pin(sha256, name="imagenet")
        return _parse(_imagenet_file().read_bytes(), "imagenet", sha256 or IMAGENET_HASH)
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot read weights from {str(path)!r} ({error.strerror}): give the path of a .pth or .safetensors file, "
            "or one of the names embedded and imagenet"
        ) from None
    return parse_weights(data, name=path.name, sha256=sha256)


def parse_weights(data: bytes, *, name: str, sha256: str | None = None) -> Weights:
    """Read weights from the bytes of a `.pth` or safetensors file in torchvision's or Gatys' layout.

    Args:
        data: the file.
        name: name of the weights in results and errors.
        sha256: the digest that the file must have: 64 hexadecimal digits; None: any.

    Raises:
        WeightsError: if the weights are damaged, of another shape, or have another digest.
    """
    check_pin(sha256, name=name)
    return _parse(data, name, sha256 or "")


def _parse(data: bytes, name: str, beginning: str) -> Weights:
    """Read weights as `parse_weights` does; `beginning` is what their digest must begin with."""
    digest = digest_of(data, name, beginning)
    state, header = _read(data, name)
    layout, keys = _layout(state, header)
    # Consecutive layers from conv1_1 on, as many as there are.
    covered = list(itertools.takewhile(lambda layer: f"{keys[layer]}.weight" in state, LAYERS))
    if beyond := [layer for layer in LAYERS[len(covered) :] if f"{keys[layer]}.weight" in state]:
        missing = LAYERS[len(covered)]
        raise WeightsError(f"weights {name!r} lack layer {missing} ({keys[missing]}.weight) but have {beyond[0]}")
    if not covered:
        names = ", ".join(sorted(state)[:4]) or "nothing"
        raise WeightsError(
            f"weights {name!r} have no VGG-19 layer: expected features.0.weight (torchvision) or conv1_1.weight "
            f"(Gatys), found {names}"
        )
    convolutions = {layer: _convolution(state, keys[layer], layer, name) for layer in covered}
    border: Literal["zero", "replicate"] = "replicate" if header.get("border") == "replicate" else "zero"
    return Weights(name, digest, convolutions, layout, border)


def _layout(state: Mapping[str, Any], header: Mapping[str, str]) -> tuple[Literal["rgb", "bgr255"], Mapping[str, str]]:
    """Return the input that the filters of a file expect, and by layer the key of its tensors without `.weight`."""
    if any(re.fullmatch(r"(features\.)?\d+\.(weight|bias)", key) for key in state):
        prefix = "features." if any(key.startswith("features.") for key in state) else ""
        return "rgb", {layer: f"{prefix}{_TORCHVISION[layer]}" for layer in LAYERS}
    return "rgb" if header.get("input") == "rgb" else "bgr255", {layer: layer for layer in LAYERS}


def _read(data: bytes, name: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the tensors of a file by key, and the metadata of its header, which only safetensors files have."""
    try:
        if data[:2] == b"PK" or data[:1] == b"\x80":
            _check_expansion(data, name)
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if not isinstance(state, Mapping):
                raise WeightsError(f"weights {name!r} hold a {type(state).__name__}, expected a state dict")
            return {str(key): value for key, value in state.items()}, {}
        return load_safetensors(data), _json_header(data)
    except WeightsError:
        raise
    except Exception as error:  # torch's unpickler lets IndexError, KeyError, struct.error … of damaged files through
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"weights {name!r} are no readable .pth or safetensors file: {reason}") from None


def _check_expansion(data: bytes, name: str) -> None:
    """Check, before anything is unpacked, that a .pth file unpacks to no more memory than such a file may need.

    Raises:
        WeightsError: if it would unpack to more.
    """
    if data[:2] != b"PK":  # the older container: five pickles, the first of which is a magic number
        stream = io.BytesIO(data)
        pickles = [list(pickletools.genops(stream)) for _ in range(5)][1:]
        _check_counts(pickles, len(data), name)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MAX_EXPANSION * len(data):
            raise WeightsError(
                f"weights {name!r} unpack from {len(data):,} to {unpacked:,} bytes: expected at most {MAX_EXPANSION} "
                "times the size of the file, as torch.save compresses nothing"
            )
        pickles = [list(pickletools.genops(archive.read(each))) for each in entries if each.filename.endswith(".pkl")]
        _check_counts(pickles, unpacked, name)


def _check_counts(pickles: Iterable[Iterable[tuple[object, object, object]]], unpacked: int, name: str) -> None:
    """Raise `WeightsError` if the instructions of a pickle have a count above the bytes of all tensors.

    `bytearray(n)` is among the calls that torch allows in a file of weights.
    """
    for _, argument, _ in itertools.chain.from_iterable(pickles):
        if isinstance(argument, int) and argument > unpacked:
            raise WeightsError(f"weights {name!r} ask for {argument:,} bytes or numbers, and have {unpacked:,} bytes")


def _json_header(data: bytes) -> Mapping[str, str]:
    """Return the metadata in the header of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    return cast(Mapping[str, str], json.loads(data[8 : 8 + length]).get("__metadata__") or {})


def _convolution(state: Mapping[str, Any], key: str, layer: str, name: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a layer as float32.

    Args:
        state: the tensors of a file; 8-bit weights have a `scale` for each filter.
        key: of the layer's tensors, without `.weight`.
        layer: its name.
        name: name of the weights in errors.
    """
    shape = shape_of(layer)
    weight, bias, scale = (state.get(f"{key}.{part}") for part in ("weight", "bias", "scale"))
    if bias is None:
        raise WeightsError(f"weights {name!r} lack the bias of layer {layer} ({key}.bias)")
    parts = [("weight", weight, shape), ("bias", bias, shape[:1])]
    if scale is not None:
        parts.append(("scale", scale, shape[:1]))
    for part, tensor, expected in parts:
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != expected:
            actual = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise WeightsError(f"weights {name!r}, layer {layer}: {key}.{part} is {actual}, expected {expected}")
        wanted = (*_FLOATS, torch.int8) if part == "weight" and scale is not None else _FLOATS
        if tensor.layout != torch.strided or tensor.dtype not in wanted:
            kinds = ", ".join(str(kind).removeprefix("torch.") for kind in wanted)
            raise WeightsError(
                f"weights {name!r}, layer {layer}: {key}.{part} is {tensor.layout}, {tensor.dtype}, expected a dense "
                f"tensor of {kinds}"
            )
    assert isinstance(weight, Tensor)
    weight = weight.float() if scale is None else weight.float() * scale.float().view(-1, 1, 1, 1)
    bias = bias.float()
    if not (weight.isfinite().all() and bias.isfinite().all()):
        raise WeightsError(f"weights {name!r}, layer {layer}: values that are not finite")
    return weight, bias


def _imagenet_file() -> Path:
    """Return the path of torchvision's file in torch's cache, after fetching it if it is missing."""
    from torchvision.models import VGG19_Weights  # 170 MB of memory come along, for one address

    url = VGG19_Weights.IMAGENET1K_V1.url
    path = Path(str(torch.hub.get_dir())) / "checkpoints" / str(url).rsplit("/", 1)[1]
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=IMAGENET_HASH, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise WeightsError(
                f"ImageNet weights are not in the cache ({path.name}) and cannot be fetched ({error}). Put that file "
                "into torch's cache, give its path or URI as --weights, or ask for --weights embedded, which needs no "
                "download."
            ) from None
    return path
