"""Peak memory of a transfer, bytes per pixel and sample; each measurement in a process of its own.

On a CPU it is the resident set (Linux), on a GPU what torch had allocated; both less what was there before.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from nst_kernel import Pair, StyleParams, Vgg19, load_weights, stylize_batch
from nst_kernel.cost import Saving
from tests.bench.controls import bands


def peak_bytes_per_pixel(
    size: int, count: int, *, saving: Saving = "nothing", regions: int = 0, **parameters: object
) -> float:
    """Of `count` pairs of side `size`, over one scale, with so many regions."""
    request = json.dumps({"size": size, "count": count, "saving": saving, "regions": regions, "parameters": parameters})
    command = [sys.executable, "-m", "tests.bench.memory", request]
    # What is freed goes back to the system at once, so that the resident set is what is held.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _measure(size: int, count: int, saving: Saving, regions: int, parameters: dict[str, object]) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = Vgg19(load_weights("embedded")).to(device)

    def transfer(side: int, pairs: int, iterations: int) -> None:
        masked = {"content_mask": "m.png"} if regions else {}
        params = StyleParams.of({"scales": (), "iterations": iterations, **masked, **parameters})
        generator = torch.Generator().manual_seed(0)
        picture = torch.rand(3, side, side, generator=generator).to(device)
        pair = Pair.of(picture, picture.flip(1), params)
        if regions:
            pair = pair.within(bands(regions, side), [bands(regions, side)])
        stylize_batch([pair] * pairs, encoder, saving=saving)

    transfer(32, 1, 2)  # filters in the type of the convolutions, libraries' own memory
    before = used(device, reset=True)
    transfer(size, count, 12)  # until the history is full
    return (used(device) - before) / (count * size * size)


def used(device: torch.device, *, reset: bool = False) -> int:
    """Return peak bytes since the last reset; with `reset`, what is held now."""
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(_measure(**asked))
