"""The pass that is written by hand, against autograd on the same convolutions."""

import weakref
from collections.abc import Sequence
from typing import Literal

import pytest
import torch
import torch.nn.functional as nnf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel import LAYERS, Vgg19, Weights
from nst_kernel.encoder import GRAM, MOMENTS, Border, Distance, Gram, Request, Statistic, strips
from nst_kernel.objective.losses import gram
from tests.support import encoder, pixels, random_weights

DEEPEST = "conv3_2"
REACHED = LAYERS[: LAYERS.index(DEEPEST) + 1]


def network(border: Border = "zero", kind: Literal["rgb", "bgr255"] = "rgb") -> Vgg19:
    weights = random_weights(0, DEEPEST, narrower=8)
    return Vgg19(Weights("w", "", weights.convolutions, input=kind, border=border)).double()


def by_autograd(vgg: Vgg19, x: Tensor, pooling: str) -> dict[str, Tensor]:
    """Every activation, by operations that autograd differentiates one by one."""
    mode = "constant" if vgg.border == "zero" else vgg.border
    if vgg.input == "bgr255":
        x = x.flip(1)
    x = (x - vgg.mean) * vgg.scale
    activations = {}
    for layer in vgg.layers:
        if layer in ("conv2_1", "conv3_1"):
            x = nnf.avg_pool2d(x, 2) if pooling == "avg" else nnf.max_pool2d(x, 2)
        weight, bias = vgg.get_buffer(f"{layer}_weight"), vgg.get_buffer(f"{layer}_bias")
        x = nnf.relu(nnf.conv2d(nnf.pad(x, (1, 1, 1, 1), mode=mode), weight, bias))
        activations[layer] = x
    return activations


def of_positions(F: Tensor, means: bool) -> Tensor:
    """The Gram matrix per position, and as its last column the mean over positions."""
    per_position = gram(F) / F[0, 0].numel()
    return torch.cat([per_position, F.mean((2, 3)).unsqueeze(2)], 2) if means else per_position


def some_loss(tensors: Sequence[Tensor]) -> Tensor:
    """Of no symmetry, so that a transposed or a forgotten part shows."""
    generator = torch.Generator().manual_seed(1)
    values = [(t * torch.randn(t.shape, generator=generator, dtype=t.dtype)).sum() for t in tensors]
    return torch.stack(values).square().sum()


layers = st.lists(st.sampled_from(REACHED), unique=True, max_size=4)


@given(
    features=layers,
    grams=layers,
    distances=layers,
    pooling=st.sampled_from(["avg", "max"]),
    border=st.sampled_from(["zero", "replicate", "reflect", "circular"]),
    kind=st.sampled_from(["rgb", "bgr255"]),
    checkpoint=st.booleans(),
    means=st.booleans(),
    height=st.integers(16, 23),
    width=st.integers(16, 23),
    rows=st.sampled_from([2, 6, 8, 64]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_and_gradients_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch,
    features: list[str],
    grams: list[str],
    distances: list[str],
    pooling: Literal["avg", "max"],
    border: Border,
    kind: Literal["rgb", "bgr255"],
    checkpoint: bool,
    means: bool,
    height: int,
    width: int,
    rows: int,
) -> None:
    if not features and not grams and not distances:
        features = [DEEPEST]
    monkeypatch.setattr(strips, "ROWS", rows)
    vgg = network(border, kind)
    x = torch.stack([pixels(0, height, width), pixels(1, height, width)]).requires_grad_()
    activations = by_autograd(vgg, x, pooling)
    targets = {layer: activations[layer].detach().roll(1, 3) for layer in distances}
    wanted: dict[str, Statistic] = dict.fromkeys(grams, MOMENTS if means else GRAM)
    wanted |= {f"{layer}/content": Distance(P) for layer, P in targets.items()}
    activated, statistics = vgg.observe(x, features, wanted, pooling=pooling, checkpoint=checkpoint)
    actual = [*activated.values(), *statistics.values()]
    expected = [
        *(activations[layer] for layer in features),
        *(of_positions(activations[layer], means) for layer in grams),
        *((activations[layer] - P).square().sum((1, 2, 3)) / P[0, 0].numel() for layer, P in targets.items()),
    ]
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(some_loss(actual), x)
    (reference,) = torch.autograd.grad(some_loss(expected), x)
    torch.testing.assert_close(gradient, reference, rtol=1e-8, atol=1e-8 * reference.abs().max().item())


@pytest.mark.parametrize("border", ["zero", "replicate", "reflect", "circular"])
def test_the_way_back_where_a_layer_has_a_single_position(border: Border) -> None:
    x = pixels(0, 16, 40).unsqueeze(0).requires_grad_()
    along = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)

    def loss(picture: Tensor) -> Tensor:
        features, _ = encoder(dtype=torch.float64, narrower=8).observe(picture, ["conv5_2"], border=border)
        return features["conv5_2"].square().sum()

    (gradient,) = torch.autograd.grad(loss(x), x)
    up, down = (loss(x.detach() + step * along).item() for step in (1e-7, -1e-7))
    assert (gradient * along).sum().item() == pytest.approx((up - down) / 2e-7, rel=1e-5)


def test_what_is_kept_is_used_up_by_the_way_back() -> None:
    x = pixels(0, 16, 16).unsqueeze(0).requires_grad_()
    features, _ = network().observe(x, ["conv2_1"])
    loss = features["conv2_1"].sum()
    torch.autograd.grad(loss, x, retain_graph=True)
    with pytest.raises(RuntimeError, match="used up by its first way back"):
        torch.autograd.grad(loss, x)


class Watched(Gram):
    """A Gram matrix that notes which layers' activations are still there when it is taken of another one."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Tensor]] = []
        self.alive: list[int] = []

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return what `Gram.of` does."""
        self.alive.append(sum(each() is not None for each in self.seen))
        self.seen.append(weakref.ref(F))
        return super().of(F, M, dtype)


def test_the_largest_activation_is_not_kept_while_deeper_ones_are_computed() -> None:
    """With its 128 bytes per pixel the end of the way through would be where memory is at its most."""
    watched, x = Watched(), pixels(0, 16, 16).unsqueeze(0).requires_grad_()
    network().observe(x, (), dict.fromkeys(["conv1_1", "conv2_1", "conv2_2"], watched))
    assert watched.alive == [0, 0, 1]


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_of_layers_of_which_nothing_is_made_a_byte_for_each_value_is_kept(pooling: Literal["avg", "max"]) -> None:
    """Half of a pass's memory was theirs."""
    request = Request(
        ("conv3_1",),
        {"conv1_1": GRAM, "conv2_1/content": Distance(torch.zeros(1))},
        (("conv1_1", "conv1_2"), ("conv2_1", "conv2_2"), ("conv3_1", "conv3_2")),
        pooling,
        torch.float64,
    )
    F = torch.tensor([0.0, 0.5]).double()
    of_blocks = zip(request.blocks, ("conv1_2", "conv2_2", ""), strict=True)
    kept: dict[str, Tensor] = {}
    for layers, pooled in of_blocks:
        kept |= request.kept(dict.fromkeys(layers, F), pooled)
    signs = {layer for layer, kept_of in kept.items() if kept_of.dtype == torch.bool}
    assert signs == ({"conv1_2", "conv2_2", "conv3_2"} if pooling == "avg" else {"conv3_2"})
    assert kept["conv3_2"].tolist() == [False, True]
    assert all(kept[layer] is F for layer in kept.keys() - signs)


def test_targets_are_taken_without_a_way_back() -> None:
    x = pixels(0, 16, 16).unsqueeze(0)
    features, grams = network().observe(x, ["conv2_1"], {"conv1_1": GRAM})
    assert not features["conv2_1"].requires_grad
    assert not grams["conv1_1"].requires_grad


def test_the_gradient_of_the_loss_is_left_as_it_was() -> None:
    """A gradient that autograd shares with others must not be worked on in place."""
    x = pixels(0, 16, 16, torch.float32).unsqueeze(0).requires_grad_()
    vgg = Vgg19(random_weights(0, "conv1_2"))
    features, _ = vgg.observe(x, ["conv1_2"])
    given_gradient = torch.ones_like(features["conv1_2"])
    torch.autograd.grad(features["conv1_2"], x, given_gradient)
    assert torch.equal(given_gradient, torch.ones_like(given_gradient))
