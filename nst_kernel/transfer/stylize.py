"""The loop over scales and iterations: pairs in, pictures and loss curves out."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.encoder.load import load_weights
from nst_kernel.encoder.precision import computing_in, resolve_precision
from nst_kernel.encoder.vgg import Vgg19
from nst_kernel.objective.gram_cache import GramCache
from nst_kernel.objective.objective import Objective, Targets, content_features, style_grams
from nst_kernel.params.style_params import StyleParams
from nst_kernel.pictures.sizes import MIN_SIDE, fit
from nst_kernel.result import StylizeResult
from nst_kernel.transfer.one_scale import Descent, Stopped, descend
from nst_kernel.transfer.state import Interrupted, State, StateError, below, digest, listed, named, numbered

Progress = Callable[[int, int], bool | None]
"""Called with (iterations done, iterations in all), after each one; says True, and goes on saying so, to have the
transfer interrupted.

On a GPU it is called some iterations early: the host is at most eight ahead of the device."""


@dataclass(frozen=True)
class Pair:
    """One sample of a batch. Pictures are (3, H, W), RGB in [0, 1]; the output has the content's shape.

    Attributes:
        content: the content picture; with `content_weight` 0 it may be absent, and the output has the style's shape.
        style: the style picture, of any shape; with `style_weight` 0 it may be absent.
        init: where the pixels start if `params.init` is neither content, noise nor style.
        style_key: a digest of the style picture by which its Gram matrices are cached; none: they are not.
    """

    content: Tensor | None
    style: Tensor | None
    params: StyleParams
    init: Tensor | None = None
    style_key: str | None = None

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


def stylize_batch(
    pairs: Sequence[Pair],
    encoder: Vgg19,
    *,
    progress: Progress | None = None,
    grams: GramCache | None = None,
    checkpoint: bool = False,
    resume: State | None = None,
) -> list[StylizeResult]:
    """Optimise pairs together, each as if it were alone, at the shapes they come in.

    Args:
        pairs: what to optimise.
        encoder: on the device to use.
        progress: called after each iteration; True interrupts.
        grams: where to look for, and leave, the Gram matrices of styles that have a `style_key`.
        checkpoint: less than half the memory for a third more time; the same pictures.
        resume: where the same pairs stood when they were interrupted. What comes out is what would have come out, on a
            CPU with as many threads to the bit.

    Raises:
        ValueError: if two pairs differ in the shape of their output or in `StyleParams.graph`.
        Interrupted: with the state, when `progress` says so before the last iteration.
        StateError: if `resume` is of other parameters, another shape, encoder or version.
    """
    shape, params = pairs[0].shape, pairs[0].params
    if any(pair.shape != shape or pair.params.graph != params.graph for pair in pairs):
        raise ValueError("pairs of one batch must agree in the shape of their output and in StyleParams.graph")
    schedule = params.schedule(max(shape))
    total = sum(iterations for _, iterations in schedule)
    precision = resolve_precision(params.precision, encoder.mean.device)
    request = digest(shape, [pair.params for pair in pairs], encoder.sha256, encoder.mean.dtype, precision)
    tensors = _checked(resume, request)
    descents = [Descent(**part).to(encoder.mean.device) for part in listed("scale", tensors)]
    done = sum(iterations for _, iterations in schedule[: len(descents)])
    walk = below("walk", tensors) or None
    for side, iterations in schedule[len(descents) :]:
        at_scale = [_scaled(pair, side / max(shape)) for pair in pairs]
        x = resize(descents[-1].x, at_scale[0].shape) if descents else _start(at_scale, encoder)
        targets = _targets(at_scale, encoder, grams)
        objective = Objective(encoder, targets, [pair.params for pair in pairs], checkpoint=checkpoint)
        tick = (lambda k, done=done: progress(done + k, total) and done + k < total) if progress else None
        try:
            with computing_in(precision):  # gradients too
                descent = descend(objective, x, objective.params, iterations=iterations, tick=tick, resume=walk)
        except Stopped as stop:
            kept = numbered("scale", [descent.to_tensors() for descent in descents]) | named("walk", stop.tensors)
            results = _results([*descents, stop.so_far], objective.names) if side == schedule[-1][0] else []
            raise Interrupted(
                State.of(request, kept),
                iteration=done + stop.iteration,
                finished={b: result for b, result in enumerate(results) if stop.ended[b]},
            ) from None
        descents.append(descent)
        walk, done = None, done + iterations
    return _results(descents, objective.names)


def _checked(state: State | None, request: str) -> Mapping[str, Tensor]:
    if state is None:
        return {}
    if state.request != request:
        raise StateError("a state of other parameters, another shape, encoder or version")
    return state.tensors


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


def _targets(pairs: Sequence[Pair], encoder: Vgg19, cache: GramCache | None = None) -> Targets:
    shared = pairs[0].params
    content: dict[str, Tensor] = {}
    style: dict[str, Tensor] = {}
    if shared.content_weight > 0:
        pictures = torch.stack([pair.content.to(encoder.mean) for pair in pairs if pair.content is not None])
        content = content_features(encoder, pictures, shared)
    if shared.style_weight > 0:
        matrices = [_grams(pair, encoder, cache) for pair in pairs]
        style = {layer: torch.cat([of_pair[layer] for of_pair in matrices]) for layer in shared.style_layers}
    return Targets(content, style)


def _grams(pair: Pair, encoder: Vgg19, cache: GramCache | None) -> Mapping[str, Tensor]:
    """A/M of a pair's style by layer, computed once for all pairs that share it."""
    assert pair.style is not None
    picture, params = pair.style.to(encoder.mean).unsqueeze(0), pair.params
    if cache is None or pair.style_key is None:
        return style_grams(encoder, picture, params)
    precision = resolve_precision(params.precision, picture.device)
    key = (pair.style_key, tuple(picture.shape), params.style_layers, params.pooling, precision, encoder.sha256)
    return cache.get(key, lambda: style_grams(encoder, picture, params))


def _results(descents: Sequence[Descent], names: Sequence[str]) -> list[StylizeResult]:
    x = descents[-1].x
    images = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    final = descents[-1].losses.double().cpu().numpy()
    diverged = torch.stack([descent.diverged for descent in descents]).any(0).cpu().tolist()
    made = [descent.iterations.cpu().tolist() for descent in descents]
    curves = [descent.curves.double().cpu().numpy() for descent in descents]

    def curve(b: int, k: int) -> NDArray[np.float64]:
        return np.concatenate([of[: n[b], b, k] for of, n in zip(curves, made, strict=True)])

    return [
        StylizeResult(
            image=images[b],
            diverged=diverged[b],
            losses={name: float(final[b, k]) for k, name in enumerate(names)},
            curve={name: curve(b, k) for k, name in enumerate(names)},
            iterations=sum(n[b] for n in made),
        )
        for b in range(len(images))
    ]


def to_tensor(image: Any, device: torch.device | None = None) -> Tensor:
    """(3, H, W) in [0, 1] on a device from uint8 (H, W, 3), which travels as it is, without being waited for.

    Raises:
        ValueError: for another shape or type.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ValueError(f"expected a uint8 picture (H, W, 3), got {array.dtype} {array.shape}")
    pixels = torch.from_numpy(array.copy())
    if device is not None and device.type == "cuda":
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return pixels.permute(2, 0, 1).float() / 255


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

    return dataclasses.replace(pair, content=smaller(pair.content), style=smaller(pair.style), init=smaller(pair.init))
