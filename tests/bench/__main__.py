"""`make bench`: ours beside a plain implementation and the convolutions alone, on the same pixels and weights.

Every figure is the median of several rounds that alternate between the candidates; ratios are what to quote.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as nnf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from jobs.pictures import CONTENTS, STYLES, draw
from nst_kernel import LAYERS, Pair, StyleParams, Vgg19, Weights, load_weights, stylize_batch
from nst_kernel.transfer import to_tensor
from tests.bench.reference import optimise

RESULTS = Path(__file__).parent / "results"
SETTINGS = {"scales": (), "tv_weight": 0.0, "range_weight": 0.0, "content_weight": 0.05}


def main() -> None:
    """Measure, print, keep as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="128,256", help="sides of the square pictures, pixels, or nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=8, help="in each timed run")
    parser.add_argument(
        "--to-loss", type=int, default=300, help="evaluations of the reference to catch up with; 0: none"
    )
    parser.add_argument(
        "--parity", type=int, default=10, help="pairs to compare bf16's final loss with fp32's; 0: none"
    )
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    weights = load_weights("embedded")
    console = Console()
    machine = (
        f"{torch.cuda.get_device_name() if device.type == 'cuda' else cpu_name()}, {torch.get_num_threads()} threads"
    )
    console.print(f"{machine}, torch {torch.__version__}", highlight=False)
    figures = [
        figure
        for size in map(int, filter(None, options.sizes.split(",")))
        for figure in per_evaluation(weights, device, size, rounds=options.rounds, evaluations=options.evaluations)
    ]
    table = Table(
        "px", "what", "ms per pair and evaluation", "reference / this", "of the floor's time", show_edge=False
    )
    for f in figures:
        table.add_row(str(f["size"]), str(f["what"]), f"{f['ms']:.1f}", f"{f['speedup']:.2f}", f"{f['of_floor']:.2f}")
    if figures:
        console.print(table)
    kept: dict[str, object] = {"machine": machine, "torch": torch.__version__, "per_evaluation": figures}
    if options.to_loss:
        kept["time_to_loss"] = race = time_to_loss(weights, device, evaluations=options.to_loss)
        console.print(
            f"128 px, to the reference's loss after {race['evaluations']} evaluations ({race['target']:.5f}): "
            f"reference {race['reference_seconds']:.1f} s, ours {race['seconds']:.1f} s = "
            f"{race['speedup']:.1f} times faster, in {race['own_evaluations']} evaluations",
            highlight=False,
        )
    if options.parity:
        kept["parity"] = shares = parity(weights, device, pairs=options.parity)
        console.print(
            f"final loss with bf16 convolutions over fp32's, {options.parity} pairs at 96 px, 80 iterations: "
            f"median {statistics.median(shares):.4f}, from {min(shares):.4f} to {max(shares):.4f}",
            highlight=False,
        )
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{device.type}.json"
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    console.print(f"Kept in {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file.name}")


def cpu_name() -> str:
    """The processor as the kernel calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def pictures(size: int, count: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Pairs of content and style (3, size, size) in [0, 1]."""
    return [
        (to_tensor(draw("lake", size, seed)).to(device), to_tensor(draw("night", size, seed)).to(device))
        for seed in range(count)
    ]


def per_evaluation(
    weights: Weights, device: torch.device, size: int, *, rounds: int, evaluations: int
) -> list[dict[str, float | int | str]]:
    """Milliseconds per pair and evaluation of each candidate at one size."""
    encoder = Vgg19(weights).to(device)
    pairs = pictures(size, 4, device)
    content, style = (picture.unsqueeze(0) for picture in pairs[0])

    def ours(count: int, **knobs: object) -> tuple[int, Callable[[], object]]:
        params = StyleParams.of({**SETTINGS, "size": size, "iterations": evaluations, **knobs})
        batch = [Pair(c, s, params) for c, s in pairs[:count]]
        return count * evaluations, lambda: stylize_batch(batch, encoder)

    plain = StyleParams.of({**SETTINGS, "size": size})
    candidates: dict[str, tuple[int, Callable[[], object]]] = {
        "reference": (evaluations, lambda: optimise(content, style, weights, plain, evaluations=evaluations)),
        "ours, 1 pair, fp32": ours(1, precision="fp32"),
        "ours, 1 pair, bf16": ours(1, precision="bf16"),
        "ours, 2 pairs, bf16": ours(2, precision="bf16"),
        "ours, 4 pairs, bf16": ours(4, precision="bf16"),
        "ours, 1 pair, bf16, Adam": ours(1, precision="bf16", optimizer="adam"),
        "convolutions alone, fp32": (1, lambda: convolutions(weights, content, torch.float32)),
        "convolutions alone, bf16": (1, lambda: convolutions(weights, content, torch.bfloat16)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):  # the first one warms up
        names = list(candidates) if turn % 2 else list(reversed(candidates))
        for name in names:
            units, run = candidates[name]
            spent = timed(run, device) / units
            if turn:
                seconds[name].append(spent)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    floor = {kind: median[f"convolutions alone, {kind}"] for kind in ("fp32", "bf16")}
    return [
        {
            "size": size,
            "what": name,
            "ms": 1000 * value,
            "speedup": median["reference"] / value,
            "of_floor": floor["bf16" if "bf16" in name else "fp32"] / value,
        }
        for name, value in median.items()
    ]


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    clock = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - clock


def convolutions(weights: Weights, x: Tensor, dtype: torch.dtype) -> None:
    """The floor: forward and backward-data of the convolutions to conv5_1, nothing in between but the poolings."""
    x = x.to(dtype, memory_format=torch.channels_last, copy=True).requires_grad_()
    h = x
    for layer in LAYERS[: LAYERS.index("conv5_1") + 1]:
        if layer.endswith("_1") and layer != "conv1_1":
            h = nnf.avg_pool2d(h, 2)
        weight, bias = (tensor.to(x.device, dtype) for tensor in weights.convolutions[layer])
        h = nnf.conv2d(h, weight.contiguous(memory_format=torch.channels_last), bias, padding=1)
    torch.autograd.grad(h.sum(), x)


def parity(weights: Weights, device: torch.device, *, pairs: int) -> list[float]:
    """Final loss in bf16 over that in fp32, of pairs of drawn pictures."""
    encoder = Vgg19(weights).to(device)
    shares = []
    for number in range(pairs):
        content = to_tensor(draw(CONTENTS[number % len(CONTENTS)], 96, number)).to(device)
        style = to_tensor(draw(STYLES[number % len(STYLES)], 96, number)).to(device)
        finals = {}
        for precision in ("fp32", "bf16"):
            params = StyleParams(size=96, iterations=80, precision=precision)
            (result,) = stylize_batch([Pair(content, style, params)], encoder)
            finals[precision] = result.losses["total"]
        shares.append(finals["bf16"] / finals["fp32"])
    return shares


def time_to_loss(weights: Weights, device: torch.device, *, evaluations: int) -> dict[str, float]:
    """Seconds until ours, coarse to fine, is at the loss that the reference ends with.

    Losses of bf16 convolutions agree with fp32's within 1 %, so ours must be 1 % lower.
    """
    size = 128
    encoder = Vgg19(weights).to(device)
    ((content, style),) = pictures(size, 1, device)
    plain = StyleParams.of({**SETTINGS, "size": size})
    clock = time.perf_counter()
    _, curve = optimise(content.unsqueeze(0), style.unsqueeze(0), weights, plain, evaluations=evaluations)
    reference_seconds = time.perf_counter() - clock
    target = min(curve)
    for iterations in range(evaluations // 12, evaluations + 1, evaluations // 12):
        params = StyleParams.of({**SETTINGS, "size": size, "scales": (64,), "iterations": iterations})
        clock = time.perf_counter()
        (result,) = stylize_batch([Pair(content, style, params)], encoder)
        seconds = time.perf_counter() - clock
        if result.losses["total"] <= 0.99 * target:
            break
    return {
        "evaluations": evaluations,
        "target": target,
        "reference_seconds": reference_seconds,
        "seconds": seconds,
        "own_evaluations": result.iterations,
        "speedup": reference_seconds / seconds,
    }


if __name__ == "__main__":
    main()
