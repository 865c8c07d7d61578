"""Single operations of the kernel, each beside other ways to compute it: what was tried, and why ours is as it is."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel.encoder import GRAM
from nst_kernel.encoder.relu import relu_back
from nst_kernel.layers import shape_of
from tests.bench.timing import timed

Ways = Mapping[str, Callable[[], Tensor]]

GRAMS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1")
"""Style layers of which Gram matrices are made."""


def operations(device: torch.device, *, size: int, rounds: int) -> list[dict[str, Any]]:
    """Median milliseconds of each way of an operation in bf16, and how far it is from fp32's result, by norms."""
    found = []
    for layer in GRAMS:
        channels, side = shape_of(layer)[0], size >> (int(layer[4]) - 1)
        found += _compared(f"Gram matrix of {layer}", _grams(_activations(channels, side, device)), device, rounds)
    h = _activations(64, size, device)
    gradient = torch.randn(h.shape, device=device).to(h, memory_format=torch.channels_last)
    found += _compared("back through a ReLU", _relus(h, gradient), device, rounds)
    return found + _compared("average pooling", _poolings(h), device, rounds)


def _activations(channels: int, side: int, device: torch.device) -> Tensor:
    """Return what a layer may give: bf16 (1, channels, side, side) of which half is 0."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(1, channels, side, side, generator=generator).relu()
    return drawn.to(device, torch.bfloat16, memory_format=torch.channels_last)


def _grams(F: Tensor) -> Ways:
    """Return ways to make a Gram matrix in fp32 of activations in bf16."""
    columns, M = F.flatten(2).mT, F.shape[2] * F.shape[3]
    return {
        "in fp32": lambda: (whole := columns.float()).mT @ whole / M,
        "ours": lambda: GRAM.of(F, M, torch.float32),
        "in bf16, in one piece": lambda: (columns.mT @ columns).float() / M,
    }


def _relus(h: Tensor, gradient: Tensor) -> Ways:
    """Return ways to lead a gradient back through a ReLU, given what it returned: in place, as the kernel does it."""
    own = {name: gradient.clone() for name in ("ours", "sign", "mask")}
    return {
        "ours": lambda: relu_back(own["ours"], h, "zero"),
        "product with the sign": lambda: own["sign"].mul_(h.sign()),
        "product with a mask": lambda: own["mask"].mul_(h > 0),
    }


def _poolings(h: Tensor) -> Ways:
    """Return ways to average over squares of four positions."""
    return {
        "ours": lambda: nnf.avg_pool2d(h, 2),
        "sum of four views": lambda: (
            (h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) * 0.25
        ),
    }


def _compared(what: str, ways: Ways, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Time ways in turn, and compare what they return with the first one's."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(5 * rounds + 1):  # the first one warms up; they take milliseconds
        for name, way in ways.items():
            seconds = timed(way, device)
            if turn:
                spent[name].append(seconds)
    first = next(iter(ways.values()))().float()
    return [
        {
            "what": what,
            "way": name,
            "ms": 1000 * statistics.median(spent[name]),
            "error": float((way().float() - first).norm() / first.norm()),
        }
        for name, way in ways.items()
    ]
