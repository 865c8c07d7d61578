"""Passes tile by tile, which are exact: values and gradients are those of one over the whole picture."""

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel.encoder import GRAM, MOMENTS, Border, Distance, Guided, Statistic, Vgg19, passes
from nst_kernel.encoder.request import Request
from nst_kernel.encoder.tiles import Own, TiledPass
from nst_kernel.objective.regions import masks_at
from tests.nst_kernel.encoder.test_passes import REACHED, network, some_loss
from tests.support import encoder, pixels

EXACT = 1e-12
layers = st.lists(st.sampled_from(REACHED), unique=True, max_size=3)


def pictures(height: int, width: int) -> Tensor:
    return torch.stack([pixels(0, height, width), pixels(1, height, width)]).requires_grad_()


def guided(inner: Statistic, names: list[str], height: int, width: int) -> dict[str, Statistic]:
    """Two soft regions, in each of two pictures."""
    generator = torch.Generator().manual_seed(7)
    masks = torch.rand((4, height, width), generator=generator, dtype=torch.float64)
    at = masks_at(masks, names, inside=False)
    assert isinstance(inner, type(GRAM))
    return {layer: Guided.by(inner, at[layer].view(2, 2, *at[layer].shape[1:])) for layer in names}


def both(
    x: Tensor,
    features: list[str],
    statistics: dict[str, Statistic],
    tile: int,
    border: Border,
    pooling: Literal["avg", "max"] = "avg",
) -> tuple[list[Tensor], list[Tensor]]:
    """Values and the gradient of a loss of them, tile by tile and whole."""
    found = []
    vgg = network(border)
    for side in (tile, 0):
        F, S = vgg.observe(x, features, statistics, tile=side, pooling=pooling)
        values = [*F.values(), *S.values()]
        found.append([*values, *torch.autograd.grad(some_loss(values), x)])
    return found[0], found[1]


@given(
    features=layers,
    named=layers,
    distances=layers,
    pooling=st.sampled_from(["avg", "max"]),
    border=st.sampled_from(["zero", "replicate", "reflect", "circular"]),
    inner=st.sampled_from([GRAM, MOMENTS]),
    regions=st.booleans(),
    height=st.integers(16, 56),
    width=st.integers(16, 56),
    tile=st.sampled_from([16, 20, 32]),
)
@settings(max_examples=12)
def test_values_and_gradients_are_those_of_the_whole(
    features: list[str],
    named: list[str],
    distances: list[str],
    pooling: Literal["avg", "max"],
    border: Border,
    inner: Statistic,
    regions: bool,
    height: int,
    width: int,
    tile: int,
) -> None:
    """Whether or not the sides of tiles divide those of the picture, and however much its halo is of a tile."""
    if not features and not named and not distances:
        features = [REACHED[-1]]
    if border == "circular":
        height, width = height - height % 4, width - width % 4
    statistics = guided(inner, named, height, width) if regions else dict.fromkeys(named, inner)
    P = network(border)(pictures(width, height).transpose(2, 3).detach(), distances, pooling=pooling)
    statistics |= {f"{layer}/content": Distance(P[layer]) for layer in distances}
    ours, theirs = both(pictures(height, width), features, statistics, tile, pooling=pooling, border=border)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=EXACT, atol=EXACT * b.abs().max().item())


def test_a_tile_of_one_row_has_its_gradient_of_its_own() -> None:
    """Of a single picture its positions lie side by side in memory, where a copy was none."""
    x = pictures(34, 47)[:1].detach().requires_grad_()
    named: dict[str, Statistic] = {"conv2_1": GRAM, "conv2_2": GRAM}
    ours, theirs = both(x, [], named, 32, border="reflect")
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=EXACT, atol=EXACT * b.abs().max().item())


def test_the_halo_covers_what_the_deepest_layer_sees() -> None:
    """Of real depth, where it is 80 px, and with statistics and features at once."""
    x = pixels(0, 150, 24).unsqueeze(0).requires_grad_()
    vgg = encoder("conv5_1", torch.float64, narrower=8)
    found = []
    for tile in (48, 0):
        F, S = vgg.observe(x, ["conv4_2"], {"conv1_1": GRAM, "conv5_1": MOMENTS}, tile=tile, border="reflect")
        values = [*F.values(), *S.values()]
        found.append([*values, *torch.autograd.grad(some_loss(values), x)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=EXACT, atol=EXACT * b.abs().max().item())


def test_a_tile_is_all_that_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pass is given has at most a tile with its halo; a picture of one tile is passed through once."""
    given_shapes: list[tuple[int, ...]] = []
    entry = Vgg19.entry

    def seen(self: Vgg19, x: Tensor, request: Request) -> Tensor:
        given_shapes.append(tuple(x.shape[-2:]))
        return entry(self, x, request)

    monkeypatch.setattr(Vgg19, "entry", seen)
    x = pixels(0, 200, 90).unsqueeze(0).requires_grad_()
    values = network().observe(x, ["conv2_1"], {"conv1_2": GRAM}, tile=32)[0]
    assert len(given_shapes) == 7 * 3
    assert max(max(shape) for shape in given_shapes) <= 32 + 2 * 4 + 1
    torch.autograd.grad(values["conv2_1"].sum(), x)
    given_shapes.clear()
    network().observe(x, ["conv2_1"], {"conv1_2": GRAM}, tile=200)
    assert given_shapes == [(200, 90)]


def test_what_goes_on_at_its_other_side_has_sides_that_are_pooled_evenly() -> None:
    with pytest.raises(ValueError, match="expected sides that are multiples of 4"):
        network("circular").observe(pictures(66, 64), ["conv3_1"], tile=16)


def test_without_tiles_there_is_no_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a pass over tiles")

    monkeypatch.setattr(TiledPass, "forward", never)
    assert passes.Pass.apply  # what is called instead
    network().observe(pictures(64, 64), ["conv2_1"])


@pytest.mark.parametrize("cut", [0, 3, 7, 12])
@pytest.mark.parametrize("regions", [False, True])
def test_parts_of_a_tile_add_up_to_it(regions: bool, cut: int) -> None:
    """Cut before its own positions, within them, or behind them."""
    F = torch.rand(2, 8, 12, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    inner = guided(GRAM, ["conv1_1"], 6, 5)["conv1_1"] if regions else GRAM
    own = Own(inner, (slice(2, 8), slice(1, 6)), 30, 100)
    total = torch.zeros(())
    for rows in (slice(0, cut), slice(cut, None)):
        part = own.part(rows, slice(None))
        assert isinstance(part, Own)
        if part.positions:
            at = F[:, :, rows]
            total = total + part.of(at, at[0, 0].numel(), F.dtype) * (1 if regions else part.positions)
    torch.testing.assert_close(total, own.of(F, F[0, 0].numel(), F.dtype) * (1 if regions else own.positions))
