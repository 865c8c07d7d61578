"""Pictures that can be put side by side: they go on at their other side, in every part of a transfer."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel import Pair, StyleParams, stylize, stylize_batch
from nst_kernel.cost import Saving
from nst_kernel.objective import Objective, targets_of
from nst_kernel.objective.objective import VARIATIONS
from nst_kernel.pictures import fit, resize, tiled
from tests.nst_kernel.support import reference
from tests.nst_kernel.support.reference import array
from tests.support import draw, encoder, pixels

DOUBLE = encoder("conv3_1", torch.float64, narrower=8)
TEXTURE: dict[str, Any] = {
    "preset": "texture",
    "style_layers": "conv1_1, conv2_1, conv3_1",
    "tileable": True,
    "tv_weight": 0.1,
    "precision": "fp32",
}
STEP = 4
"""Pixels of one position of conv3_1."""


@pytest.mark.parametrize("saving", ["nothing", "checkpoint"])
@pytest.mark.parametrize("form", VARIATIONS)
@pytest.mark.parametrize("rolled", [(STEP, 0), (0, 3 * STEP), (-STEP, 2 * STEP)])
def test_where_a_picture_begins_does_not_matter(form: str, rolled: tuple[int, int], saving: Saving) -> None:
    """Neither to losses nor to gradients, by whole positions of the deepest layer."""
    params = StyleParams.of({**TEXTURE, "tv_form": form})
    targets = targets_of([Pair.of(None, pixels(0, 20, 30), params)], DOUBLE)
    objective = Objective(DOUBLE, targets, [params], saving=saving)
    results = []
    for shift in ((0, 0), rolled):
        x = pixels(1, 32, 48)[None].roll(shift, (2, 3)).requires_grad_()
        losses = objective(x)
        (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
        results.append((losses.detach(), gradient.roll((-shift[0], -shift[1]), (2, 3))))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-12, atol=0)
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", VARIATIONS)
@given(seed=st.integers(0, 99), height=st.integers(2, 6), width=st.integers(2, 6))
def test_variation_around_a_picture_is_that_within_four_copies(form: str, seed: int, height: int, width: int) -> None:
    """Of a row and a column more than one of them, with each difference once."""
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    around = np.pad(array(x[0]), ((0, 0), (1, 1), (1, 1)), mode="wrap")
    here = around[:, 1:-1, 1:-1]
    straight = [around[:, 1:-1, 2:], around[:, 2:, 1:-1]]
    slanting = [around[:, 2:, 2:], around[:, 2:, :-2]]
    weights = {"mean": (1, 0), "sum": (here.size / 2, 0), "nine_point": (2 / 3, 1 / 6)}[form]
    expected = sum(
        weight * sum(((other - here) ** 2).mean() for other in others)
        for weight, others in zip(weights, (straight, slanting), strict=True)
    )
    assert VARIATIONS[form][1](x).item() == pytest.approx(expected, rel=1e-12)


def steps(image: reference.Array, axis: int) -> reference.Array:
    """Mean size of the step from each row to the next, the last one to the first."""
    other = tuple(a for a in range(3) if a != axis)
    return np.asarray(np.abs(np.roll(image, -1, axis) - image).mean(other))


def test_a_texture_has_no_seam() -> None:
    """At its border it changes no more than anywhere else; one that does not tile changes more there."""
    style = pixels(3, 44, 60, torch.float32)
    results = []
    for tileable in (True, False):
        params = StyleParams.of({**TEXTURE, "tileable": tileable, "iterations": "25", "scales": "32", "seed": 1})
        (result,) = stylize_batch([Pair.of(None, style, params)], encoder("conv3_1", narrower=8))
        results.append(np.asarray(result.image, np.float64))
    seams = [max(steps(image, axis)[-1] / steps(image, axis)[:-1].max() for axis in (0, 1)) for image in results]
    assert results[0].shape == (48, 64, 3)
    assert seams[0] <= 1 < seams[1]


def test_textures_of_different_styles_share_a_batch_at_every_scale() -> None:
    """Their styles keep their own shapes, which round to one."""
    params = StyleParams.of({**TEXTURE, "scales": "32, 48", "iterations": 1})
    pairs = [Pair.of(None, pixels(n, *shape), params) for n, shape in enumerate([(41, 80), (55, 80)])]
    assert [pair.shape for pair in pairs] == [(48, 80)] * 2
    assert [np.shape(result.image) for result in stylize_batch(pairs, DOUBLE)] == [(48, 80, 3)] * 2


@given(side=st.integers(2, 5), other=st.integers(2, 8))
def test_resizing_goes_on_at_the_other_side(side: int, other: int) -> None:
    x = pixels(0, 16 * side, 32)
    larger = resize(x, (16 * other, 48), tileable=True)
    rolled = resize(x.roll((side, 2), (1, 2)), (16 * other, 48), tileable=True)
    torch.testing.assert_close(rolled, larger.roll((other, 3), (1, 2)), rtol=1e-6, atol=1e-6)


@given(
    height=st.integers(16, 3000),
    width=st.integers(16, 3000),
    size=st.integers(16, 3000),
    upscale=st.booleans(),
    tolerance=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_sides_are_multiples_of_16(height: int, width: int, size: int, upscale: bool, tolerance: float) -> None:
    try:
        shape = fit(height, width, size=size, upscale=upscale, aspect_tolerance=tolerance, tileable=True)
    except ValueError:  # too narrow, as it is without
        with pytest.raises(ValueError, match="too narrow"):
            fit(height, width, size=size // 16 * 16, upscale=upscale, aspect_tolerance=tolerance)
        return
    assert shape == tiled(shape)
    assert max(shape) <= max(size, 16)


def test_contents_are_resized_to_what_tiles_and_others_refused() -> None:
    params = StyleParams.of({**TEXTURE, "content_weight": 1, "content_layers": "conv2_1", "iterations": 2, "size": 44})
    result = stylize(draw(0, 40, 60), draw(1, 24, 24), params, encoder=encoder("conv3_1", narrower=8))
    assert np.shape(result.image) == (16, 32, 3)
    with pytest.raises(ValueError, match="multiples of 16"):
        Pair.of(pixels(0, 40, 64), pixels(1, 24, 24), params)


def test_a_content_is_its_own_target() -> None:
    params = StyleParams.of({**TEXTURE, "content_weight": 1, "content_layers": "conv3_1"})
    content: Tensor = pixels(0, 32, 48)
    pair = Pair.of(content, pixels(1, 24, 24), params)
    losses = Objective(DOUBLE, targets_of([pair], DOUBLE), [params])(content[None])
    assert losses[0, 1].item() < 1e-20
