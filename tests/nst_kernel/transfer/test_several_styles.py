"""Several styles in one picture, and how large their strokes are."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_kernel import Pair, ParamError, StyleParams, Vgg19, stylize, stylize_batch
from nst_kernel.encoder import load_weights
from nst_kernel.objective import Objective, targets_of
from nst_kernel.pictures import fit, fit_style
from tests.support import draw, encoder, pixels

SHALLOW = {"style_layers": "conv1_1, conv2_1", "content_layers": "conv2_1", "scales": "", "iterations": 4}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)


def params(**values: object) -> StyleParams:
    return StyleParams.of({**SHALLOW, **values})


def alone(styles: Sequence[Tensor], **values: object) -> np.ndarray:
    (result,) = stylize_batch([Pair.of(pixels(0, 24, 32), styles, params(**values))], DOUBLE)
    return np.asarray(result.image)


def test_a_style_without_weight_changes_no_bit() -> None:
    one, two = pixels(1, 24, 32), pixels(2, 20, 28)
    assert np.array_equal(alone([one]), alone([one, two], style_blend_weights="1, 0"))
    assert np.array_equal(alone([two]), alone([one, two], style_blend_weights="0, 3"))


def test_shares_count_by_their_ratio_and_in_any_order() -> None:
    one, two = pixels(1, 24, 32), pixels(2, 20, 28)
    mixed = alone([one, two], style_blend_weights="1, 3")
    np.testing.assert_allclose(alone([two, one], style_blend_weights="6, 2"), mixed, atol=1e-6)
    np.testing.assert_allclose(alone([one, two]), alone([one, two], style_blend_weights="2, 2"), atol=1e-12)
    assert np.abs(alone([one, two]) - mixed).max() > 1e-3


def test_along_a_mixture_the_loss_to_one_style_falls_and_to_the_other_rises() -> None:
    one, two = pixels(1, 32, 32, torch.float32), pixels(2, 28, 36, torch.float32)
    network = encoder("conv2_1", narrower=8)
    texture = {"content_weight": 0, "init": "noise", "iterations": 40, "tv_weight": 0}
    shares = [(1 - b, b) for b in (0, 0.25, 0.5, 0.75, 1)]
    pairs = [
        Pair.of(None, [one, two], params(style_blend_weights=share, **texture), output=(32, 32)) for share in shares
    ]
    found = torch.stack(
        [torch.from_numpy(np.asarray(each.image)).permute(2, 0, 1) for each in stylize_batch(pairs, network)]
    )
    to_each = []
    for style in (one, two):
        goal = [Pair.of(None, style, params(**texture), output=(32, 32))] * len(shares)
        to_each.append(Objective(network, targets_of(goal, network), [pair.params for pair in goal])(found)[:, 0])
    assert (to_each[0].diff() > 0).all()
    assert (to_each[1].diff() < 0).all()


def test_the_start_is_the_heaviest_style() -> None:
    one, two = pixels(1, 24, 32), pixels(2, 24, 32)
    pair = Pair.of(None, [one, two], params(style_blend_weights="1, 2", init="style", content_weight=0))
    assert pair.style is two
    assert pair.params.heaviest(2) == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"style_blend_weights": "1, 2, 3"}, "2 numbers, one for each style"),
        ({"style_scale": "1, 2, 1"}, "one number, or 2 numbers, one for each style"),
    ],
)
def test_lists_of_another_length_are_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ParamError, match=expected):
        Pair.of(None, [pixels(1, 16, 16), pixels(2, 16, 16)], params(**values))


def test_shares_that_are_all_zero_are_refused() -> None:
    with pytest.raises(ParamError, match="at least one number above 0"):
        params(style_blend_weights="0, 0")


@pytest.fixture(scope="module")
def learned() -> Vgg19:
    return Vgg19(load_weights("embedded"))


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_strokes_grow_with_the_scale_of_their_style(learned: Vgg19, scale: float) -> None:
    """Stripes of 6 pixels: the result has stripes of that times the scale, within 15 %, whatever the output's size."""
    period, side = 6, 64
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:] = np.round(127.5 + 127.5 * np.sin(2 * np.pi * np.arange(128) / (period * 2)))[None, :, None]
    given = StyleParams.of(
        {"preset": "texture", "objective": "relative", "size": side, "style_scale": scale, "iterations": 20}
        | {"style_layers": "conv1_1, conv2_1, conv3_1"}
    )
    result = stylize(None, stripes, given, encoder=learned)
    assert result.image.shape[:2] == (side, side)
    brightness = np.asarray(result.image).mean(2)
    spectrum = np.abs(np.fft.rfft2(brightness - brightness.mean())) ** 2
    across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)
    radius = np.hypot(down[:, None], across[None, :])
    rings = np.arange(1, side // 2)
    power = [spectrum[np.round(radius * side) == ring].sum() for ring in rings]
    found = side / rings[int(np.argmax(power))]
    assert found == pytest.approx(period * scale, rel=0.15)


def test_a_style_is_as_large_as_its_output_times_its_scale() -> None:
    assert fit_style(300, 400, size=200, scale=0.5) == fit(300, 400, size=100)
    assert fit_style(300, 400, size=200, scale=2) == (300, 400), "no larger than it is"
    assert fit_style(300, 400, size=300, scale=2, upscale=True) == (450, 600)


def test_samples_of_one_batch_may_have_other_styles_and_scales() -> None:
    content, one, two = pixels(0, 24, 32), pixels(1, 24, 32), pixels(2, 20, 28)
    several = Pair.of(content, [one, two], params(style_blend_weights="1, 2", style_scale="2, 1"))
    single = dataclasses.replace(several, styles=several.styles[:1])
    together = stylize_batch([several, single], DOUBLE)
    for pair, result in zip((several, single), together, strict=True):
        (by_itself,) = stylize_batch([pair], DOUBLE)
        np.testing.assert_allclose(result.image, by_itself.image, atol=1e-6)


def test_several_pictures_are_given_as_a_list() -> None:
    styles = [draw(1, 24, 32), draw(2, 20, 28)]
    given = params(size=32, style_blend_weights="1, 0")
    one, two = (stylize(draw(0, 24, 32), each, given_, encoder=encoder("conv2_1", narrower=8)) for each, given_ in
                ((styles, given), (styles[0], params(size=32))))  # fmt: skip
    assert np.array_equal(one.image, two.image)
