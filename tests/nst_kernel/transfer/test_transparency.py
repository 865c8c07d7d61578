"""Pictures with transparent parts: of contents they are kept, of styles they do not count."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nst_kernel import Masked, Observer, Pair, StyleParams, stylize, stylize_batch
from nst_kernel.objective import Objective, targets_of
from nst_kernel.objective.targets import style_grams
from nst_kernel.pictures import grey, straight
from nst_kernel.transfer.colours import coloured
from tests.support import draw, encoder, pixels

SHALLOW = {"style_layers": "conv1_1, conv2_1", "content_layers": "conv2_1", "scales": "", "iterations": 4}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)
H, W = 24, 32


def params(**values: object) -> StyleParams:
    return StyleParams.of({**SHALLOW, "transparency": "keep", **values})


def cut(seed: int, opacity: NDArray[Any] | np.uint8, height: int = H, width: int = W) -> NDArray[np.uint8]:
    return np.dstack([draw(seed, height, width), np.broadcast_to(opacity, (height, width)).astype(np.uint8)])


def spot(height: int = H, width: int = W) -> NDArray[np.uint8]:
    """The opacity of a disc with a soft border."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - height / 2, x - width / 2)
    return np.asarray(np.clip(255 * (0.4 * height - far) / 3, 0, 255), np.uint8)


def made(content: Any, style: Any, **values: object) -> NDArray[np.float32]:
    return np.asarray(stylize(content, style, params(size=W, **values), encoder=encoder("conv2_1")).image)


def test_the_opacity_of_the_content_is_that_of_the_result() -> None:
    picture = made(cut(0, spot()), draw(1, 20, 28))
    assert picture.shape == (H, W, 4)
    np.testing.assert_array_equal(np.rint(picture[..., 3] * 255), spot())
    assert made(cut(0, np.uint8(255)), cut(1, spot())).shape in ((H, W, 4), (H, W, 3))


def test_pictures_on_the_way_have_the_opacity_of_the_content_at_their_size() -> None:
    taken: dict[int, NDArray[np.float32]] = {}

    class Taking(Observer):
        wants_frames = True

        def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
            taken[evaluation] = picture

    asked = params(size=64, scales="32", iterations="2, 2", save_every=2)
    content = cut(0, spot(48, 64), 48, 64)
    result = stylize(content, draw(1, 20, 28), asked, encoder=encoder("conv2_1"), progress=Taking()).image
    np.testing.assert_array_equal(taken[4], result)
    assert taken[2].shape == (24, 32, 4)
    halves = spot(48, 64).reshape(24, 2, 32, 2).mean((1, 3)) / 255
    np.testing.assert_allclose(taken[2][..., 3], halves, atol=1e-6)


def test_colours_of_what_is_transparent_mean_nothing() -> None:
    content, style = cut(0, spot()), cut(1, spot())
    other = [np.where(each[..., 3:] == 0, cut(7, each[..., 3]), each) for each in (content, style)]
    np.testing.assert_array_equal(made(content, style), made(*other))
    np.testing.assert_array_equal(made(content, style, scales="16", iterations="2, 2"),
                                  made(*other, scales="16", iterations="2, 2"))  # fmt: skip


@pytest.mark.parametrize(
    "how", [{"preserve_color": "match"}, {"preserve_color": "transport"}, {"preserve_color": "luminance"}]
)
def test_styles_take_the_colours_that_are_seen(how: dict[str, str]) -> None:
    """What is seen of the style has the mean that what is seen of the content has, whatever the rest is."""
    seen, of_style = torch.from_numpy(spot() / 255), torch.from_numpy(spot(20, 28) / 255)
    content, style = 0.3 + 0.4 * pixels(0, H, W), 0.3 + 0.4 * pixels(1, 20, 28)
    content, style = content.where(seen > 0, torch.ones(())), style.where(of_style > 0, torch.zeros(()))
    pair = coloured(Pair.of(content, style, params(**how)).cut_out(seen, [of_style]))
    (found,), expected = pair.styles, content if how["preserve_color"] != "luminance" else grey(content)
    mean = (found.picture * of_style).sum((1, 2)) / of_style.sum()
    torch.testing.assert_close(mean, (expected * seen).sum((1, 2)) / seen.sum(), atol=5e-3, rtol=0)


def test_contents_take_the_colours_that_are_seen_of_styles() -> None:
    seen, of_style = torch.from_numpy(spot() / 255), torch.from_numpy(spot(20, 28) / 255)
    content, style = 0.3 + 0.4 * pixels(0, H, W), 0.3 + 0.4 * pixels(1, 20, 28)
    hidden = style.where(of_style > 0, torch.ones(()))
    for how in ("match", "transport"):
        pair = coloured(Pair.of(content, hidden, params(style_color=how)).cut_out(seen, [of_style]))
        assert pair.content is not None
        mean = (pair.content * seen).sum((1, 2)) / seen.sum()
        torch.testing.assert_close(mean, (style * of_style).sum((1, 2)) / of_style.sum(), atol=5e-3, rtol=0)


def test_opaque_pictures_are_as_ever() -> None:
    kept = made(draw(0, H, W), draw(1, 20, 28))
    usual = made(draw(0, H, W), draw(1, 20, 28), transparency="white")
    assert kept.shape == usual.shape == (H, W, 3)
    assert np.abs(kept - usual).max() < 1e-3


def test_a_style_with_a_transparent_border_is_its_opaque_part() -> None:
    """But for the positions at its edge, which see what is spread over the border instead of a mirror."""
    inner = draw(1, 48, 48)
    framed = np.zeros((96, 96, 4), np.uint8)
    framed[24:72, 24:72] = np.dstack([inner, np.full((48, 48), 255, np.uint8)])
    whole = StyleParams.of({**SHALLOW, "size": 96, "content_weight": 0, "init": "noise", "style_layers": "conv1_1"})
    expected = style_grams(DOUBLE, torch.from_numpy(inner / 255).permute(2, 0, 1)[None], whole)["conv1_1"][0]
    colours = straight((framed[..., :3] / 255).astype(np.float32), (framed[..., 3] / 255).astype(np.float32))
    tensor = torch.from_numpy(colours).permute(2, 0, 1).double()[None]
    opacity = torch.from_numpy(framed[..., 3] / 255)[None]
    found = style_grams(DOUBLE, tensor, whole, opacity)["conv1_1"][0, 0]
    white = np.where(framed[..., 3:] > 0, framed[..., :3], 255) / 255
    laid = style_grams(DOUBLE, torch.from_numpy(white).permute(2, 0, 1)[None], whole)["conv1_1"][0]
    assert (found - expected).norm() < 0.05 * expected.norm()
    assert (laid - expected).norm() > 0.3 * expected.norm()


def test_a_style_of_which_some_is_hidden_gives_the_statistic_of_the_rest() -> None:
    """At conv1_1, whose features see one pixel to each side: Σ t F Fᵀ / Σt by the formula."""
    style, opacity = pixels(1, 20, 28), torch.from_numpy(spot(20, 28) / 255)
    pair = Pair.of(pixels(0, H, W), style, params(style_layers="conv1_1")).cut_out(None, [opacity])
    F = DOUBLE.observe(style[None], ("conv1_1",))[0]["conv1_1"][0].flatten(1)
    t = opacity.flatten()
    expected = (F * t) @ F.T / t.sum()
    torch.testing.assert_close(targets_of([pair], DOUBLE).style["conv1_1"][0, 0], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("regions", [False, True])
def test_what_is_hidden_has_no_gradient_of_the_style(regions: bool) -> None:
    values = params(content_weight=0, tv_weight=0, init="noise")
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), values)
    if regions:
        pair = pair.within(torch.ones(1, H, W), [torch.ones(1, 1, 1)])
    left = torch.zeros(H, W, dtype=torch.float64)
    left[:, :16] = 1
    pair = pair.cut_out(left, [None])
    x = pixels(2, H, W)[None].requires_grad_()
    (gradient,) = torch.autograd.grad(Objective(DOUBLE, targets_of([pair], DOUBLE), [values])(x)[0, 0], x)
    assert gradient[..., 20:].abs().max() == 0
    assert gradient[..., :14].abs().max() > 0


def test_samples_of_a_batch_have_their_own_opacity() -> None:
    left = torch.zeros(H, W, dtype=torch.float64)
    left[:, :16] = 1
    plain = [Pair.of(pixels(seed, H, W), pixels(5, 20, 28), params()) for seed in (0, 1)]
    pairs = [plain[0].cut_out(left, [None]), plain[1].cut_out(None, [None])]
    together = stylize_batch(pairs, DOUBLE)
    assert [result.image.shape for result in together] == [(H, W, 4), (H, W, 3)]
    for pair, ours in zip(pairs, together, strict=True):
        (alone,) = stylize_batch([pair], DOUBLE)
        np.testing.assert_allclose(ours.image, alone.image, atol=1e-6)


def test_regions_and_opacity_go_together() -> None:
    halves = [np.zeros((H, W), np.float32), np.ones((H, W), np.float32)]
    halves[0][:, :16], halves[1][:, :16] = 1, 0
    picture = made(Masked(cut(0, spot()), halves), [cut(1, np.uint8(255)), cut(2, spot())])
    assert picture.shape == (H, W, 4)
    assert np.isfinite(picture).all()


def test_without_styles_the_opacity_is_kept_too() -> None:
    assert made(cut(0, spot()), None, style_weight=0, init="noise").shape == (H, W, 4)


def test_a_style_of_which_nothing_is_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="style 1 is transparent everywhere"):
        made(draw(0, H, W), cut(1, np.uint8(0)))


def test_a_pair_of_which_opacity_is_to_be_kept_has_some() -> None:
    with pytest.raises(ValueError, match=r"Pair\.cut_out"):
        stylize_batch([Pair.of(pixels(0, H, W), pixels(1, H, W), params())], DOUBLE)


@pytest.mark.parametrize(
    ("given_", "expected"), [("keep", ("keep", 0.2)), ("white", ("white", 0.2)), ("0.5", ("white", 0.5))]
)
def test_alpha_is_what_its_value_says(given_: str, expected: tuple[str, float]) -> None:
    found = StyleParams.of({"alpha": given_})
    assert (found.transparency, found.content_weight) == expected


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_a_picture_of_one_colour_is_of_that_colour_everywhere(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    opacity = (random.random((height, width)) * (random.random((height, width)) < 0.1)).astype(np.float32)
    opacity[random.integers(height), random.integers(width)] = 1
    colour = random.random(3).astype(np.float32)
    assert np.abs(straight(opacity[..., None] * colour, opacity) - colour).max() < 1e-5


def test_colours_that_are_seen_are_not_touched() -> None:
    random = np.random.default_rng(0)
    colours = random.random((9, 14, 3)).astype(np.float32)
    opacity = random.random((9, 14)).round(1).astype(np.float32)
    seen = opacity > 0
    assert np.abs(straight(opacity[..., None] * colours, opacity) - colours)[seen].max() < 1e-5
    assert (straight(np.zeros((5, 6, 3), np.float32), np.zeros((5, 6), np.float32)) == 1).all()
    assert dataclasses.replace(params(), transparency="white").graph != params().graph
