import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from nst_kernel import Observer, Pair, Style, StyleParams, StylizeResult, stylize, stylize_batch, to_uint8
from nst_kernel.objective.gram_cache import GramCache
from nst_kernel.objective.losses import laplacian
from nst_kernel.params import contradictions
from nst_kernel.pictures.tensors import resize, to_tensor
from nst_kernel.transfer import all_scales
from tests.nst_kernel.support import reference
from tests.nst_kernel.support.reference import array
from tests.support import draw, encoder, pixels, random_weights

SHALLOW: dict[str, object] = {
    "content_layers": "conv2_1",
    "style_layers": "conv1_1, conv2_1",
    "tv_weight": 0,
    "range_weight": 0,
    "scales": (),
    "iterations": 4,
    "precision": "fp32",
}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)
SINGLE = encoder("conv2_1", narrower=8)


def shallow(**parameters: object) -> StyleParams:
    return StyleParams.of({**SHALLOW, **parameters})


def alone(pair: Pair, **options: Any) -> StylizeResult:
    return stylize_batch([pair], DOUBLE, **options)[0]


def test_the_loss_of_gatys_2015_is_the_papers() -> None:
    content, style = pixels(0, 24, 32), pixels(1, 24, 32)
    params = StyleParams.of({"iterations": 1, "seed": 7}, defaults={"preset": "gatys2015"})
    result = stylize_batch([Pair.of(content, style, params)], encoder(dtype=torch.float64, narrower=8))[0]
    noise = torch.rand((3, 24, 32), generator=torch.Generator().manual_seed(7))
    expected = reference.gatys_2015(
        array(noise),
        array(content),
        array(style),
        random_weights(narrower=8),
        alpha=params.content_weight,
        beta=params.style_weight,
    )
    # The kernel keeps the mean and deviation of its input in float32.
    assert {name: result.losses[name] for name in expected} == pytest.approx(dict(expected), rel=1e-6)


BATCH = [
    Pair.of(pixels(0, 24, 32), pixels(1, 30, 20), shallow(iterations=15, init="noise", seed=3)),
    Pair.of(pixels(2, 24, 32), pixels(3, 24, 24), shallow(iterations=15, beta=30, tv_weight=1, learning_rate=0.5)),
    Pair.of(pixels(4, 24, 32), pixels(5, 16, 48), shallow(iterations=15, layer_weights="1, 2", range_weight=2)),
]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance", "grey_levels"),
    # Convolutions may sum in another order for another batch size, and each step of L-BFGS magnifies the last digit.
    [(torch.float64, 15, 1e-9, 0), (torch.float32, 5, 1e-2, 0.5)],
)
def test_a_sample_is_the_same_alone_and_in_a_batch(
    optimizer: str, dtype: torch.dtype, steps: int, tolerance: float, grey_levels: float
) -> None:
    changed = {"optimizer": optimizer, "iterations": steps}
    batch = [dataclasses.replace(p, params=StyleParams.of({**p.params.to_json(), **changed})) for p in BATCH]
    vgg = encoder("conv2_1", dtype, narrower=8)
    for pair, together in zip(batch, stylize_batch(batch, vgg), strict=True):
        by_itself = stylize_batch([pair], vgg)[0]
        assert together.losses == pytest.approx(by_itself.losses, rel=tolerance)
        for name, curve in by_itself.curve.items():
            np.testing.assert_allclose(together.curve[name], curve, rtol=tolerance)
        assert 255 * np.abs(together.image - by_itself.image).mean() <= grey_levels


def test_the_same_request_gives_the_same_picture() -> None:
    first, second = (stylize_batch(BATCH, SINGLE) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.image, b.image)
        assert a.losses == b.losses


def start(pair: Pair) -> reference.Array:
    """The picture it starts from, as the best of one iteration."""
    return to_uint8(stylize_batch([pair], SINGLE)[0].image).astype(float)


def test_where_the_pixels_start() -> None:
    content, style, other = draw(0, 24, 32), draw(1, 40, 20), draw(2, 24, 32)
    tensors = to_tensor(content), to_tensor(style)
    init = to_tensor(other)
    assert np.array_equal(start(Pair.of(*tensors, shallow(iterations=1, init="content"))), content)
    assert np.array_equal(start(Pair.of(*tensors, shallow(iterations=1, init="s3://some/picture"), init)), other)
    resized = np.asarray(Image.fromarray(style).resize((32, 24), Image.Resampling.BICUBIC))
    assert np.abs(start(Pair.of(*tensors, shallow(iterations=1, init="style"))) - resized).max() <= 2


def test_a_seed_is_a_noise() -> None:
    content, style = pixels(0, 24, 32), pixels(1, 24, 32)
    first, again, other = (
        start(Pair.of(content, style, shallow(iterations=1, init="noise", seed=seed))) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 50
    assert first.mean() == pytest.approx(127.5, abs=5)
    assert first.std() == pytest.approx(255 / 12**0.5, abs=5)
    assert stylize_batch([Pair.of(content, style, shallow(init="content", seed=s)) for s in (1, 2)], SINGLE)[
        1
    ].losses == pytest.approx(alone(Pair.of(content, style, shallow(init="content", seed=1))).losses, rel=1e-3)


def test_texture_synthesis_reproduces_the_statistics_of_its_style() -> None:
    params = StyleParams.of({"preset": "texture", "iterations": 30, "precision": "fp32"})
    result = stylize_batch([Pair.of(None, pixels(0, 48, 48), params)], encoder(narrower=8))[0]
    curve = result.curve["total"]
    assert curve[0] > 1
    assert result.losses["total"] < 0.01 * curve[0]
    assert result.losses["content"] == 0


def test_reconstruction_finds_its_content_again() -> None:
    content = pixels(0, 24, 32)
    params = shallow(preset="reconstruction", iterations=30, range_weight=0)
    result = stylize_batch([Pair.of(content, None, params)], encoder("conv2_1", torch.float64))[0]
    assert result.losses["total"] < 0.01 * result.curve["total"][0]
    noise = torch.rand((3, 24, 32), generator=torch.Generator().manual_seed(0))
    reconstructed = to_tensor(to_uint8(result.image))
    assert (reconstructed - content).norm() < 0.3 * (noise - content).norm()


def test_scales_are_passed_through_one_after_another() -> None:
    content, style = pixels(0, 40, 64), pixels(1, 48, 48)
    calls: list[tuple[int, int]] = []
    params = shallow(scales="16, 32, 64, 128", iterations=6, init="noise")
    result = alone(
        Pair.of(content, style, params), observer=Observer.of(lambda done, total: calls.append((done, total)))
    )
    assert calls == [(k, 18) for k in range(1, 19)]
    assert result.image.shape == (40, 64, 3)
    assert result.iterations == 18
    assert {name: curve.shape for name, curve in result.curve.items()} == dict.fromkeys(result.losses, (18,))
    assert result.losses["total"] == result.curve["total"][12:].min()
    from_noise = alone(Pair.of(content, style, shallow(iterations=1, init="noise")))
    assert result.curve["total"][12] < 0.5 * from_noise.losses["total"]


def test_a_single_scale() -> None:
    result = alone(Pair.of(pixels(0, 24, 32), pixels(1, 24, 24), shallow(scales="32, 512")))
    assert result.iterations == 4
    assert list(result.losses) == ["total", "content", "style", "tv", "range", "style/conv1_1", "style/conv2_1"]
    assert result.losses["total"] == min(result.curve["total"]) < result.curve["total"][0]
    assert not result.diverged


def test_a_sample_that_diverges_says_so_and_keeps_its_best_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradictions, "MAX_ADAM_RATE", 1e30)
    content, style = pixels(0, 24, 32), pixels(1, 24, 32)
    result, mate = stylize_batch(
        [Pair.of(content, style, shallow(optimizer="adam", learning_rate=rate)) for rate in (1e30, 0.02)], SINGLE
    )
    assert (result.diverged, mate.diverged) == (True, False)
    assert result.losses["total"] == np.nanmin(result.curve["total"])
    assert mate.losses["total"] < mate.curve["total"][0]


@pytest.mark.parametrize(
    ("missing", "parameters"),
    [
        ("content", {}),
        ("style", {}),
        ("content", {"preset": "texture", "init": "content"}),
        ("style", {"preset": "reconstruction", "init": "style"}),
        ("init", {"init": "s3://some/picture"}),
    ],
)
def test_a_picture_that_is_needed_and_missing_is_named(missing: str, parameters: dict[str, object]) -> None:
    pictures = {"content": pixels(0, 24, 32), "style": pixels(1, 24, 32)}
    pictures.pop(missing, None)
    with pytest.raises(ValueError, match=f"without its {missing} picture"):
        Pair.of(pictures.get("content"), pictures.get("style"), StyleParams.of(parameters))


@pytest.mark.parametrize(("preset", "needed"), [("texture", "style"), ("reconstruction", "content")])
def test_one_picture_is_enough_where_the_other_takes_no_part(preset: str, needed: str) -> None:
    params = shallow(preset=preset)
    both = {"content": pixels(0, 24, 32), "style": pixels(1, 24, 32)}
    content, style = (both[name] if name == needed else None for name in ("content", "style"))
    one = alone(Pair.of(content, style, params))
    assert np.array_equal(one.image, alone(Pair.of(both["content"], both["style"], params)).image)


@pytest.mark.parametrize(
    "other",
    [
        Pair.of(pixels(0, 32, 24), pixels(1, 24, 32), shallow()),
        Pair.of(pixels(0, 24, 32), pixels(1, 24, 32), shallow(iterations=5)),
        Pair.of(pixels(0, 24, 32), pixels(1, 24, 32), shallow(pooling="max")),
    ],
    ids=["shape", "iterations", "pooling"],
)
def test_pairs_that_do_not_go_together(other: Pair) -> None:
    with pytest.raises(ValueError, match="agree"):
        stylize_batch([Pair.of(pixels(0, 24, 32), pixels(1, 24, 32), shallow()), other], SINGLE)


def test_from_pictures_to_a_picture(tmp_path: Path) -> None:
    convolutions = random_weights(0, "conv2_1").convolutions
    tensors = {
        f"{layer}.{part}": t for layer, c in convolutions.items() for part, t in zip(("weight", "bias"), c, strict=True)
    }
    save_file(tensors, tmp_path / "weights.safetensors", {"input": "rgb"})
    content, style, params = draw(0, 60, 90), draw(1, 50, 40), shallow(size=45)
    calls: list[tuple[int, int]] = []
    vgg = encoder("conv2_1")  # of the shapes that a file must have
    result = stylize(content, style, params, encoder=vgg, progress=lambda *done: calls.append(done))
    assert result.image.shape == (30, 45, 3)
    assert result.image.dtype == np.float32
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = stylize(
        Image.fromarray(content), Image.fromarray(style), params, encoder=str(tmp_path / "weights.safetensors")
    )
    assert np.array_equal(result.image, again.image)
    assert stylize(content, style, shallow(size=120), encoder=SINGLE).image.shape == content.shape
    assert stylize(content, style, shallow(size=120, upscale=True), encoder=SINGLE).image.shape == (80, 120, 3)


def test_strokes_follow_the_output() -> None:
    """The style is as large as the output, whatever `size` is: by its result, and by its Gram matrices."""
    content, style = draw(0, 30, 40), draw(1, 200, 120)
    at_own_size, too_large = (stylize(content, style, shallow(size=size), encoder=SINGLE) for size in (40, 512))
    assert np.array_equal(at_own_size.image, too_large.image)
    assert at_own_size.losses == too_large.losses
    resized = np.asarray(Image.fromarray(style).resize((24, 40), Image.Resampling.BICUBIC))
    by_hand = stylize(content, resized, shallow(size=512), encoder=SINGLE)
    assert too_large.curve["style"][0] == pytest.approx(by_hand.curve["style"][0], rel=0.02)
    enlarged = stylize(content, style, shallow(size=80, upscale=True), encoder=SINGLE)
    assert enlarged.image.shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("parameters", "improved"),
    [
        ({"iterations": 1}, False),
        ({"iterations": 12, "optimizer": "adam", "learning_rate": 1.0, "content_weight": 1e9}, False),
        ({}, True),
        ({"scales": "16", "iterations": "4, 1"}, True),
        ({"scales": "16", "iterations": "1, 4"}, True),
        ({"scales": "16", "iterations": 1}, False),
    ],
)
def test_a_loss_that_never_falls_is_told(parameters: dict[str, object], improved: bool) -> None:
    """Beside a mate that falls: at any scale; else the picture is the one that it started from."""
    shared = {name: value for name, value in parameters.items() if name not in ("content_weight", "learning_rate")}
    pair, mate = (Pair.of(pixels(0, 24, 32), pixels(1, 24, 24), shallow(**p)) for p in (parameters, shared))
    result = stylize_batch([pair, mate], SINGLE)[0]
    assert result.improved is improved
    if not improved:
        assert np.abs(to_uint8(result.image).astype(float) - draw(0, 24, 32)).max() <= 1 or "scales" in parameters


def test_a_picture_to_start_from_is_one_whatever_the_parameters_say() -> None:
    content, style, other = draw(0, 24, 32), draw(1, 24, 24), draw(2, 24, 32)
    for init in ("content", "noise"):
        result = stylize(content, style, shallow(init=init, iterations=1), encoder=SINGLE, init=other)
        assert np.array_equal(to_uint8(result.image), other)


def test_resized_pictures_stay_in_range() -> None:
    edges = np.where(np.indices((64, 64)).sum(0) // 8 % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, 2)
    for params in (shallow(size=40, iterations=1, range_weight=1), shallow(size=80, upscale=True, range_weight=1)):
        assert stylize(edges, edges, params, encoder=SINGLE).curve["range"][0] == 0
    coarse = shallow(size=64, scales="40", iterations=1, range_weight=1)
    assert stylize(edges, edges, coarse, encoder=SINGLE).curve["range"][0] == 0


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((20, 20, 3)),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((1, 20, 20, 3), np.uint8),
        np.zeros((20, 20, 3), np.int16),
        "picture.jpg",
    ],
    ids=["float", "grey", "alpha", "batch", "16 bits", "path"],
)
def test_what_is_no_picture(picture: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a picture of uint8 or uint16 \(H, W, 3\), got "):
        to_tensor(picture)


@pytest.mark.parametrize("view", [np.s_[:], np.s_[::-1], np.s_[:, ::-2], np.s_[..., ::-1]], ids=str)
def test_pictures_become_tensors_and_stay_what_they_are(view: Any) -> None:
    picture = draw(0, 20, 30)[view]
    tensor = to_tensor(picture)
    assert tensor.shape == (3, *picture.shape[:2])
    assert np.array_equal((tensor * 255).round().permute(1, 2, 0).numpy(), picture)


@pytest.mark.parametrize("shape", [(24, 32), (17, 61), (80, 40)])
def test_resizing_keeps_colours(shape: tuple[int, int]) -> None:
    colour = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).view(3, 1, 1)
    torch.testing.assert_close(resize(colour.expand(3, 24, 32), shape), colour.expand(3, *shape))
    batch = torch.stack([pixels(0, 24, 32), pixels(1, 24, 32)])
    for resized, picture in zip(resize(batch, shape), batch, strict=True):
        torch.testing.assert_close(resized, resize(picture, shape))
        torch.testing.assert_close(resized.mean(), picture.mean(), rtol=0.02, atol=0)


def test_iterations_by_scale() -> None:
    params = shallow(scales="16, 20", iterations="3, 4, 5")
    result = alone(Pair.of(pixels(0, 24, 32), pixels(1, 24, 32), params))
    assert result.iterations == len(result.curve["total"]) == 12


def test_checkpointing_gives_the_same_pictures() -> None:
    plain, saving = (stylize_batch(BATCH, DOUBLE, saving=saving) for saving in ("nothing", "checkpoint"))
    for a, b in zip(plain, saving, strict=True):
        assert np.array_equal(a.image, b.image)
        assert a.losses == pytest.approx(b.losses, rel=1e-9)


MEANS = {"statistics": "covariance"}


def test_gram_matrices_of_a_style_are_computed_once() -> None:
    content, styles = pixels(0, 24, 32), [pixels(1, 24, 32), pixels(2, 24, 32)]
    cache = GramCache()

    def batch(**parameters: object) -> list[Pair]:
        params = shallow(iterations=2, **parameters)
        return [Pair.of(content, styles[which], params, keys=[str(which)]) for which in (0, 0, 1)]

    first = stylize_batch(batch(), DOUBLE, grams=cache)
    assert (cache.hits, cache.misses) == (1, 2)
    again = stylize_batch(batch(), DOUBLE, grams=cache)
    assert (cache.hits, cache.misses) == (4, 2)
    without = stylize_batch(
        [dataclasses.replace(pair, styles=(Style(pair.styles[0].picture),)) for pair in batch()], DOUBLE
    )
    for results in (first, again, without):
        assert [r.losses for r in results] == [r.losses for r in first]
    for parameters in ({"pooling": "max"}, {"style_layers": "conv2_1"}, {"precision": "bf16"}, {"scales": "16"}, MEANS):
        before = cache.misses
        stylize_batch(batch(**parameters), DOUBLE, grams=cache)
        assert cache.misses == before + 2, parameters


def test_styles_are_blended_by_their_weights() -> None:
    """The order of styles does not matter, and a style of weight 0 changes nothing, to the bit."""
    content, first, second = pixels(0, 24, 32), Style(pixels(1, 24, 32)), Style(pixels(2, 20, 28), weight=3)
    params = shallow(iterations=4)

    def image(*styles: Style) -> NDArray[np.float32]:
        (result,) = stylize_batch([Pair(content, styles, params)], DOUBLE)
        return np.asarray(result.image, np.float32)

    none_of_second = dataclasses.replace(second, weight=0)
    assert np.array_equal(image(first), image(first, none_of_second))
    np.testing.assert_allclose(image(first, second), image(second, first), atol=1e-6)
    assert np.abs(image(first, second) - image(first)).max() > 0.01


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Style(pixels(1, 24, 32), weight=-1), "expected a number of at least 0"),
        (
            lambda: Pair(pixels(0, 24, 32), (Style(pixels(1, 24, 32), weight=0),), shallow()),
            "expected at least one above 0",
        ),
    ],
)
def test_styles_that_cannot_be_used_are_refused(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make()


def test_a_laplacian_keeps_edges_of_those_who_want_it() -> None:
    """The result is nearer to the content in its Laplacian; a batch-mate, even without a content, is as it is alone."""
    content, style = pixels(0, 32, 48), pixels(1, 32, 48)
    plain = shallow(iterations=20, content_weight=0, init="style")
    edges = dataclasses.replace(plain, laplacian_weight=1.0, laplacian_pools=(2, 4))
    pairs = [Pair.of(None, style, plain), Pair.of(content, style, edges)]
    without, keeping = stylize_batch(pairs, DOUBLE)
    np.testing.assert_allclose(without.image, alone(pairs[0]).image, atol=1e-5)
    np.testing.assert_allclose(keeping.image, alone(pairs[1]).image, atol=1e-5)
    assert "laplacian" not in without.losses
    target = laplacian(content.unsqueeze(0), 4)
    far, near = (
        (laplacian(torch.from_numpy(result.image).double().permute(2, 0, 1)[None], 4) - target).square().sum().item()
        for result in (without, keeping)
    )
    assert near < 0.1 * far
    assert keeping.losses["laplacian"] < 0.1 * keeping.curve["laplacian"][0]


def first_pixels(**values: object) -> torch.Tensor:
    """Where a sample starts, of a content that is black."""
    params = StyleParams.of({"size": 32, "style_weight": 0, **values})
    pair = Pair.of(torch.zeros(3, 24, 32), None, params)
    return all_scales._start([pair], encoder("conv4_2", narrower=8))[0]


def test_grey_and_a_blend_of_noise_are_where_pixels_start() -> None:
    noise = first_pixels(init="noise", seed=3)
    assert torch.equal(first_pixels(init="grey"), torch.full((3, 24, 32), 0.5))
    assert torch.equal(first_pixels(init="content", init_noise=1, seed=3), noise)
    torch.testing.assert_close(first_pixels(init="content", init_noise=0.25, seed=3), 0.25 * noise)
    torch.testing.assert_close(first_pixels(init="grey", init_noise=0.25, seed=3), 0.25 * noise + 0.375)
    assert not torch.equal(first_pixels(init_noise=0.25, seed=4), first_pixels(init_noise=0.25, seed=3))
