"""High resolution: time of an evaluation and peak memory of one pair, each measurement in a process of its own.

A full history of L-BFGS would take as many evaluations as it has steps. Few are made here, with a history as long as
they are, and what the rest of it would take is added: 24 bytes per pixel and step.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from nst_kernel import Observer, Pair, StyleParams, Vgg19, load_weights, stylize_batch
from nst_kernel.cost import SAVINGS, Saving, bytes_of_tile, bytes_per_pixel
from nst_kernel.encoder import resolve_precision
from tests.bench.memory import used

HISTORY = StyleParams().history


def high(sizes: Sequence[int], evaluations: int, *, savings: Sequence[Saving] = SAVINGS[1:]) -> list[dict[str, Any]]:
    """Return what pairs of square pictures take.

    Args:
        sizes: of the pictures, pixels.
        evaluations: of each, at least 2.
        savings: how memory is saved.
    """
    return [measure(size, saving, evaluations=evaluations) for size in sizes for saving in savings]


def measure(size: int, saving: Saving, *, evaluations: int = 2, **parameters: object) -> dict[str, Any]:
    """Return seconds per evaluation, peak bytes and the bytes that plans count with, of one pair at one scale."""
    request = json.dumps({"size": size, "saving": saving, "evaluations": evaluations, "parameters": parameters})
    command = [sys.executable, "-m", "tests.bench.high", request]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # as in memory.py
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found: dict[str, Any] = json.loads(answer)
    return found


class _Clock(Observer):
    """Notes when evaluations are done."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def iteration(self, done: int, total: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.at.append(time.perf_counter())


def _measured(size: int, saving: Saving, evaluations: int, parameters: dict[str, object]) -> dict[str, Any]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = Vgg19(load_weights("embedded")).to(device)
    values = {"size": size, "scales": (), "history": min(HISTORY, evaluations), **parameters}
    params = StyleParams.of({**values, "iterations": evaluations})
    precision = resolve_precision(params.precision, device)

    def transfer(side: int, clock: _Clock) -> float:
        picture = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
        (result,) = stylize_batch([Pair.of(picture, picture.flip(1), params)], encoder, observer=clock, saving=saving)
        return result.losses["total"]

    transfer(32, _Clock())  # filters in the type of the convolutions, libraries' own memory
    before, clock = used(device, reset=True), _Clock()
    loss = transfer(size, clock)
    rest = 24 * (HISTORY - params.history) * size * size
    tile = bytes_of_tile(params, precision, (size, size)) if saving == "tiles" else 0
    return {
        "size": size,
        "saving": saving,
        "precision": precision,
        "seconds": (clock.at[-1] - clock.at[0]) / (len(clock.at) - 1),
        "bytes": used(device) - before + rest,
        "planned": size * size * bytes_per_pixel(params, precision, saving=saving) + tile + rest,
        "loss": loss,
    }


if __name__ == "__main__":
    print(json.dumps(_measured(**json.loads(sys.argv[1]))))
