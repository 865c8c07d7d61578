"""How busy actors are with stores at hand and far away, and how long one that is slow lets the others wait at the end.

Kernels are stubs that sleep, so that a few CPUs are enough.
"""

import csv
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.compute as pc
import ray
from PIL import Image

from jobs.pictures import CONTENTS, STYLES, draw
from pipeline.cluster import actor_pool, connect, pool_on_cluster
from pipeline.encoder import outline_of
from pipeline.flow.batch_queue import Work
from pipeline.flow.dataset import flow
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import Row
from pipeline.options import Resources, RunOptions
from pipeline.outputs.table import read_results
from pipeline.planning import Fetched, Limits, Optimised, plan
from pipeline.recovery import Ledger, RunLock
from pipeline.stages import ResumableOptimisation, Writer
from tests.bench import delayed
from tests.bench.requests import ResumableStub

SIZE = 64
"""Long side of the pictures, pixels: what they cost a CPU is measured elsewhere."""

PLACES = {"at hand": ("near", "near"), "pictures far": (delayed.FAR, "near"), "both far": (delayed.FAR, delayed.FAR)}
"""Where pictures and the output are, by the name of the situation."""

SLOW = 10
"""How many times longer the slow actor takes."""


def far(home: Path, *, actors: int = 2, batches: int = 40, rows: int = 16, seconds: float = 1.0) -> dict[str, Any]:
    """Return the share of its time, from its first batch to its last, that an actor works, by where the stores are.

    Args:
        home: an empty folder.
        actors: how many.
        batches: for each of them.
        rows: of a batch, each with a content of its own and one of a few styles.
        seconds: that a batch takes.
    """
    manifests = {place: _prepare(home / place, actors * batches * rows) for place in ("near", delayed.FAR)}
    found = []
    with _cluster(setup=delayed.SETUP):
        for name, (pictures, output) in PLACES.items():
            asked = _read(manifests[pictures])
            out, before = home / output / f"out {name}", _load()
            undo = delayed.install()
            try:
                _compute(asked, out, Limits(rows=rows), actors, partial(ResumableStub, seconds=seconds))
            finally:
                undo()
            table = read_results(str(out), columns=["seconds", "idle_seconds"])
            worked = pc.sum(pc.struct_field(table["seconds"], "optimise")).as_py()
            waited = pc.sum(table["idle_seconds"]).as_py()
            found.append({"stores": name, "share": worked / (worked + waited), "load": [before, _load()]})
    how = {"actors": actors, "batches": batches, "rows": rows, "seconds": seconds, "delay": delayed.SECONDS}
    return how | {"shares": found}


def tail(home: Path, *, actors: int = 8, batches: int = 20, seconds: float = 1.0) -> dict[str, Any]:
    """Return how long after the first actor the last one ends, where one is slow, by the batches in flight at each.

    Args:
        home: an empty folder.
        actors: how many, of which one is `SLOW` times slower.
        batches: for each of them, had all the same speed.
        seconds: that a batch of one row takes.
    """
    asked = _read(_prepare(home, actors * batches))
    found = []
    with _cluster():
        for in_flight, long in ((1, 0.0), (2, float("inf"))):
            ends = home / f"ends{in_flight}"
            ends.mkdir()
            before = _load()
            with patch.object(actor_pool, "LONG_BATCH", long):
                kernel = partial(UnevenStub, seconds=seconds, ends=str(ends))
                _compute(asked, home / f"out{in_flight}", Limits(rows=1), actors, kernel)
            ended = [float(file.read_text()) for file in ends.glob("*.end")]
            assert len(ended) == actors
            found.append({"in_flight": in_flight, "seconds": max(ended) - min(ended), "load": [before, _load()]})
    return {"actors": actors, "batches": actors * batches, "seconds": seconds, "slower": SLOW, "tails": found}


class UnevenStub(ResumableStub):
    """A stub of which the first one made is slower, and each notes when its last batch ended.

    Attributes:
        end: path of the file that has that time.
    """

    def __init__(
        self, weights: str, *, resumable: ResumableOptimisation, seconds: float, ends: str, **options: Any
    ) -> None:
        try:
            (Path(ends) / "slow").touch(exist_ok=False)
            seconds *= SLOW
        except FileExistsError:
            pass
        super().__init__(weights, resumable=resumable, seconds=seconds, **options)
        self.end = Path(ends) / f"{os.getpid()}.end"

    def __call__(self, fetched: Fetched) -> Optimised:
        """Note the time behind the batch."""
        optimised = super().__call__(fetched)
        self.end.write_text(f"{time.time()}")
        return optimised


def _prepare(home: Path, rows: int) -> str:
    """Make a manifest whose rows have a content of their own each, and return its path."""
    home.mkdir(parents=True, exist_ok=True)
    for kind, names in (("photo", CONTENTS), ("style", STYLES)):
        for number, name in enumerate(names):
            Image.fromarray(draw(name, SIZE, number)).save(home / f"{kind}{number}.jpg", quality=90)
    with (home / "rows.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["content", "style", "seed"])
        for number in range(rows):
            shutil.copyfile(home / f"photo{number % len(CONTENTS)}.jpg", home / f"own{number}.jpg")
            lines.writerow([f"own{number}.jpg", f"style{number % len(STYLES)}.jpg", number])
    return str(home / "rows.csv")


def _read(manifest: str) -> Sequence[Row]:
    return read_manifest(manifest, encoder_sha256="stub", defaults={"size": SIZE, "iterations": 1}).rows


@contextmanager
def _cluster(setup: str = "") -> Iterator[None]:
    """Have a cluster of this machine within this block, whose workers begin with a function, given by its name."""
    ray.shutdown()
    connect("local", runtime_env={"worker_process_setup_hook": setup} if setup else {})
    try:
        yield
    finally:
        ray.shutdown()


def _compute(rows: Sequence[Row], output: Path, limits: Limits, actors: int, kernel: Any) -> None:
    """Compute rows with so many actors."""
    encoder = outline_of("embedded")
    work = plan(rows, encoder_sha256=encoder.sha256, limits=limits)
    writer = Writer(str(output), encoder=encoder.name, encoder_sha256=encoder.sha256)
    with RunLock(str(output)) as lock:
        notes = Ledger(str(output), lock.owner)
        pool = pool_on_cluster(Resources(num_actors=actors))
        done = list(flow(Work(work.batches), RunOptions(), writer, pool, notes, kernel=kernel))
    assert len(done) == len(rows)


def _load() -> float:
    """Return how many processes wanted a CPU in the last minute, others' and those of this benchmark."""
    return round(os.getloadavg()[0], 2)
