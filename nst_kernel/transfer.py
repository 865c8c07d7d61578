"""The loop over scales and iterations: pairs in, pictures and loss curves out."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel.adam import Adam
from nst_kernel.lbfgs import LBFGS
from nst_kernel.objective import Objective, Targets, content_features, style_grams
from nst_kernel.params import StyleParams
from nst_kernel.precision import computing_in, resolve_precision
from nst_kernel.result import StylizeResult
from nst_kernel.sizes import MIN_SIDE, fit
from nst_kernel.vgg import Vgg19
from nst_kernel.weights import load_weights

Progress = Callable[[int, int], None]
"""Called with (iterations done, iterations in all), after each one."""


FIRST_STEP, MAX_STEP = 0.005, 0.05
"""Root mean square, in pixel values of [0, 1], of L-BFGS' first step and of any at most."""


@dataclass(frozen=True)
class Pair:
    """One sample of a batch. Pictures are (3, H, W), RGB in [0, 1]; the output has the content's shape.

    Attributes:
        content: the content picture; with `content_weight` 0 it may be absent, and the output has the style's shape.
        style: the style picture, of any shape; with `style_weight` 0 it may be absent.
        init: where the pixels start if `params.init` is neither content, noise nor style.
    """

    content: Tensor | None
    style: Tensor | None
    params: StyleParams
    init: Tensor | None = None

    def __post_init__(self) -> None:
        needs = {"content": self.params.needs_content, "style": self.params.needs_style}
        if self.params.init not in ("content", "noise", "style"):
            needs["init"] = True
        for name, needed in needs.items():
            if needed and getattr(self, name) is None:
                raise ValueError(f"a pair without its {name} picture, which these parameters need")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the output."""
        picture = self.content if self.content is not None else self.style
        assert picture is not None
        return picture.shape[-2], picture.shape[-1]


def stylize(
    content: Any = None,
    style: Any = None,
    params: StyleParams | None = None,
    *,
    encoder: Vgg19 | str = "embedded",
    init: Any = None,
    progress: Progress | None = None,
) -> StylizeResult:
    """Give one content picture the style of another.

    Args:
        content: uint8 (H, W, 3) RGB, or anything that NumPy reads as that, such as a PIL image in mode RGB.
        style: the same.
        params: every knob; its `size` is the long side of the output, and of the style before its features are taken.
        encoder: an encoder, or what `load_weights` takes.
        init: a picture to start from, whatever `params.init` says.
        progress: called after each iteration.

    Raises:
        ValueError: for a picture of another shape or type, or one that the parameters need and lack.
        WeightsError: if the encoder's weights are not to be had.
    """
    params = params or StyleParams()
    if init is not None:
        params = dataclasses.replace(params, init="./given")
    if isinstance(encoder, str):
        encoder = Vgg19(load_weights(encoder))
    pictures = [None if picture is None else to_tensor(picture) for picture in (content, style, init)]
    content, style, init = (
        None
        if p is None
        else resize(p, fit(p.shape[-2], p.shape[-1], size=params.size, upscale=params.upscale)).clamp(0, 1)
        for p in pictures
    )
    return stylize_batch([Pair(content, style, params, init)], encoder, progress=progress)[0]


def stylize_batch(pairs: Sequence[Pair], encoder: Vgg19, *, progress: Progress | None = None) -> list[StylizeResult]:
    """Optimise pairs together, each as if it were alone, at the shapes they come in.

    Raises:
        ValueError: if two pairs differ in the shape of their output or in `StyleParams.graph`.
    """
    shape, params = pairs[0].shape, pairs[0].params
    if any(pair.shape != shape or pair.params.graph != params.graph for pair in pairs):
        raise ValueError("pairs of one batch must agree in the shape of their output and in StyleParams.graph")
    scales = [*(side for side in params.scales if MIN_SIDE <= side < max(shape)), max(shape)]
    total = len(scales) * params.iterations
    x: Tensor | None = None
    curves, diverged = [], torch.zeros(len(pairs), dtype=torch.bool, device=encoder.mean.device)
    for index, side in enumerate(scales):
        at_scale = [_scaled(pair, side / max(shape)) for pair in pairs]
        x = _start(at_scale, encoder) if x is None else resize(x, at_scale[0].shape)
        objective = Objective(encoder, _targets(at_scale, encoder), [pair.params for pair in pairs])
        done = index * params.iterations
        tick = (lambda k, done=done: progress(done + k, total)) if progress else None
        with computing_in(resolve_precision(params.precision, x.device)):  # gradients too
            descent = descend(objective, x, [pair.params for pair in pairs], tick)
        x, diverged = descent.x, diverged | descent.diverged
        curves.append(descent.curves)
    assert x is not None
    return _results(x, descent.losses, torch.cat(curves), diverged, objective.names)


@dataclass(frozen=True)
class Descent:
    """Of one scale: the best iterates x (B, 3, H, W), their losses (B, K), curves (iterations, B, K), diverged (B,)."""

    x: Tensor
    losses: Tensor
    curves: Tensor
    diverged: Tensor


def descend(
    objective: Callable[[Tensor], Tensor],
    x: Tensor,
    params: Sequence[StyleParams],
    tick: Callable[[int], None] | None = None,
) -> Descent:
    """Minimise column 0 of `objective` over x (B, ...), each sample by itself.

    A sample whose loss or gradient is not finite goes back to its best iterate, forgets its history and is marked.
    Nothing in the loop waits for the device.
    """
    shared = params[0]
    default_rate = {"lbfgs": 1.0, "adam": 0.02}[shared.optimizer]
    rates = torch.tensor([p.learning_rate or default_rate for p in params], dtype=x.dtype, device=x.device)
    optimizer = (
        LBFGS(history=shared.history, learning_rate=rates, first_step=FIRST_STEP, max_step=MAX_STEP)
        if shared.optimizer == "lbfgs"
        else Adam(learning_rate=rates)
    )
    best_x, best_gradient = x, torch.zeros_like(x)
    curves: list[Tensor] = []
    diverged = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    best: Tensor | None = None
    for k in range(shared.iterations):
        x = x.detach().requires_grad_()
        losses = objective(x)
        (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
        losses, x = losses.detach(), x.detach()
        curves.append(losses)
        finite = torch.isfinite(losses[:, 0]) & torch.isfinite(gradient).flatten(1).all(1)
        diverged = diverged | ~finite
        if best is None:
            best = torch.full_like(losses, torch.nan)
        better = finite & ~(losses[:, 0] >= best[:, 0])  # also than none, a NaN
        best = torch.where(better.unsqueeze(1), losses, best)
        best_x = _choose(better, x, best_x)
        best_gradient = _choose(better, gradient, best_gradient)
        x = optimizer.step(_choose(finite, x, best_x), _choose(finite, gradient, best_gradient), restart=~finite)
        if tick:
            tick(k + 1)
    assert best is not None
    return Descent(best_x, best, torch.stack(curves), diverged)


def _choose(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Samples of a where mask (B,) is true, of b elsewhere; a value not chosen may be NaN."""
    return torch.where(mask.view(-1, *(1,) * (a.dim() - 1)), a, b)


def _start(pairs: Sequence[Pair], encoder: Vgg19) -> Tensor:
    """The first pixels (B, 3, H, W) of each sample, by its `init` and its own seed."""

    def first(pair: Pair) -> Tensor:
        if pair.params.init == "noise":
            # Drawn on the CPU, so that a seed means the same picture on every device.
            generator = torch.Generator().manual_seed(pair.params.seed)
            return torch.rand((3, *pair.shape), generator=generator)
        picture = {"content": pair.content, "style": pair.style}.get(pair.params.init, pair.init)
        assert picture is not None
        return resize(picture, pair.shape)

    return torch.stack([first(pair).to(encoder.mean) for pair in pairs])


def _targets(pairs: Sequence[Pair], encoder: Vgg19) -> Targets:
    shared = pairs[0].params
    content: dict[str, Tensor] = {}
    style: dict[str, Tensor] = {}
    if shared.content_weight > 0:
        pictures = torch.stack([pair.content.to(encoder.mean) for pair in pairs if pair.content is not None])
        content = content_features(encoder, pictures, shared)
    if shared.style_weight > 0:
        grams = [
            style_grams(encoder, pair.style.to(encoder.mean).unsqueeze(0), shared)
            for pair in pairs
            if pair.style is not None
        ]
        style = {layer: torch.cat([of_pair[layer] for of_pair in grams]) for layer in shared.style_layers}
    return Targets(content, style)


def _results(x: Tensor, losses: Tensor, curves: Tensor, diverged: Tensor, names: Sequence[str]) -> list[StylizeResult]:
    images = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    lost, final, curve = diverged.cpu().tolist(), losses.double().cpu().numpy(), curves.double().cpu().numpy()
    return [
        StylizeResult(
            image=images[b],
            diverged=lost[b],
            losses={name: float(final[b, k]) for k, name in enumerate(names)},
            curve={name: curve[:, b, k] for k, name in enumerate(names)},
            iterations=len(curve),
        )
        for b in range(len(images))
    ]


def to_tensor(image: Any) -> Tensor:
    """(3, H, W) in [0, 1] from uint8 (H, W, 3).

    Raises:
        ValueError: for another shape or type.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ValueError(f"expected a uint8 picture (H, W, 3), got {array.dtype} {array.shape}")
    return torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255


def resize(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Pictures (..., 3, H, W) at another (height, width), antialiased; the same ones if they have it."""
    if tuple(x.shape[-2:]) == tuple(shape):
        return x
    batched = x if x.dim() == 4 else x.unsqueeze(0)
    resized = nnf.interpolate(batched, size=shape, mode="bicubic", antialias=True, align_corners=False)
    return resized.view(*x.shape[:-2], *shape)


def _scaled(pair: Pair, ratio: float) -> Pair:
    """The pair with every picture smaller by one ratio, so that styles keep their size relative to contents."""

    def smaller(picture: Tensor | None) -> Tensor | None:
        if picture is None or ratio == 1:
            return picture
        shape = (
            max(MIN_SIDE, round(picture.shape[-2] * ratio)),
            max(MIN_SIDE, round(picture.shape[-1] * ratio)),
        )
        return resize(picture, shape).clamp(0, 1)

    return Pair(smaller(pair.content), smaller(pair.style), pair.params, smaller(pair.init))
