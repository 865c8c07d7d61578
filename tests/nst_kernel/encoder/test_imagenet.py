import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.error import URLError

import pytest
import torch
from torch import nn

from nst_kernel import WeightsError, check_imagenet, load_weights
from nst_kernel.encoder import check
from nst_kernel.encoder import load as weights_module
from tests.support import random_weights

FILE = "vgg19-dcbb9e9d.pth"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """An empty cache of torch's for the time of a test: where it looks for torchvision's file."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path / "hub")
    yield tmp_path / "hub" / "checkpoints" / FILE
    torch.hub.set_dir(before)


@pytest.mark.parametrize(
    "reason", [URLError("no way out"), ConnectionResetError("no way out"), RuntimeError("no way out")]
)
def test_without_network_the_error_names_the_remedies(cache: Path, reason: Exception) -> None:
    with mock.patch.object(torch.hub, "download_url_to_file", side_effect=reason), pytest.raises(WeightsError) as error:
        load_weights("imagenet")
    for word in (FILE, "no way out", "cache", "--weights embedded"):
        assert word in str(error.value)


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.parent.parent.write_text("a file where the cache should be")
    with mock.patch.object(torch.hub, "download_url_to_file"), pytest.raises(WeightsError, match="--weights embedded"):
        load_weights("imagenet")


def weights_file() -> bytes:
    buffer = io.BytesIO()
    weight, bias = random_weights(0, "conv1_1").convolutions["conv1_1"]
    torch.save({"features.0.weight": weight, "features.0.bias": bias}, buffer)
    return buffer.getvalue()


def test_a_cached_file_of_another_digest_is_refused(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(weights_file())
    with (
        mock.patch.object(torch.hub, "download_url_to_file") as download,
        pytest.raises(WeightsError, match=r"'imagenet' have SHA-256 .* expected dcbb9e9d"),
    ):
        load_weights("imagenet")
    download.assert_not_called()


def test_the_file_is_fetched_once_with_its_digest(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(weights_file()).hexdigest()
    monkeypatch.setattr(weights_module, "IMAGENET_HASH", digest[:8])

    def serve(url: str, path: str, *, hash_prefix: str, progress: bool) -> None:
        assert url.startswith("https://")
        assert hash_prefix == digest[:8]
        Path(path).write_bytes(weights_file())

    with mock.patch.object(torch.hub, "download_url_to_file", side_effect=serve) as download:
        first, second = load_weights("imagenet"), load_weights("imagenet")
    assert download.call_count == 1
    assert first.name == second.name == "imagenet"
    assert first.sha256 == second.sha256 == digest


@pytest.mark.xdist_group("torchvision")
def test_statistics_are_those_of_torchvisions_own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that torchvision made: its file passes, except for the digest, with statistics it gave itself."""
    from torchvision.models import vgg as torchvision_vgg  # 7 s of CPU, as in `test_vgg`

    torch.manual_seed(1)
    features: nn.Sequential = torchvision_vgg.make_layers(torchvision_vgg.cfgs["E"], batch_norm=False)
    for module in features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    buffer = io.BytesIO()
    torch.save({f"features.{key}": tensor for key, tensor in features.state_dict().items()}, buffer)

    relus = {"conv1_1": 1, "conv2_1": 6, "conv3_1": 11, "conv4_1": 20, "conv4_2": 22, "conv5_1": 29}
    torch.manual_seed(0)
    x, statistics = torch.rand(1, 3, 256, 256), {}
    with torch.no_grad():
        for i, module in enumerate(features[:30]):
            x = module(x)
            for layer in (layer for layer, index in relus.items() if index == i):
                statistics[layer] = x.max().item(), x.norm().item()
    assert set(statistics) == set(check.ACTIVATIONS)

    monkeypatch.setattr(check, "ACTIVATIONS", statistics)
    digest, *layers = check_imagenet(buffer.getvalue(), name="random")
    assert (digest.what, digest.ok) == ("SHA-256", False)
    assert [check.what for check in layers] == [f"{layer} activations" for layer in relus]
    assert all(check.ok for check in layers)


def test_other_weights_pass_no_check() -> None:
    digest, conv1_1 = check_imagenet(weights_file(), name="random")
    assert digest.actual == hashlib.sha256(weights_file()).hexdigest()
    assert (conv1_1.what, conv1_1.expected) == ("conv1_1 activations", "max 3.71, norm 896")
    assert not digest.ok
    assert not conv1_1.ok


@pytest.mark.parametrize("off", [(1.01, 1.0), (1.0, 1.01)])
def test_a_deviation_of_a_hundredth_in_either_statistic_shows(
    off: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, bias = random_weights(0, "conv1_1").convolutions["conv1_1"]
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    F = torch.conv2d(picture, weight, bias, padding=1).relu()
    statistics = F.max().item(), F.norm().item()
    monkeypatch.setattr(check, "ACTIVATIONS", {"conv1_1": statistics})
    assert check_imagenet(weights_file(), name="random")[1].ok
    monkeypatch.setattr(check, "ACTIVATIONS", {"conv1_1": (statistics[0] * off[0], statistics[1] * off[1])})
    assert not check_imagenet(weights_file(), name="random")[1].ok
