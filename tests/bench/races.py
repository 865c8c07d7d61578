"""How good the pictures are for the time: to the reference's loss, from coarse to fine, in bf16."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from jobs.pictures import CONTENTS, STYLES, draw
from nst_kernel import Observer, Pair, StyleParams, StylizeResult, Vgg19, Weights, stylize_batch
from nst_kernel.pictures.tensors import to_tensor
from tests.bench.reference import optimise
from tests.bench.timing import SETTINGS, synchronise

BF16_ERROR = 0.002
"""By what a loss in bf16 may differ from fp32's of the same picture: ours must be lower by so much to have arrived."""


def drawn(number: int, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """A pair of content and style (3, size, size)."""
    content = draw(CONTENTS[number % len(CONTENTS)], size, number)
    style = draw(STYLES[number % len(STYLES)], size, number)
    return to_tensor(content).to(device), to_tensor(style).to(device)


def clocked(
    content: torch.Tensor, style: torch.Tensor, encoder: Vgg19, **parameters: object
) -> tuple[StylizeResult, list[float]]:
    """A transfer, and when each of its evaluations was done, in seconds."""
    params = StyleParams.of({**SETTINGS, "size": content.shape[-1], **parameters})
    ticks: list[float] = []
    clock = time.perf_counter()

    def tick(_done: int, _total: int) -> None:
        synchronise(content.device)
        ticks.append(time.perf_counter() - clock)

    (result,) = stylize_batch([Pair.of(content, style, params)], encoder, observer=Observer.of(tick))
    return result, ticks


MARKS = (50, 100, 200, 500)
"""Evaluations of the reference whose loss is to be reached."""

EVALUATIONS = 350
"""Of ours, at full size."""

STARTS: Mapping[str, Mapping[str, object]] = {
    "one scale": {"scales": (), "iterations": EVALUATIONS},
    "coarse to fine": {"scales": (128,), "iterations": (50, EVALUATIONS)},
}


def to_loss(weights: Weights, device: torch.device, *, pairs: int, size: int) -> list[dict[str, Any]]:
    """For some pairs, how many times faster ours is at the loss that the reference has after `MARKS`.

    None where so many `EVALUATIONS` of ours in bf16 were not enough.
    """
    encoder = Vgg19(weights).to(device)
    races: list[dict[str, Any]] = []
    for number in range(pairs):
        content, style = drawn(number, size, device)
        plain = StyleParams.of({**SETTINGS, "size": size})
        if not races:  # the first work of all on a device pays for more than itself
            optimise(content.unsqueeze(0), style.unsqueeze(0), weights, plain, evaluations=2)
            clocked(content, style, encoder, iterations=2)
        plainly: list[float] = []
        clock = time.perf_counter()

        def tick(plainly: list[float] = plainly, clock: float = clock) -> None:
            plainly.append(time.perf_counter() - clock)

        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            _, curve = optimise(
                content.unsqueeze(0), style.unsqueeze(0), weights, plain, evaluations=MARKS[-1], tick=tick
            )
        for name, parameters in STARTS.items():
            result, ticks = clocked(content, style, encoder, history=30, **parameters)
            fine = slice(result.iterations - EVALUATIONS, None)
            losses, arrivals = result.curve["total"][fine], ticks[fine]
            times = {mark: arrival(losses, arrivals, min(curve[:mark])) for mark in MARKS}
            races.append(
                {
                    "pair": number,
                    "size": size,
                    "ours": name,
                    "reference_seconds": {mark: plainly[mark - 1] for mark in MARKS},
                    "targets": {mark: min(curve[:mark]) for mark in MARKS},
                    "final": float(losses.min()),
                    "seconds": times,
                    "speedup": {mark: plainly[mark - 1] / t if t else None for mark, t in times.items()},
                }
            )
    return races


def arrival(losses: NDArray[np.float64], ticks: Sequence[float], target: float) -> float | None:
    """When a loss was first below a target, surely; None: never."""
    there = losses <= target * (1 - BF16_ERROR)
    return ticks[int(there.argmax())] if there.any() else None


def coarse_to_fine(weights: Weights, device: torch.device, *, size: int, iterations: int) -> dict[str, float]:
    """Final loss of one scale, and of two in no more time."""
    encoder = Vgg19(weights).to(device)
    content, style = drawn(1, size, device)
    clocked(content, style, encoder, iterations=2)
    single, alone = clocked(content, style, encoder, iterations=iterations)
    fewer = 3 * iterations // 4  # at full size, so that both cost about the same
    double, ticks = clocked(content, style, encoder, scales=(size // 2,), iterations=(iterations, fewer))
    return {
        "size": size,
        "single_loss": single.losses["total"],
        "single_seconds": alone[-1],
        "loss": double.losses["total"],
        "seconds": ticks[-1],
    }


def parity(weights: Weights, device: torch.device, *, pairs: int) -> Sequence[float]:
    """Final loss in bf16 over that in fp32, of pairs of drawn pictures."""
    encoder = Vgg19(weights).to(device)
    shares = []
    for number in range(pairs):
        content, style = drawn(number, 96, device)
        finals = {}
        for precision in ("fp32", "bf16"):
            params = StyleParams.of({"size": 96, "iterations": 80, "min_improvement": 0, "precision": precision})
            (result,) = stylize_batch([Pair.of(content, style, params)], encoder)
            finals[precision] = result.losses["total"]
        shares.append(finals["bf16"] / finals["fp32"])
    return [*shares, statistics.median(shares)]
