"""The training of the embedded encoder, on a few small crops, and the file that is shipped."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from jobs.training import train_encoder
from jobs.training.kmeans import Recipe, convolve, learn_convolution, spherical_kmeans
from jobs.training.train_encoder import Settings, cut, learn, quantise, train
from nst_kernel.encoder.load import load_weights
from nst_kernel.encoder.vgg import Vgg19

TINY = Settings(crops=6, size=48, patches=1500, iterations=2, depth=2)


def picture(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Coloured blocks in several sizes, with a little noise."""
    rng = np.random.default_rng(seed)
    blocks = sum(np.kron(rng.integers(0, 80, (64 // n, 96 // n, 3)), np.ones((n, n, 1))) for n in (4, 8, 16))
    return np.asarray(blocks + rng.integers(0, 8, (64, 96, 3)), dtype=np.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on several threads, very much so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def few_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_encoder, "photographs", lambda: {str(i): picture(i) for i in range(3)})
        patch.setattr(train_encoder, "draw", lambda name, size, seed: picture(seed))
        yield


@pytest.fixture(scope="module")
def trained(few_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run that nothing interrupted; only looked at."""
    return train(tmp_path_factory.mktemp("trained") / "encoder.safetensors", TINY)


def test_the_file_is_an_encoder_the_kernel_reads(trained: Path) -> None:
    weights = load_weights(trained)
    assert list(weights.convolutions) == ["conv1_1", "conv1_2"]
    assert (weights.input, weights.border) == ("rgb", "zero")
    features = Vgg19(weights)(torch.rand(1, 3, 32, 32), ["conv1_1", "conv1_2"])
    assert features["conv1_2"].shape == (1, 64, 32, 32)


def test_units_fire_on_a_share_of_the_pictures_and_average_one() -> None:
    crops = cut([picture(0)], [], TINY)
    state = dict(learn(crops, TINY, {}))["conv1_1"]
    weight = state["conv1_1.weight"].float() * state["conv1_1.scale"].view(-1, 1, 1, 1)
    activation = convolve(crops, weight, state["conv1_1.bias"])
    firing = (activation > 0).float().mean((0, 2, 3))
    assert firing.min() > 0.1
    assert firing.max() < 0.9
    assert activation.mean() == pytest.approx(1, abs=0.3)


def test_the_same_run_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    assert train(tmp_path / "again", TINY).read_bytes() == trained.read_bytes()


def test_an_interrupted_run_goes_on_at_its_layer(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def stop(layer: str) -> None:
        if layer == "conv1_1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", TINY, on_layer=stop)
    assert not (tmp_path / "broken").exists()
    learned: list[int] = []

    def counted(chunks: Sequence[Tensor], filters: int, recipe: Recipe, **options: Any) -> tuple[Tensor, Tensor]:
        learned.append(filters)
        return learn_convolution(chunks, filters, recipe, **options)

    monkeypatch.setattr(train_encoder, "learn_convolution", counted)
    assert train(tmp_path / "broken", TINY).read_bytes() == trained.read_bytes()
    assert learned == [64]
    assert not list(tmp_path.glob("*.partial"))


def test_other_settings_do_not_resume_a_run_and_give_other_bytes(trained: Path, tmp_path: Path) -> None:
    def stop(layer: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "file", TINY, on_layer=stop)
    other = Settings(**{**vars(TINY), "seed": 5})
    fresh = train(tmp_path / "fresh", other).read_bytes()
    assert train(tmp_path / "file", other).read_bytes() == fresh != trained.read_bytes()


def test_a_folder_adds_its_pictures(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.jpg"):
        train(tmp_path / "file", TINY, tmp_path)
    Image.fromarray(picture(9)).save(tmp_path / "more.png")
    real, drawn = train_encoder.pictures(tmp_path)
    assert len(real) == 4
    assert len(drawn) > 10


def test_quantising_costs_at_most_half_a_step() -> None:
    weight = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    quantised, scale = quantise(weight)
    assert quantised.dtype == torch.int8
    error = (quantised.float() * scale.view(-1, 1, 1, 1) - weight).abs().amax((1, 2, 3))
    assert (error <= scale / 2 * 1.0001).all()


def test_kmeans_finds_separate_directions_and_sows_starved_centroids_again() -> None:
    g = torch.Generator().manual_seed(0)
    directions = torch.eye(6)
    x = directions[torch.arange(1200) % 6] + 0.05 * torch.randn(1200, 6, generator=g)
    found = spherical_kmeans(x, 6, 12, g)
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-5)
    # Six of 1200 samples chosen at random seldom hit all six directions: that all are found is the sowing.
    assert ((found @ directions.T).max(0).values > 0.95).all()


def test_units_ignore_what_a_disturbance_changes() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4, 2, 24, 24, generator=g)
    noise = torch.cat([torch.zeros(4, 1, 24, 24), torch.randn(4, 1, 24, 24, generator=g)], dim=1)
    weight, _ = learn_convolution(
        [x],
        8,
        Recipe(disturbances={"noise": 100.0}, patches=2000, iterations=5),
        disturbed={"noise": [x + noise]},
        generator=g,
    )
    assert weight[:, 1].norm() < 0.2 * weight[:, 0].norm()


def test_the_shipped_file_is_complete_and_small() -> None:
    weights = load_weights("embedded")
    assert len(weights.convolutions) == 16
    assert (weights.input, weights.border) == ("rgb", "zero")
    path = Path(train_encoder.__file__).parents[2] / "nst_kernel" / "encoder" / "embedded" / "vgg19_kmeans.safetensors"
    assert path.stat().st_size < 27e6
    assert weights.sha256 in path.with_name("CARD.md").read_text()
