"""What each control of a transfer costs: milliseconds of an evaluation with it, over those without any."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nst_kernel import Observer, Pair, StyleParams, Vgg19, Weights, stylize_batch
from tests.bench.timing import SETTINGS, pictures, synchronise

REGIONS = 4

CONTROLS: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "two styles": {"styles": 2},
    f"{REGIONS} regions": {"regions": REGIONS, "content_mask": "m.png"},
    f"{REGIONS} regions, mask_mode inside": {"regions": REGIONS, "content_mask": "m.png", "mask_mode": "inside"},
    "preserve_color luminance": {"preserve_color": "luminance"},
    "statistics covariance": {"statistics": "covariance"},
    "statistics w2": {"statistics": "w2"},
    "laplacian_weight 1": {"laplacian_weight": 1.0},
    "tileable": {"tileable": True},
    "save_every 10": {"save_every": 10},
    "Adam": {"optimizer": "adam"},
    "Adam, averaging 0.99": {"optimizer": "adam", "averaging": 0.99},
}
"""Parameters by what they are called in the table, with numbers of styles and of regions."""


class _Clock(Observer):
    """Notes when the first evaluation and the last one ended, and takes pictures on the way."""

    wants_frames = True

    def __init__(self, device: torch.device) -> None:
        self.device, self.began, self.seconds = device, 0.0, 0.0

    def iteration(self, done: int, total: int) -> None:
        if done in (1, total):
            synchronise(self.device)
            self.began, self.seconds = self.began or time.perf_counter(), time.perf_counter() - self.began


def controls(
    weights: Weights, device: torch.device, *, size: int, rounds: int, evaluations: int
) -> list[dict[str, Any]]:
    """Each control at one size, of one pair: median milliseconds of an evaluation, and over those without controls."""
    encoder = Vgg19(weights).to(device)
    asked = {name: _pair(size, device, evaluations, values) for name, values in CONTROLS.items()}
    spent: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(rounds + 1):  # the first one warms up
        for name in list(asked) if turn % 2 else list(reversed(asked)):
            clock = _Clock(device)
            stylize_batch([asked[name]], encoder, observer=clock)
            if turn:
                spent[name].append(clock.seconds / (evaluations - 1))
    median = {name: statistics.median(values) for name, values in spent.items()}
    return [
        {"what": name, "size": size, "ms": 1000 * value, "times": value / median["none"]}
        for name, value in median.items()
    ]


def bands(regions: int, side: int) -> Tensor:
    """Return masks (regions, side, side): bands, one below the other, each 1 in its own."""
    rows = torch.eye(regions)[:, :, None].repeat_interleave(-(-side // regions), 1)
    return rows.expand(-1, -1, side)[:, :side]


def _pair(size: int, device: torch.device, evaluations: int, values: Mapping[str, object]) -> Pair:
    """Return a pair of drawn pictures with a control."""
    parameters = dict(values)
    styles, regions = (int(str(parameters.pop(name, default))) for name, default in (("styles", 1), ("regions", 0)))
    params = StyleParams.of({**SETTINGS, "size": size, "iterations": evaluations, **parameters})
    drawn = pictures(size, styles, device)
    pair = Pair.of(drawn[0][0], [style for _, style in drawn], params)
    return pair.within(bands(regions, size), [bands(regions, size)] * styles) if regions else pair
