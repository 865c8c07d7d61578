"""Tables of the benchmarks' README, made from the JSON files that `make bench` and `make bench-scale` write."""

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.generated import table

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
SCALE = RESULTS / "scale.json"

TARGETS = {
    "validated and planned, s of CPU": 25,
    "planned, peak GB": 0.6,
    "what is left to do decided, s of CPU": 12,
    "what is left to do decided, peak GB": 0.7,
    "10 million validated and planned, s of CPU": 300,
    "10 million planned, peak GB": 4,
    "a row of a batch, ms of CPU": 12,
    "a row alone, ms of CPU": 45,
    "time not at work, %": 5,
    "growth of the driver, %": 5,
    "run of 100,000 rows with its page, peak GB": 0.7,
    "page, s of CPU": 120,
    "page, peak GB": 1,
    "nst --help": 0.5,
    "nst validate, 100 rows": 1.5,
    "first batch at work": 5,
    "actor": 4.5,
    "task": 1.5,
}
"""What the pipeline may take at most, by the name of a figure: for a million rows where it depends on their number."""


def tables() -> dict[str, str]:
    """Return each generated section of README.md by its name."""
    found: dict[str, str] = {}
    for file in sorted(RESULTS.glob("*.json")):
        parts = json.loads(file.read_text("utf-8"))
        made: dict[str, Callable[[Any], str]] = {
            "speed": speed,
            "race": race,
            "operations": operations,
            "controls": controls,
            "memory": memory,
            "high": high,
            "scales": scales,
            "parity": parity,
            "idle": idle,
            "million": million,
            "ten_million": ten_million,
            "overhead": overhead,
            "scaling": scaling,
            "rows": rows,
            "page": page,
            "starting": starting,
            "far": far,
            "tail": tail,
            "fringe": fringe,
            "ratio": ratio,
        }
        if file.stem == "stopping":
            found["stopping"] = stopping(parts)
            continue
        for part, measured in parts.items():
            if part == "requests":
                continue  # its table is in the README of what makes them
            found[f"{file.stem} {part}"] = f"{measured['machine']}\n\n{made[part](measured['figures'])}"
    return found


def speed(figures: Mapping[str, Any]) -> str:
    """Return milliseconds per pair and evaluation, by size, and how many times faster than the reference."""
    share = figures["optimiser"]
    step = f"{share['ms']:.1f} ms of an evaluation at {share['size']} px, {100 * share['share']:.1f} %"
    of = f" of {share['pairs']} pairs" if share["pairs"] > 1 else ""
    best = max(one["tflops"] for one in figures["per_evaluation"] if one["what"].startswith("ours"))
    flops = figures["matmul_flops"] / 1e12
    rate = f"Ours runs at up to {best:.3g} Tflop/s, a large matrix product in bf16 at {flops:.3g}."
    return f"{_by_size(figures['per_evaluation'])}\n\nA step{of} of L-BFGS takes {step}. {rate}"


def stopping(encoders: Mapping[str, Any]) -> str:
    """Return losses and likeness after so many evaluations, relative to those of a thousand, and where scales end."""
    found = []
    for name, measured in encoders.items():
        lines = [
            [f"{k} evaluations", f"{loss:.3f}", f"{measured['ssim'][k]:.2f}"] for k, loss in measured["loss"].items()
        ]
        for share, k in measured["ends"].items():
            lines.append(
                [f"`min_improvement` {share}: {k:.0f} evaluations", f"{measured['loss_at_end'][share]:.3f}", ""]
            )
        head = f"{name}: medians of {measured['pairs']} pairs of {measured['size']} px; {measured['machine']}"
        found.append(f"{head}\n\n{table(['until', 'loss', 'SSIM'], lines)}")
    return "\n\n".join(found)


def in_four_rows() -> str:
    """Return the README's table of speed: the reference, ours in fp32 and in bf16, and the floor."""
    measured = json.loads((RESULTS / "cpu.json").read_text("utf-8"))["speed"]
    kinds = ("reference", "ours, 1 pair, fp32", "ours, 1 pair, bf16", "convolutions alone, bf16")
    kept = [one for one in measured["figures"]["per_evaluation"] if one["what"] in kinds]
    return f"{_by_size(kept)}\n\n{measured['machine']}."


def race(figures: list[Mapping[str, Any]]) -> str:
    """Return how many times sooner the reference's loss after so many evaluations is reached."""
    marks = list(figures[0]["speedup"])

    def cell(one: Mapping[str, Any], mark: str) -> str:
        ratio, seconds = one["speedup"].get(mark), one["seconds"].get(mark)
        return f"{ratio:.1f} × ({seconds:.{int(seconds < 10)}f} s)" if ratio else "not reached"

    listed = [[one["pair"] + 1, one["ours"], *(cell(one, mark) for mark in marks)] for one in figures]
    return table(["pair", "ours", *(f"loss after {mark}" for mark in marks)], listed)


def operations(figures: list[Mapping[str, Any]]) -> str:
    """Return what each way to compute an operation takes."""
    listed = [[one["what"], one["way"], f"{one['ms']:.2f}", f"{one['error']:.2%}"] for one in figures]
    return table(["256 px, bf16", "way", "ms", "differs by"], listed)


def controls(figures: list[Mapping[str, Any]]) -> str:
    """Return what an evaluation with each control takes."""
    listed = [[one["what"], f"{one['ms']:,.0f}", f"{one['times']:.2f} ×"] for one in figures]
    return table([f"one pair, {figures[0]['size']} px", "ms an evaluation", "over none"], listed)


def memory(figures: Mapping[str, float]) -> str:
    """Return peak bytes per pixel and pair."""
    return table(["512 px", "bytes per pixel and pair"], [[what, f"{count:,.0f}"] for what, count in figures.items()])


def high(figures: list[Mapping[str, Any]]) -> str:
    """Return what pictures of high resolution take."""
    names = {"nothing": "all kept", "checkpoint": "checkpointed", "tiles": "in tiles"}
    listed = [
        [
            f"{one['size']:,} px, {names[one['saving']]}, {one['precision']}",
            f"{one['seconds']:,.1f}",
            f"{one['bytes'] / 1e9:.1f}",
            f"{one['planned'] / 1e9:.1f}",
        ]
        for one in figures
    ]
    return table(["one pair", "seconds an evaluation", "peak, GB", "planned, GB"], listed)


def scales(figures: Mapping[str, float]) -> str:
    """Return one scale against coarse to fine."""
    return table(
        [f"{figures['size']} px", "loss", "seconds"],
        [
            ["one scale", f"{figures['single_loss']:.4f}", f"{figures['single_seconds']:.1f}"],
            ["coarse to fine", f"{figures['loss']:.4f}", f"{figures['seconds']:.1f}"],
        ],
    )


def parity(figures: list[float]) -> str:
    """Return how the final loss in bf16 compares with that in fp32."""
    middle, low, high = statistics.median(figures), min(figures), max(figures)
    return f"Final loss in bf16 over fp32's, {len(figures)} pairs: median {middle:.4f}, from {low:.4f} to {high:.4f}."


def idle(figures: Mapping[str, float]) -> str:
    """Return how long an actor waits for work."""
    return f"An actor's idle time in a run of {figures['rows']} rows: {100 * figures['share']:.1f} % of its busy time."


def against(name: str, value: float) -> str:
    """Return the target of a figure by its name, and that it is missed where the figure is above it."""
    return f"{TARGETS[name]:g}{', missed' if value > TARGETS[name] else ''}"


def million(figures: Mapping[str, Any]) -> str:
    """Return what planning and resuming a million rows take."""
    plan, resume = figures["plan"], figures["resume"]
    measured = {
        "validated and planned, s of CPU": plan["validate_seconds"] + plan["plan_seconds"],
        "planned, peak GB": plan["peak_bytes"] / 1e9,
        "what is left to do decided, s of CPU": resume["decided_seconds"],
        "what is left to do decided, peak GB": resume["peak_bytes"] / 1e9,
    }
    listed = [[name, f"{value:.{2 * name.endswith('GB')}f}", against(name, value)] for name, value in measured.items()]
    return table([f"{plan['rows']:,} rows", "measured", "target"], listed)


def ten_million(figures: Mapping[str, Any]) -> str:
    """Return what planning ten million rows takes."""
    measured = {
        "10 million validated and planned, s of CPU": figures["validate_seconds"] + figures["plan_seconds"],
        "10 million planned, peak GB": figures["peak_bytes"] / 1e9,
    }
    listed = [
        [name.removeprefix("10 million "), f"{value:.{2 * name.endswith('GB')}f}", against(name, value)]
        for name, value in measured.items()
    ]
    return table([f"{figures['rows']:,} rows", "measured", "target"], listed)


def overhead(figures: list[Mapping[str, Any]]) -> str:
    """Return the CPU time of a row beside the kernel."""
    who = ("driver", "workers", "ray")
    listed = []
    for one in figures:
        costs = [*(one["ms_per_row"][part] for part in who), one["ms_per_row_in_all"]]
        target = against(
            "a row alone, ms of CPU" if one["rows_per_batch"] == 1 else "a row of a batch, ms of CPU", costs[-1]
        )
        listed.append([one["rows_per_batch"], one["batches_per_block"], *(f"{cost:.1f}" for cost in costs), target])
    return table(
        ["rows of a batch", "batches of a block", "driver, ms", "workers, ms", "Ray, ms", "in all, ms", "target, ms"],
        listed,
    )


def how_far(rows: tuple[int, ...] = (1_000_000, 10_000_000, 100_000_000), gpus: int = 1600) -> str:
    """Return what runs of so many rows take before they begin, and how many batches one driver has in a second."""
    parts = {part: measured["figures"] for part, measured in json.loads(SCALE.read_text("utf-8")).items()}
    less, plan = parts["million"]["plan"], parts["ten_million"]
    a_row = (plan["peak_bytes"] - less["peak_bytes"]) / (plan["rows"] - less["rows"])
    base = plan["peak_bytes"] - a_row * plan["rows"]
    seconds = (plan["validate_seconds"] + plan["plan_seconds"]) / plan["rows"]
    writes = parts["requests"][-1]["requests"]["PUT"]
    alone, shared = parts["overhead"][-2:]
    size = shared["rows_per_batch"]
    alone_ms, shared_ms = (one["ms_per_row"]["driver"] * size for one in (alone, shared))
    listed = [
        ["read, checked and planned, minutes of one core", *(f"{seconds * count / 60:,.1f}" for count in rows)],
        [
            "the driver's memory at its peak, GB",
            *(f"{(base + a_row * count) / 1e9:,.1f}" for count in rows),
        ],
        [f"requests that write, in batches of {size}, millions", *(f"{writes * count / 1e6:,.1f}" for count in rows)],
    ]
    most, others = 1000 / shared_ms, shared["batches_per_block"] - 1
    return (
        f"{table(['rows', *(f'{count:,}' for count in rows)], listed)}\n\n"
        f"A core validates and plans {1 / seconds:,.0f} rows a second; a row takes {a_row:,.0f} bytes of the driver. "
        f"For a batch of {size} rows that is a block of its own the driver takes {alone_ms:.0f} ms of a core, for one "
        f"that shares its block with {others} others {shared_ms:.1f} ms, so that one run has {most:.0f} batches a "
        f"second at most, {most * size:,.0f} rows: what {gpus:,} GPUs do at {gpus / (most * size):.1f} s for a picture."
    )


def requests() -> str:
    """Return the table of requests of a row, for the README of what makes them."""
    counted = json.loads(SCALE.read_text("utf-8"))["requests"]["figures"]
    kinds = list(counted[0]["requests"])
    listed = [[one["rows_per_batch"], *(f"{one['requests'][kind]:.4g}" for kind in kinds)] for one in counted]
    return table(["rows of a batch", *kinds], listed)


def scaling(figures: list[Mapping[str, Any]]) -> str:
    """Return the share of their time that actors work."""
    idle = "time not at work, %"
    listed = []
    for one in figures:
        share = 100 - 100 * one["efficiency"]
        listed.append([one["actors"], one["batches"], f"{share:.1f}", against(idle, share)])
    return table(["actors", "batches of a second", idle, "target"], listed)


def rows(figures: Mapping[str, Any]) -> str:
    """Return what a run of many rows takes of the driver's memory."""
    listed = [
        [f"{percent} %", f"{used['own'] / 1e6:,.0f}", f"{used['peak'] / 1e6:,.0f}"]
        for percent, used in figures["driver_bytes_at_percent"].items()
    ]
    used = figures["driver_bytes_at_percent"]
    peak = against("run of 100,000 rows with its page, peak GB", figures["peak_bytes"] / 1e9)
    growth = 100 * (used["100"]["own"] / used["50"]["own"] - 1)
    target = against("growth of the driver, %", growth)
    said = (
        f"{figures['rows']:,} rows, {figures['rows_per_second']:.0f} a second. From half of them on the driver's own "
        f"memory grows by {growth:.1f} % (target: {target}). With the page its peak is "
        f"{figures['peak_bytes'] / 1e9:.2f} GB (target: {peak})."
    )
    return f"{table(['of the rows', 'driver, own MB', 'peak, MB'], listed)}\n\n{said}"


def page(figures: list[Mapping[str, Any]]) -> str:
    """Return what the page at the end of a run takes of the process that makes it."""
    listed = [
        [
            f"{one['rows']:,}",
            f"{one['cpu_seconds']:.0f}",
            _gigabytes(one["peak_bytes"]),
            f"{one['files']:,}",
            f"{one['page_bytes'] / 1e6:,.0f}",
        ]
        for one in figures
    ]
    most = figures[-1]
    cpu, peak = (against("page, s of CPU", most["cpu_seconds"]), against("page, peak GB", most["peak_bytes"] / 1e9))
    said = f"Targets for {most['rows']:,} rows: {cpu} (s of CPU); {peak} (GB at the peak)."
    return f"{table(['rows', 'CPU, s', 'peak, GB', 'files', 'MB'], listed)}\n\n{said}"


def starting(figures: Mapping[str, Any]) -> str:
    """Return what commands and the processes of a run take to start."""
    run = figures["run"]
    kinds = {
        "driver": "driver, until then",
        "actor": "actor, until then",
        "task": "task that reads or writes, with its row",
        "all": "all processes, Ray's own too, until then",
    }

    def target(name: str, seconds: float) -> str:
        return against(name, seconds) if name in TARGETS else ""

    listed = []
    for name, took in figures["commands"].items():
        listed.append([f"`{name}`", f"{took['cpu']:.2f}", f"{took['seconds']:.1f}", target(name, took["cpu"])])
    first = against("first batch at work", run["seconds"])
    listed.append(["`nst run`: first batch at work", "", f"{run['seconds']:.1f}", first])
    listed += [[what, f"{run[kind]:.2f}", "", target(kind, run[kind])] for kind, what in kinds.items()]
    return table([f"medians of {figures['rounds']}", "CPU seconds", "seconds", "target"], listed)


def far(figures: Mapping[str, Any]) -> str:
    """Return the share of their time that actors work, by where pictures and the output are."""
    listed = [[one["stores"], f"{100 * one['share']:.1f} %", _load(one)] for one in figures["shares"]]
    how = f"{figures['actors']} actors, {figures['batches']} batches each of {figures['rows']} rows and "
    how += f"{figures['seconds']:g} s; far: {1000 * figures['delay']:.0f} ms more for each request."
    return f"{table(['stores', 'time at work', 'load'], listed)}\n\n{how}"


def tail(figures: Mapping[str, Any]) -> str:
    """Return how long after the first actor the last one ends, where one is slow."""
    listed = [[one["in_flight"], f"{one['seconds']:.1f}", _load(one)] for one in figures["tails"]]
    how = f"{figures['actors']} actors, of which one is {figures['slower']} times slower; {figures['batches']} batches "
    how += f"of {figures['seconds']:g} s."
    return f"{table(['batches in flight at an actor', 'from the first end to the last, s', 'load'], listed)}\n\n{how}"


def _load(figure: Mapping[str, Any]) -> str:
    """Return how many processes wanted a CPU before a measurement, and at its end, when its own did too."""
    before, after = figure["load"]
    return f"{before:.1f} to {after:.1f}"


def fringe(figures: list[Mapping[str, Any]]) -> str:
    """Return how pictures differ at their border from inside, for each way to treat it."""
    kinds = list(dict.fromkeys((one["encoder"], one["border"]) for one in figures))
    listed = []
    for encoder, border in kinds:
        own = [one for one in figures if (one["encoder"], one["border"]) == (encoder, border)]
        means = (statistics.mean(one[name] for one in own) for name in ("spread", "step"))
        listed.append([encoder, border, len(own), *(f"{mean:.2f}" for mean in means)])
    return table(["encoder", "border", "pairs", "spread", "step"], listed)


def ratio(figures: list[Mapping[str, Any]]) -> str:
    """Return what is left of the content's style loss, by weight of the style."""
    listed = [[one["encoder"], one["pair"], f"{one['beta']:.0e}", f"{100 * one['style']:.1f} %"] for one in figures]
    return table(["encoder", "pair", "beta", "style loss left"], listed)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f}"


def _by_size(measured: list[Mapping[str, Any]]) -> str:
    """Return a table of what was measured per evaluation: a line for each candidate, a column for each size."""
    sizes = sorted({one["size"] for one in measured})
    kinds = list(dict.fromkeys(one["what"] for one in measured))
    by = {(one["what"], one["size"]): one for one in measured}

    def cell(kind: str, size: int) -> str:
        one = by.get((kind, size))
        return f"{one['ms']:,.{int(one['ms'] < 10)}f}, {one['speedup']:.2f} ×" if one else ""

    lines = [[kind, *(cell(kind, size) for size in sizes)] for kind in kinds]
    return table(["ms, × faster", *(f"{size} px" for size in sizes)], lines)
