"""The loop over scales and iterations: pairs in, pictures and loss curves out."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.encoder import Vgg19, computing_in, load_weights, resolve_precision
from nst_kernel.objective import GramCache, Objective, targets_of
from nst_kernel.pair import Pair
from nst_kernel.params import StyleParams
from nst_kernel.pictures import MIN_SIDE, fit, resize, to_tensor
from nst_kernel.result import StylizeResult
from nst_kernel.transfer.one_scale import Descent, Stopped, descend
from nst_kernel.transfer.state import Interrupted, State, StateError, below, digest, listed, named, numbered

Progress = Callable[[int, int], bool | None]
"""Called with (iterations done, iterations in all), after each one; says True, and goes on saying so, to have the
transfer interrupted.

On a GPU it is called some iterations early: the host is at most eight ahead of the device."""


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
        params: its `size` is the long side of the output, and of the style before its features are taken.
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
        targets = targets_of(at_scale, encoder, grams)
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
