"""The loop over scales, coarse to fine: pairs in, pictures and loss curves out."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.cost import Saving
from nst_kernel.encoder import Vgg19, computing_in, resolve_precision
from nst_kernel.objective import GramCache, Objective, targets_of
from nst_kernel.pair import Pair
from nst_kernel.pictures import MIN_SIDE, resize, resize_masks, tiled
from nst_kernel.result import StylizeResult
from nst_kernel.transfer.colours import coloured, finished
from nst_kernel.transfer.descent import Descent, Stopped
from nst_kernel.transfer.errors import StateError
from nst_kernel.transfer.frames import Frames
from nst_kernel.transfer.observer import Interrupted, Observer, OfScale
from nst_kernel.transfer.one_scale import descend
from nst_kernel.transfer.state import State, below, digest, listed, named, numbered


def stylize_batch(
    pairs: Sequence[Pair],
    encoder: Vgg19,
    *,
    observer: Observer | None = None,
    grams: GramCache | None = None,
    saving: Saving = "nothing",
    resume: State | None = None,
) -> list[StylizeResult]:
    """Optimise pairs together, each as if it were alone, at the shapes they come in.

    Args:
        pairs: samples of one output shape and one `StyleParams.graph`.
        encoder: on the device to use.
        observer: called after each iteration; it may stop the transfer.
        grams: where the statistics of styles that have a key are looked up and kept.
        saving: how to save memory, for more time; pictures are equal to rounding. checkpoint: less than half of it for
            a third more time; tiles: what one tile takes, whatever the size, for half more time.
        resume: the state of the same pairs when they were interrupted. The results are those of an uninterrupted
            transfer, on a CPU with as many threads to the bit.

    Raises:
        ValueError: if two pairs differ in the shape of their output, in `StyleParams.graph` or in having regions.
        Interrupted: with the state, when the observer stops the transfer before the last iteration.
        StateError: if `resume` is of other parameters, another shape, encoder or version.
    """
    _check_together(pairs)
    shape, params = pairs[0].shape, pairs[0].params
    pairs = [coloured(pair) for pair in pairs]
    # The scales that are left, after those that are finished in the state.
    schedule = params.schedule(max(shape))
    total = sum(iterations for _, iterations in schedule)
    precision = resolve_precision(params.precision, encoder.mean.device)
    request = digest(shape, [pair.params for pair in pairs], encoder.sha256, encoder.mean.dtype, precision)
    descents, on_the_way = _resumed(resume, request, encoder.mean.device)
    done = sum(iterations for _, iterations in schedule[: len(descents)])
    for side, iterations in schedule[len(descents) :]:
        # One scale: from the pixels of the one before, or from those of the state.
        objective, x = _at_scale(pairs, side / max(shape), encoder, grams, descents, saving=saving)
        watching = observer and OfScale(observer, before=done, total=total, frames=_frames(observer, pairs, descents))
        try:
            with computing_in(precision):  # gradients too
                descent = descend(
                    objective, x, objective.params, iterations=iterations, observer=watching, resume=on_the_way
                )
        except Stopped as stop:
            is_last = side == schedule[-1][0]
            raise Interrupted(
                State.of(request, _kept(descents, stop)),
                iteration=done + stop.iteration,
                finished=_ended(pairs, descents, stop, objective) if is_last else {},
            ) from None
        descents.append(descent)
        on_the_way, done = None, done + iterations
    return _results(pairs, descents, objective)


def _check_together(pairs: Sequence[Pair]) -> None:
    """Raise ValueError unless pairs can be optimised together."""
    shape, graph = pairs[0].shape, pairs[0].params.graph
    if any(pair.shape != shape or pair.params.graph != graph for pair in pairs):
        raise ValueError("pairs of one batch must agree in the shape of their output and in StyleParams.graph")
    if len({pair.masks is None for pair in pairs}) > 1:
        raise ValueError("pairs with regions and pairs without cannot be in one batch")
    if any(
        pair.params.transparency == "keep" and pair.masks is None and pair.params.style_weight > 0 for pair in pairs
    ):
        raise ValueError("a pair with transparency=keep and no opacity: give it some, or None, by Pair.cut_out")
    if any(pair.params.content_mask and pair.masks is None for pair in pairs):
        raise ValueError("a pair whose parameters name masks, without masks: give it some by Pair.within")


def _frames(observer: Observer, pairs: Sequence[Pair], descents: Sequence[Descent]) -> Frames | None:
    """Return what takes the pictures on the way of the next scale, as results have them; None: nobody wants any."""
    every = [pair.params.save_every for pair in pairs]
    if not observer.wants_frames or not any(every):
        return None
    made = [descent.iterations.cpu() for descent in descents]
    before = [int(sum(of[b] for of in made)) for b in range(len(pairs))]
    opacities = [None if pair.opacity is None else pair.opacity.float().cpu() for pair in pairs]

    def take(sample: int, evaluation: int, picture: Tensor) -> None:
        opacity = opacities[sample]
        if opacity is not None:
            opacity = resize_masks(opacity[None], picture.shape[:2])[0]
        observer.frame(sample, evaluation, _with_opacity(picture.numpy(), opacity))

    return Frames(every, before, lambda samples, x: finished([pairs[b] for b in samples], x), take)


def _resumed(
    state: State | None, request: str, device: torch.device
) -> tuple[list[Descent], Mapping[str, Tensor] | None]:
    """Return the descents of the scales that are finished, and the tensors of the one that was stopped, if any."""
    if state is None:
        return [], None
    if state.request != request:
        raise StateError("a state of other parameters, another shape, encoder or version")
    descents = [Descent(**part).to(device) for part in listed("scale", state.tensors)]
    return descents, below("walk", state.tensors) or None


def _kept(descents: Sequence[Descent], stop: Stopped) -> dict[str, Tensor]:
    """Return the tensors of a state by the names that they have in files: finished scales, and the stopped one."""
    return numbered("scale", [descent.to_tensors() for descent in descents]) | named("walk", stop.tensors)


def _ended(
    pairs: Sequence[Pair], descents: Sequence[Descent], stop: Stopped, objective: Objective
) -> dict[int, StylizeResult]:
    """Return the results of samples that had ended when the last scale was stopped, by place in the batch."""
    results = _results(pairs, [*descents, stop.so_far], objective)
    return {b: result for b, result in enumerate(results) if stop.ended[b]}


def _at_scale(
    pairs: Sequence[Pair],
    ratio: float,
    encoder: Vgg19,
    grams: GramCache | None,
    descents: Sequence[Descent],
    *,
    saving: Saving,
) -> tuple[Objective, Tensor]:
    """Return the objective of a scale and its first pixels: of the scale before, enlarged, or by `init`."""
    at_scale = [_scaled(pair, ratio) for pair in pairs]
    tileable = pairs[0].params.tileable
    x = resize(descents[-1].x, at_scale[0].shape, tileable=tileable) if descents else _start(at_scale, encoder)
    targets = targets_of(at_scale, encoder, grams, saving)
    return Objective(encoder, targets, [pair.params for pair in pairs], saving=saving), x


def _start(pairs: Sequence[Pair], encoder: Vgg19) -> Tensor:
    """Return the first pixels (B, 3, H, W) of each sample, by its `init` and its own seed."""

    def drawn(pair: Pair, generator: torch.Generator) -> Tensor:
        noise = torch.rand((3, *pair.shape), generator=generator)
        return noise[:1].expand_as(noise) if pair.grey else noise

    def first(pair: Pair) -> Tensor:
        params = pair.params
        # Drawn on the CPU, so that a seed means the same picture on every device.
        generator = torch.Generator().manual_seed(params.seed)
        if params.init == "noise":
            return drawn(pair, generator)
        if params.init == "grey":
            start = torch.full((3, *pair.shape), 0.5)
        else:
            picture = {"content": pair.content, "style": pair.style}.get(params.init, pair.init)
            assert picture is not None
            start = resize(picture, pair.shape)
        if params.init_noise == 0:
            return start
        noise = drawn(pair, generator).to(start)
        return params.init_noise * noise + (1 - params.init_noise) * start

    return torch.stack([first(pair).to(encoder.mean) for pair in pairs])


def _scaled(pair: Pair, ratio: float) -> Pair:
    """Return the pair with every picture smaller by one ratio, so that styles keep their size relative to contents."""

    def shape(whole: Sequence[int]) -> tuple[int, int]:
        height, width = (max(MIN_SIDE, round(side * ratio)) for side in whole[-2:])
        return height, width

    def smaller(picture: Tensor) -> Tensor:
        return resize(picture, shape(picture.shape)).clamp(0, 1)

    if ratio == 1:
        return pair
    output = shape(pair.output) if pair.output else None
    if pair.params.tileable:
        output = tiled(shape(pair.shape))
    styles = [dataclasses.replace(style, picture=smaller(style.picture)) for style in pair.styles]
    return dataclasses.replace(
        pair,
        content=None if pair.content is None else resize(pair.content, output or shape(pair.content.shape)).clamp(0, 1),
        output=output,
        styles=tuple(style.resized_masks() for style in styles),
        init=None if pair.init is None else smaller(pair.init),
        masks=None if pair.masks is None else resize_masks(pair.masks, output or shape(pair.shape)),
        opacity=None if pair.opacity is None else resize_masks(pair.opacity[None], output or shape(pair.shape))[0],
    )


def _results(pairs: Sequence[Pair], descents: Sequence[Descent], objective: Objective) -> list[StylizeResult]:
    """Return the result of each sample: the picture of the last scale, and the curves of all."""
    opacities = [None if pair.opacity is None else pair.opacity.float().cpu() for pair in pairs]
    fell = torch.stack([descent.fell for descent in descents]).any(0).cpu().tolist()
    images = finished(pairs, descents[-1].x).clamp(0, 1).float().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    final = descents[-1].losses.double().cpu().numpy()
    diverged = torch.stack([descent.diverged for descent in descents]).any(0).cpu().tolist()
    made = [descent.iterations.cpu().tolist() for descent in descents]
    columns = [objective.columns(b) for b in range(len(images))]
    curves = [descent.curves.double().cpu().numpy() for descent in descents]

    def curve(b: int, k: int) -> NDArray[np.float64]:
        return np.concatenate([of[: n[b], b, k] for of, n in zip(curves, made, strict=True)])

    return [
        StylizeResult(
            image=_with_opacity(images[b], opacities[b]),
            diverged=diverged[b],
            losses={name: float(final[b, k]) for name, k in columns[b].items()},
            curve={name: curve(b, k) for name, k in columns[b].items()},
            iterations=sum(n[b] for n in made),
            improved=fell[b],
        )
        for b in range(len(images))
    ]


def _with_opacity(picture: NDArray[np.float32], opacity: Tensor | None) -> NDArray[np.float32]:
    """Return a picture (H, W, 3) with its opacity (H, W) as a fourth channel, if it has one."""
    return picture if opacity is None else np.concatenate([picture, opacity.numpy()[..., None]], axis=2)
