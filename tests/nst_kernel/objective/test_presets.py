"""Presets against the programs that they are named after, each written down here from its formula, in float64.

Two things differ from the programs, knowingly, and are the kernel's here too: convolutions continue a picture as in a
mirror, where VGG has zeros; layers are those after the ReLU, where the tutorial takes them before.
"""

from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel import Pair, StyleParams, Vgg19, Weights
from nst_kernel.layers import LAYERS, shape_of
from nst_kernel.objective import Objective, targets_of
from nst_kernel.transfer.iterates import Iterates
from tests.support import pixels

CONTENT, STYLE = pixels(0, 32, 48), pixels(1, 48, 32)
BGR_MEAN = torch.tensor((103.939, 116.779, 123.680), dtype=torch.float64).view(1, 3, 1, 1)
RGB_MEAN = torch.tensor((0.485, 0.456, 0.406), dtype=torch.float64).view(1, 3, 1, 1)
RGB_DEVIATION = torch.tensor((0.229, 0.224, 0.225), dtype=torch.float64).view(1, 3, 1, 1)
FIVE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def narrow(input: str) -> Weights:
    """A VGG-19 with an eighth of its filters, drawn at random."""
    generator = torch.Generator().manual_seed(0)
    convolutions: dict[str, tuple[Tensor, Tensor]] = {}
    for layer in LAYERS[: LAYERS.index("conv5_1") + 1]:
        filters, channels, *_ = shape_of(layer)
        shape = filters // 8, 3 if channels == 3 else channels // 8, 3, 3
        weight = torch.randn(shape, generator=generator) * (2 / (9 * shape[1])) ** 0.5
        convolutions[layer] = weight, 0.1 * torch.randn(shape[0], generator=generator)
    return Weights("narrow", "", convolutions, "bgr255" if input == "bgr255" else "rgb")


def features(x: Tensor, weights: Weights, layers: Iterable[str]) -> dict[str, Tensor]:
    """Activations of what a program feeds to its network, with maximum pooling as all of them have it."""
    found: dict[str, Tensor] = {}
    for layer, (weight, bias) in weights.convolutions.items():
        if layer in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
            x = nnf.max_pool2d(x, 2)
        x = nnf.conv2d(nnf.pad(x, (1, 1, 1, 1), "reflect"), weight.double(), bias.double()).relu()
        found[layer] = x
    return {layer: found[layer] for layer in layers}


def bgr(x: Tensor) -> Tensor:
    return 255 * x.flip(1) - BGR_MEAN


def gram(F: Tensor) -> Tensor:
    return F[0].flatten(1) @ F[0].flatten(1).T


def gatys(x: Tensor, content: Tensor, style: Tensor, weights: Weights) -> Tensor:
    """The notebook: MSE of Gram matrices over positions, times 1000/N², and MSE of content."""
    F, P, S = (features(bgr(y), weights, (*FIVE, "conv4_2")) for y in (x, content, style))
    total = nnf.mse_loss(F["conv4_2"], P["conv4_2"])
    for layer in FIVE:
        N, M, M_style = F[layer].shape[1], F[layer][0, 0].numel(), S[layer][0, 0].numel()
        total = total + 1e3 / N**2 * nnf.mse_loss(gram(F[layer]) / M, gram(S[layer]) / M_style)
    return total


def variation(y: Tensor) -> Tensor:
    """neural_style.lua's TVLoss, which has a gradient alone, written by hand: as a loss that has this gradient."""
    x = y.detach()
    across, down = x[..., :-1, :-1] - x[..., :-1, 1:], x[..., :-1, :-1] - x[..., 1:, :-1]
    gradient = torch.zeros_like(x)
    gradient[..., :-1, :-1] += across + down
    gradient[..., :-1, 1:] -= across
    gradient[..., 1:, :-1] -= down
    return 0.5 * (across.square().sum() + down.square().sum()) + (gradient * (y - x)).sum()


def johnson(x: Tensor, content: Tensor, style: Tensor, weights: Weights) -> Tensor:
    """neural_style.lua, with pixels up to 255 where it has 256."""
    F, P, S = (features(bgr(y), weights, (*FIVE, "conv4_2")) for y in (x, content, style))
    total = 5e0 * nnf.mse_loss(F["conv4_2"], P["conv4_2"])
    for layer in FIVE:
        total = total + 1e2 * nnf.mse_loss(gram(F[layer]) / F[layer].numel(), gram(S[layer]) / S[layer].numel())
    return total + 1e-3 * variation(bgr(x))


def anishathalye(x: Tensor, content: Tensor, style: Tensor, weights: Weights) -> Tensor:
    """stylize.py, whose l2_loss is half a sum of squares."""
    y = bgr(x)
    F, P, S = (features(y, weights, (*FIVE, "conv4_2")) for y in (y, bgr(content), bgr(style)))
    total = 5e0 * 2 * (0.5 * ((F["conv4_2"] - P["conv4_2"]) ** 2).sum()) / P["conv4_2"].numel()
    for layer in FIVE:
        G, A = gram(F[layer]) / F[layer].numel(), gram(S[layer]) / S[layer].numel()
        total = total + 5e2 / 5 * 2 * (0.5 * ((G - A) ** 2).sum()) / A.numel()
    down, across = y[:, :, 1:] - y[:, :, :-1], y[..., 1:] - y[..., :-1]
    return total + 1e2 * 2 * (0.5 * (down**2).sum() / down.numel() + 0.5 * (across**2).sum() / across.numel())


def tutorial(x: Tensor, content: Tensor, style: Tensor, weights: Weights) -> Tensor:
    """neural_style_tutorial.py."""
    layers = LAYERS[:5]
    F, P, S = (features((y - RGB_MEAN) / RGB_DEVIATION, weights, layers) for y in (x, content, style))
    styles = (nnf.mse_loss(gram(F[k]) / F[k].numel(), gram(S[k]) / S[k].numel()) for k in layers)
    total = nnf.mse_loss(F[layers[3]], P[layers[3]])
    for loss in styles:
        total = total + 1000000 * loss
    return total


def crowsonkb(x: Tensor, content: Tensor, style: Tensor, weights: Weights) -> Tensor:
    """style_transfer.py, with the trace of a root by eigenvalues, where it iterates."""
    F, P, S = (features((y - RGB_MEAN) / RGB_DEVIATION, weights, (*FIVE, "conv4_2")) for y in (x, content, style))
    total = 0.015 * nnf.mse_loss(F["conv4_2"], P["conv4_2"])
    for layer, weight in zip(FIVE, (256, 64, 16, 4, 1), strict=True):
        (mean, covariance), (mean_s, covariance_s) = (normal(features[layer]) for features in (F, S))
        values, vectors = torch.linalg.eigh(covariance_s)
        root = vectors @ values.sqrt().diag() @ vectors.T
        roots = torch.linalg.eigvalsh(root @ covariance @ root).sqrt().sum()
        spread = (covariance.trace() + covariance_s.trace() - 2 * roots) / len(mean)
        total = total + weight / 341 * ((mean - mean_s).square().mean() + spread)
    p = nnf.pad(x, (1, 1, 1, 1), "replicate")
    inner = p[..., 1:-1, 1:-1]
    straight = (p[..., 1:-1, 2:] - inner).square().mean() / 3 + (p[..., 2:, 1:-1] - inner).square().mean() / 3
    falling, rising = p[..., 1:, 1:] - p[..., :-1, :-1], p[..., 1:, :-1] - p[..., :-1, 1:]
    return total + 2 * 2 * (straight + falling.square().mean() / 12 + rising.square().mean() / 12)


def normal(F: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of features (1, N, H, W), with the program's 1e-4 on the diagonal."""
    f = F[0].flatten(1)
    mean = f.mean(1)
    return mean, f @ f.T / f.shape[1] - mean.outer(mean) + 1e-4 * torch.eye(len(f), dtype=f.dtype)


Program = Callable[[Tensor, Tensor, Tensor, Weights], Tensor]
PROGRAMS: dict[str, tuple[Program, str]] = {
    "gatys2016": (gatys, "bgr255"),
    "johnson": (johnson, "bgr255"),
    "anishathalye": (anishathalye, "bgr255"),
    "crowsonkb": (crowsonkb, "rgb"),
    "tutorial": (tutorial, "rgb"),
}


@pytest.mark.parametrize("preset", PROGRAMS)
def test_two_evaluations_are_those_of_the_program(preset: str) -> None:
    """At a picture and a step further on: loss and gradient."""
    program, input = PROGRAMS[preset]
    weights = narrow(input)
    encoder, params = Vgg19(weights).double(), StyleParams(preset=preset)
    objective = Objective(encoder, targets_of([Pair.of(CONTENT, STYLE, params)], encoder), [params])
    x = pixels(2, 32, 48).unsqueeze(0)
    for _ in range(2):
        x = x.detach().requires_grad_()
        expected = program(x, CONTENT.unsqueeze(0), STYLE.unsqueeze(0), weights)
        (wanted,) = torch.autograd.grad(expected, x)
        losses = objective(x)
        (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
        # The kernel keeps the mean and deviation of its input in float32.
        torch.testing.assert_close(losses[0, 0], expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item())
        x = x - 0.05 * gradient.sign()


@pytest.mark.parametrize(
    ("preset", "unit", "rate", "beta2", "clamps"),
    [("anishathalye", 255, 1e1, 0.999, False), ("crowsonkb", 1, 0.02, 0.99, True)],
)
def test_steps_of_adam_are_those_of_the_program(
    preset: str, unit: float, rate: float, beta2: float, clamps: bool
) -> None:
    """In its own unit of pixels, with what it does after a step."""
    program, input = PROGRAMS[preset]
    weights = narrow(input)
    encoder, params = Vgg19(weights).double(), StyleParams(preset=preset)
    objective = Objective(encoder, targets_of([Pair.of(CONTENT, STYLE, params)], encoder), [params])
    y = unit * pixels(2, 32, 48).unsqueeze(0)
    iterates = Iterates(objective, y / unit, [params], 4)
    y.requires_grad_()
    adam = torch.optim.Adam([y], lr=rate, betas=(0.9, beta2), eps=1e-8)
    for _ in range(3):
        iterates.iterate()
        (y.grad,) = torch.autograd.grad(program(y / unit, CONTENT.unsqueeze(0), STYLE.unsqueeze(0), weights), y)
        adam.step()
        if clamps:
            y.data.clamp_(0, unit)
        torch.testing.assert_close(iterates.x, y.detach() / unit, rtol=0, atol=1e-4)
