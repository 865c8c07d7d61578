"""Statistics by region, against sums over positions that are written out, and against autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel.encoder import GRAM, MOMENTS, Border, Gram, Guided, strips
from nst_kernel.layers import beyond
from tests.nst_kernel.encoder.test_passes import by_autograd, network, some_loss
from tests.support import pixels

LAYERS = ("conv1_1", "conv2_2", "conv3_1")


def soft_masks(shape: tuple[int, int], regions: int, *, partition: bool, seed: int = 3) -> Tensor:
    """Masks (2, R, h, w) of two pictures, a third of them 0."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand((2, regions, *shape), generator=generator, dtype=torch.float64)
    masks = masks * (torch.rand(masks.shape, generator=generator) > 0.3) + 1e-3 * partition
    return masks / masks.sum(1, keepdim=True) if partition else masks


def by_layer(inner: Gram, regions: int, *, partition: bool) -> dict[str, Guided]:
    """Of pictures of 19 x 22 pixels."""
    shapes = {"conv1_1": (19, 22), "conv2_2": (9, 11), "conv3_1": (4, 5)}
    return {layer: Guided.by(inner, soft_masks(shapes[layer], regions, partition=partition)) for layer in LAYERS}


def written_out(F: Tensor, masks: Tensor, *, means: bool) -> Tensor:
    """Σ_p t_rp F_p F_pᵀ / Σ_p t_rp, and Σ_p t_rp F_p / Σ_p t_rp as its last column."""
    second = torch.einsum("bnhw,bmhw,brhw->brnm", F, F, masks)
    first = torch.einsum("bnhw,brhw->brn", F, masks)
    sums = torch.cat([second, first.unsqueeze(3)], 3) if means else second
    return sums / masks.sum((2, 3))[:, :, None, None]


@given(
    border=st.sampled_from(["zero", "reflect", "circular"]),
    checkpoint=st.booleans(),
    means=st.booleans(),
    regions=st.integers(1, 3),
    rows=st.sampled_from([6, 64]),
)
@settings(max_examples=8)
def test_values_and_gradients_are_those_of_autograd(
    border: Border, checkpoint: bool, means: bool, regions: int, rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "ROWS", rows)
        vgg = network(border)
        x = torch.stack([pixels(0, 19, 22), pixels(1, 19, 22)]).requires_grad_()
        wanted = by_layer(MOMENTS if means else GRAM, regions, partition=False)
        features, statistics = vgg.observe(x, ["conv2_2"], wanted, checkpoint=checkpoint)
        activations = by_autograd(vgg, x, "avg")
        actual = [*features.values(), *statistics.values()]
        expected = [
            activations["conv2_2"],
            *(written_out(activations[layer], wanted[layer].masks, means=means) for layer in LAYERS),
        ]
        for a, b in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        (gradient,) = torch.autograd.grad(some_loss(actual), x)
        (reference,) = torch.autograd.grad(some_loss(expected), x)
        torch.testing.assert_close(gradient, reference, rtol=1e-8, atol=1e-8 * reference.abs().max().item())


@pytest.mark.parametrize("inner", [GRAM, MOMENTS])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_regions_that_add_up_to_the_picture_have_its_statistic_together(inner: Gram, checkpoint: bool) -> None:
    x = torch.stack([pixels(0, 19, 22), pixels(1, 19, 22)])
    wanted = by_layer(inner, 3, partition=True)
    parts = network().observe(x, (), wanted, checkpoint=checkpoint)[1]
    whole = network().observe(x, (), dict.fromkeys(LAYERS, inner), checkpoint=checkpoint)[1]
    for layer, guided in wanted.items():
        shares = guided.masks.mean((2, 3))[:, :, None, None]
        torch.testing.assert_close((parts[layer] * shares).sum(1), whole[layer], rtol=1e-12, atol=1e-12)


def test_masks_of_ones_are_no_masks() -> None:
    x = torch.stack([pixels(0, 19, 22), pixels(1, 19, 22)])
    ones = Guided.by(GRAM, torch.ones(2, 1, 19, 22, dtype=x.dtype))
    guided, plain = (network().observe(x, (), {"conv1_2": each})[1]["conv1_2"] for each in (ones, GRAM))
    torch.testing.assert_close(guided[:, 0], plain, rtol=1e-12, atol=1e-12)


def test_a_region_that_is_nowhere_has_nothing() -> None:
    x = pixels(0, 16, 16).unsqueeze(0).requires_grad_()
    masks = torch.stack([torch.ones(16, 16), torch.zeros(16, 16)]).double().unsqueeze(0)
    found = network().observe(x, (), {"conv1_1": Guided.by(GRAM, masks)})[1]["conv1_1"]
    assert (found[:, 1] == 0).all()
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("layer", ["conv1_1", "conv2_1", "conv3_1", "conv3_2"])
def test_how_far_a_layer_sees_beyond_its_own_square(layer: str) -> None:
    vgg, side = network(), 96
    x = pixels(0, side, side).unsqueeze(0).requires_grad_()
    F = by_autograd(vgg, x, "avg")[layer]
    middle, step = F.shape[-1] // 2, side // F.shape[-1]
    (gradient,) = torch.autograd.grad(F[0, :, middle, middle].square().sum(), x)
    seen = gradient.abs().sum((0, 1, 2)).nonzero()[:, 0]
    around = max(middle * step - int(seen.min()), int(seen.max()) - ((middle + 1) * step - 1))
    assert beyond(layer) == -(-around // step)
