"""`make bench`: ours beside a plain implementation and the convolutions alone, on the same pixels and weights.

Every figure is the median of several rounds that alternate between the candidates; ratios are what to quote.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from nst_kernel import load_weights
from nst_kernel.cost import SAVINGS
from tests.bench import races, timing
from tests.bench.controls import controls
from tests.bench.high import high
from tests.bench.memory import peak_bytes_per_pixel
from tests.bench.operations import operations

RESULTS = Path(__file__).parent / "results"
PARTS = ("speed", "operations", "controls", "memory", "high", "race", "scales", "parity", "idle")


def main() -> None:
    """Measure, print, keep as JSON; parts that were not asked for stay as they were measured last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of " + ", ".join(PARTS))
    parser.add_argument("--sizes", default="", help="sides of the square pictures, pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, help="in each timed run; by default 8 on a CPU, 500 on a GPU")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = [int(size) for size in (options.sizes or ("128,256,512" + ",1024" * (device.type == "cuda"))).split(",")]
    evaluations = options.evaluations or (500 if device.type == "cuda" else 8)
    console, weights = Console(highlight=False), load_weights("embedded")
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_name()
    machine = f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    console.print(machine)
    parts: dict[str, Callable[[], Any]] = {
        "speed": lambda: speed(console, weights, device, sizes, options.rounds, evaluations),
        "operations": lambda: single_operations(console, device, options.rounds),
        "controls": lambda: cost_of_controls(console, weights, device, options.rounds, evaluations),
        "memory": lambda: memory(console),
        "high": lambda: high_resolution(console, options.sizes, options.evaluations),
        "race": lambda: race(console, weights, device),
        "scales": lambda: scales(console, weights, device),
        "parity": lambda: parity(console, weights, device),
        "idle": lambda: idle(console),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{device.type}.json"
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for part in options.parts.split(","):
        kept[part] = {"machine": machine, "figures": parts[part]()}
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    console.print(f"Kept in {os.path.relpath(file)}")


def speed(console: Console, weights: Any, device: torch.device, sizes: list[int], rounds: int, evaluations: int) -> Any:
    """Per pair and evaluation, and the optimiser's share of it."""
    rate = timing.matmul_rate(device)
    console.print(f"a bf16 matrix product: {rate / 1e12:.2f} Tflop/s")
    table = Table(
        "px", "what", "ms per pair and evaluation", "times faster", "of the floor", "Tflop/s", show_edge=False
    )
    figures = []
    for size in sizes:
        figures += timing.per_evaluation(weights, device, size, rounds=rounds, evaluations=evaluations)
    for f in figures:
        numbers = (f"{f['ms']:.1f}", f"{f['speedup']:.2f}", f"{f['of_floor']:.2f}", f"{f['tflops']:.3f}")
        table.add_row(str(f["size"]), f["what"], *numbers)
    console.print(table)
    count, size = (16, 512) if device.type == "cuda" else (1, 256)
    of_batch = [f["ms"] for f in figures if f["size"] == size and f["what"].startswith(f"ours, {count} pair")]
    share = timing.optimiser_share(size, count, of_batch[1 if count == 1 else -1], device) if of_batch else None
    if share:
        console.print(f"L-BFGS, {count} pairs at {size} px: {share['ms']:.2f} ms, {share['share']:.1%} of an iteration")
    return {"per_evaluation": figures, "matmul_flops": rate, "optimiser": share}


def single_operations(console: Console, device: torch.device, rounds: int) -> Any:
    """Ways to compute an operation, beside ours."""
    found = operations(device, size=256, rounds=rounds)
    for f in found:
        console.print(f"{f['what']}, {f['way']}: {f['ms']:.2f} ms, {f['error']:.2%} from the first")
    return found


def cost_of_controls(console: Console, weights: Any, device: torch.device, rounds: int, evaluations: int) -> Any:
    """Per evaluation with each control, over one without any."""
    size = 512 if device.type == "cuda" else 256
    found = controls(weights, device, size=size, rounds=rounds, evaluations=evaluations)
    for f in found:
        console.print(f"{size} px, {f['what']}: {f['ms']:.1f} ms an evaluation, {f['times']:.2f} times")
    return found


def memory(console: Console) -> Any:
    """Peak bytes per pixel and sample at 512 px."""
    figures = {}
    tried: tuple[dict[str, Any], ...] = (
        {"precision": "bf16"},
        {"precision": "fp32"},
        {"precision": "bf16", "optimizer": "adam"},
    )
    for parameters in tried:
        for saving in SAVINGS[:2]:  # tiles are for larger pictures, see `high`
            name = ", ".join([*map(str, parameters.values()), *["checkpointed"] * (saving == "checkpoint")])
            figures[name] = peak_bytes_per_pixel(512, 1, saving=saving, **parameters)
            console.print(f"peak memory, 512 px, {name}: {figures[name]:.0f} bytes per pixel and sample")
    return figures


def high_resolution(console: Console, sizes: str, evaluations: int | None) -> Any:
    """2,048 and 4,096 px, with less memory than activations would take."""
    found = high([int(size) for size in (sizes or "2048,4096").split(",")], max(2, evaluations or 2))
    for f in found:
        console.print(
            f"{f['size']} px, {f['saving']}, {f['precision']}: {f['seconds']:.1f} s an evaluation, "
            f"{f['bytes'] / 1e9:.2f} GB, planned with {f['planned'] / 1e9:.2f} GB"
        )
    return found


def race(console: Console, weights: Any, device: torch.device) -> Any:
    """To the reference's loss."""
    size = 512 if device.type == "cuda" else 256
    found = races.to_loss(weights, device, pairs=3, size=size)
    title = f"{size} px: times faster at the loss of so many evaluations"
    table = Table("pair", "ours", *map(str, races.MARKS), title=title)
    for r in found:
        faster = (f"{value:.1f}" if value else "not reached" for value in r["speedup"].values())
        table.add_row(str(r["pair"]), r["ours"], *faster)
    console.print(table)
    return found


def scales(console: Console, weights: Any, device: torch.device) -> Any:
    """One scale against two."""
    size, iterations = (1024, 300) if device.type == "cuda" else (512, 40)
    r = races.coarse_to_fine(weights, device, size=size, iterations=iterations)
    console.print(
        f"{size} px: one scale {r['single_loss']:.5f} in {r['single_seconds']:.1f} s, "
        f"two {r['loss']:.5f} in {r['seconds']:.1f} s"
    )
    return r


def parity(console: Console, weights: Any, device: torch.device) -> Any:
    """bf16 against fp32."""
    *shares, median = races.parity(weights, device, pairs=10)
    console.print(f"final loss of bf16 over fp32: median {median:.4f}, from {min(shares):.4f} to {max(shares):.4f}")
    return shares


def idle(console: Console) -> Any:
    """An actor's waiting in a run."""
    from tests.bench.idle import idle_share  # the one part that needs Ray

    found = idle_share()
    console.print(f"an actor's idle time in a run of {found['rows']} rows: {found['share']:.2%} of its busy time")
    return found


def cpu_name() -> str:
    """The processor as the kernel calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
