"""Transfers in tiles, which give what transfers of whole pictures give."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel import Pair, StyleParams, Vgg19, stylize_batch
from nst_kernel.encoder import Request
from nst_kernel.objective import Objective, targets_of
from tests.support import encoder, pixels

DOUBLE = encoder("conv3_1", torch.float64, narrower=8)
SHALLOW: dict[str, Any] = {
    "content_layers": "conv2_2",
    "style_layers": "conv1_1, conv3_1",
    "scales": "32",
    "iterations": 4,
}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_kernel.cost.TILE", 32)


def pair(height: int, width: int, seed: int = 0, **values: Any) -> Pair:
    params = StyleParams.of({**SHALLOW, **values})
    return Pair.of(pixels(seed, height, width), [pixels(10, 50, 70), pixels(11, 40, 40)], params)


@given(
    height=st.integers(33, 66),
    width=st.integers(33, 66),
    objective=st.sampled_from(["paper", "relative", "mean"]),
    statistics=st.sampled_from(["gram", "covariance", "w2"]),
    regions=st.booleans(),
    tileable=st.booleans(),
)
@settings(max_examples=5)
def test_loss_and_gradient_are_those_of_the_whole_picture(
    height: int, width: int, objective: str, statistics: str, regions: bool, tileable: bool
) -> None:
    """Of each sample of a batch, to rounding; two of the sides that may be drawn are multiples of the tile's."""
    if tileable:
        height, width = height - height % 16, width - width % 16
    values: dict[str, Any] = {
        "objective": objective,
        "statistics": statistics,
        "tileable": tileable,
        "laplacian_weight": 0.1,
    }
    pairs = [pair(height, width, **values), pair(height, width, seed=1, **values, style_weight=3)]
    if regions:
        masks = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(1))
        pairs = [each.within(masks, [torch.ones(2, 1, 1)] * 2) for each in pairs]
    x = torch.stack([pixels(5, height, width), pixels(6, height, width)]).requires_grad_()
    found = []
    for saving in ("nothing", "tiles"):
        targets = targets_of(pairs, DOUBLE, None, saving)
        losses = Objective(DOUBLE, targets, [each.params for each in pairs], saving=saving)(x)
        found.append((losses.detach(), torch.autograd.grad(losses[:, 0].sum(), x)[0]))
    rounding = 1e-9 if statistics == "w2" else 1e-11  # roots of matrices magnify the last digits
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=rounding * theirs.abs().max().item())


def test_pictures_are_those_of_whole_transfers() -> None:
    """Over all scales, of which the coarse one is a single tile, with a batch-mate that leaves early."""
    early: dict[str, Any] = {"window": 2, "scales": "24"}
    pairs = [pair(50, 70, **early, min_improvement=1e-9), pair(50, 70, seed=1, **early, min_improvement=0.4)]
    for ours, theirs in zip(stylize_batch(pairs, DOUBLE, saving="tiles"), stylize_batch(pairs, DOUBLE), strict=True):
        np.testing.assert_allclose(ours.image, theirs.image, atol=1e-5)
        assert ours.iterations == theirs.iterations


def test_there_is_no_step_along_seams() -> None:
    """Of a picture in tiles, differences across their borders are no larger than elsewhere."""
    texture = dataclasses.replace(pair(40, 96, init="noise", iterations=8, scales="", content_weight=0.01), init=None)
    (result,) = stylize_batch([texture], DOUBLE, saving="tiles")
    across = np.abs(np.diff(result.image, axis=1)).mean((0, 2))
    seams = across[[31, 63]]
    assert seams.max() < across.mean() + 3 * across.std()


def test_targets_are_in_tiles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pass sees more than a tile with its halo, of the output, its content or a style."""
    seen: list[int] = []
    entry = Vgg19.entry

    def watched(self: Vgg19, x: Tensor, request: Request) -> Tensor:
        seen.append(max(x.shape[-2:]))
        return entry(self, x, request)

    monkeypatch.setattr(Vgg19, "entry", watched)
    stylize_batch([pair(90, 120, iterations=2, scales="")], DOUBLE, saving="tiles")
    assert len(seen) > 3 * 4
    assert max(seen) <= 32 + 4 + 2 * 12
