"""`make bench-scale`: a million rows planned and resumed, what the pipeline costs beside the kernel, and how it scales.

Requests to S3 are counted besides.

The kernel is a stub (`tests/bench/stub.py`) wherever rows are computed. Set-up is not timed.
"""

import argparse
import itertools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from tests.bench import far, million, page, requests, throughput
from tests.bench import starting as start
from tests.bench.__main__ import RESULTS, cpu_name

PARTS = ("million", "ten_million", "overhead", "rows", "scaling", "requests", "page", "starting", "far", "tail")


def main() -> None:
    """Measure, print, keep as JSON; parts that were not asked for stay as they were measured last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of " + ", ".join(PARTS))
    parser.add_argument("--million", type=int, default=1_000_000, help="rows of the manifest that is only planned")
    parser.add_argument(
        "--ten-million", type=int, default=10_000_000, help="rows of a manifest of which no more is tried"
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows that go the whole way, with a stub kernel")
    parser.add_argument("--overhead-batches", type=int, default=800)
    parser.add_argument("--waves", type=int, default=20, help="batches of a second for each actor")
    parser.add_argument("--page", default="10000,100000,1000000", help="rows of the results of which a page is made")
    parser.add_argument("--kept", help="folder where results and manifests are, or are left for the next time")
    options = parser.parse_args()
    console = Console(highlight=False)
    machine = f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores, ray {ray.__version__}"
    console.print(machine)
    parts: dict[str, Callable[[Console, Path], Any]] = {
        "million": lambda console, home: planned_and_resumed(console, home, options.million),
        "ten_million": lambda console, home: planned(console, Path(options.kept or home), options.ten_million),
        "overhead": lambda console, home: overhead(console, home, options.overhead_batches),
        "rows": lambda console, home: long_run(console, home, options.rows),
        "scaling": lambda console, home: scaling(console, home, options.waves),
        "requests": lambda console, _: per_row(console),
        "page": lambda console, home: pages(console, Path(options.kept or home), options.page),
        "starting": starting,
        "far": far_stores,
        "tail": slow_actor,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "scale.json"
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for part in options.parts.split(","):
        with tempfile.TemporaryDirectory() as home:
            kept[part] = {"machine": machine, "figures": parts[part](console, Path(home))}
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    console.print(f"Kept in {os.path.relpath(file)}")


def planned(console: Console, home: Path, rows: int) -> Any:
    """A manifest with known headers, before anything is done."""
    home = home / f"{rows} planned"
    if not home.exists():
        million.prepare(home, rows)
    first = million.measured("plan", home)
    console.print(
        f"{rows:,} rows validated in {first['validate_seconds']:.1f} s of CPU and planned in "
        f"{first['plan_seconds']:.1f} s: {first['batches']:,} batches, {first['peak_bytes'] / 1e9:.2f} GB at the peak"
    )
    return first


def planned_and_resumed(console: Console, home: Path, rows: int) -> Any:
    """A manifest with known headers, before anything is done and after all is."""
    first = planned(console, home, rows)
    home = home / f"{rows} planned"
    there = million.measured("finish", home)
    again = million.measured("resume", home)
    decided = again["finished_seconds"] + again["plan_seconds"]
    console.print(
        f"{again['done']:,} finished rows in {there['files']} files of {there['bytes'] / 1e9:.1f} GB: what is left, "
        f"{again['to_do']} rows, is decided in {decided:.1f} s, {again['peak_bytes'] / 1e9:.2f} GB at the peak"
        f"; validating the manifest takes {again['validate_seconds']:.1f} s more"
    )
    return {"plan": first, "results": there, "resume": again | {"decided_seconds": decided}}


def overhead(console: Console, home: Path, batches: int) -> Any:
    """Rows alone, as on CPUs, and in batches, as on GPUs; batches that are long, and short ones that share a block."""
    found = []
    for together, shared in itertools.product((1, 16), repeat=2):
        # As many batches for all: Ray starts processes for a while, which long runs pay for once.
        folder = home / f"{together} {shared}"
        r = throughput.overhead(folder, rows=together * batches, rows_per_batch=together, batches_per_block=shared)
        split = ", ".join(f"{kind} {ms:.1f}" for kind, ms in r["ms_per_row"].items())
        console.print(
            f"a row's CPU beside the kernel, 256 px, {together} to a batch, {shared} of them to a block: "
            f"{r['ms_per_row_in_all']:.1f} ms ({split})"
        )
        found.append(r)
    return found


def long_run(console: Console, home: Path, rows: int) -> Any:
    """Memory while rows go by."""
    r = throughput.measured(home / "rows", rows)
    seen = ", ".join(
        f"{percent} %: {at['own'] / 1e6:.0f} MB ({at['resident'] / 1e6:.0f} resident)"
        for percent, at in r["driver_bytes_at_percent"].items()
    )
    console.print(
        f"{rows:,} rows through a whole run, {r['rows_per_second']:.0f} rows/s; the driver's memory at {seen}; "
        f"with the page {r['peak_bytes'] / 1e6:.0f} MB at the peak"
    )
    return r


def pages(console: Console, home: Path, counts: str) -> Any:
    """The page at the end of a run, without small copies of pictures, for which it has a minute besides."""
    found = []
    for rows in map(int, counts.split(",")):
        output = home / f"{rows}" / "out"
        if not output.exists():
            page.prepare(output, rows)
        r = {"rows": rows, **page.measured(output)}
        console.print(
            f"the page of {rows:,} rows: {r['cpu_seconds']:.0f} s of CPU, {r['seconds']:.0f} s in all, "
            f"{r['peak_bytes'] / 1e9:.2f} GB at the peak; "
            f"{r['files']:,} files of {r['page_bytes'] / 1e6:,.0f} MB"
        )
        found.append(r)
    return found


def scaling(console: Console, home: Path, waves: int) -> Any:
    """More actors."""
    found = throughput.scaling(home / "rows", waves=waves)
    for r in found:
        console.print(f"{r['actors']} actors, a second for a batch: they work {r['efficiency']:.1%} of the time")
    return found


def per_row(console: Console) -> Any:
    """Requests to S3."""
    found = []
    for together in requests.TOGETHER:
        counted = requests.per_row(together)
        split = ", ".join(f"{kind} {count:.4g}" for kind, count in counted.items())
        console.print(f"requests of a row, {together} to a batch: {split}")
        found.append({"rows_per_batch": together, "requests": counted})
    return found


def starting(console: Console, home: Path) -> Any:
    """What a command, and each process of a run, takes to start."""
    r = start.starting(home)
    for name, took in r["commands"].items():
        console.print(f"{name}: {took['cpu']:.2f} s of CPU, {took['seconds']:.2f} s")
    names = ("driver", "actor", "task", "all")
    console.print(
        f"nst run: its first batch after {r['run']['seconds']:.1f} s; s of CPU until then: "
        + ", ".join(f"{name} {r['run'][name]:.2f}" for name in names)
    )
    return r


def far_stores(console: Console, home: Path) -> Any:
    """Stores at hand and far away."""
    r = far.far(home)
    for one in r["shares"]:
        console.print(f"{one['stores']}: actors work {one['share']:.1%} of the time (95 %)")
    return r


def slow_actor(console: Console, home: Path) -> Any:
    """One actor that is slow."""
    r = far.tail(home)
    for one in r["tails"]:
        console.print(f"{one['in_flight']} in flight: the last actor ends {one['seconds']:.1f} s after the first")
    return r


if __name__ == "__main__":
    main()
