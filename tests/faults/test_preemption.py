"""Actors of a real run that are told to go, or just go, in the middle of a row; and a row that takes too long."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.flow.run import run
from pipeline.options.interruptions import Interruptions
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.table import read_results
from pipeline.recovery import saved_states
from tests.faults.support.processes import actors, actors_at_work
from tests.support import REPOSITORY, draw

ITERATIONS = 200
LONG: dict[str, object] = {
    "size": 64,
    "iterations": ITERATIONS,
    "min_improvement": 0,
    "scales": "",
    "precision": "fp32",
}


@dataclass
class Runs:
    """Runs of a manifest of one row."""

    home: Path

    def row(self, output: str, interruptions: Interruptions | None = None) -> dict[str, Any]:
        """What became of it."""
        where = str(self.home / output)
        resources = Resources(num_actors=1, interruptions=interruptions or Interruptions())
        run(str(self.home / "rows.csv"), RunOptions(output=where, resources=resources), defaults=LONG)
        (row,) = read_results(where).to_pylist()
        return dict(row)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("preemption")
    for name, seed in (("a.png", 1), ("s.png", 2)):
        Image.fromarray(draw(seed, 64, 64)).save(home / name)
    (home / "rows.csv").write_text("content,style\na.png,s.png\n", encoding="utf-8")
    return Runs(home)


@pytest.fixture(scope="module")
def undisturbed(runs: Runs, local_ray: None) -> dict[str, Any]:
    return runs.row("undisturbed")


@dataclass
class Observer(threading.Thread):
    """Sends actors a signal in the middle of their work, until a state was saved that the work can go on from.

    All the while it looks at how far saved states are.
    """

    output: Path
    signal: int
    at: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    done_before: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.over.wait(0.05):
            for path in (self.output / "preempted").glob("*.safetensors"):
                state = saved_states.load(str(path))
                if state is not None:
                    self.at.append(int(state.tensors["walk/walk/k"]))
            if self.done_before:
                continue
            if self.signal == signal.SIGKILL:
                ready = actors() if self.at else []  # it can only go on from what was saved before
            else:
                ready = [pid for pid in actors_at_work() if pid not in self.killed and not self.over.wait(1)]
                self.done_before = max(self.at, default=0)
            for pid in ready:
                self.killed.append(pid)
                os.kill(pid, self.signal)
                self.done_before = max(self.at, default=0)

    __hash__ = threading.Thread.__hash__


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes where Linux shows them")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_row_whose_actor_goes_is_finished_by_another(number: int, runs: Runs, undisturbed: dict[str, Any]) -> None:
    output = runs.home / signal.Signals(number).name
    observer = Observer(output, number)
    observer.start()
    # On SIGTERM alone is saved in the one case, and now and then alone in the other.
    save_every = 0.7 if number == signal.SIGKILL else 1e9
    row = runs.row(output.name, Interruptions(worth_saving=0, save_every=save_every))
    observer.over.set()
    observer.join()
    assert observer.killed
    assert row["status"] == "ok"
    ours, theirs = (np.asarray(Image.open(of["output"])) for of in (row, undisturbed))
    assert np.array_equal(ours, theirs)
    assert row["curve"] == undisturbed["curve"]
    assert observer.at == sorted(observer.at)  # never from the start, nor from anything earlier
    assert 0 < observer.done_before < ITERATIONS
    assert not list((output / "preempted").iterdir())


@pytest.mark.usefixtures("without_ray")
def test_a_row_over_its_deadline_fails_and_the_next_run_tries_it_again(runs: Runs) -> None:
    """The second run has another row like it, which nothing disturbed: they end alike."""
    pair = {"content": "a.png", "style": "s.png"}
    overdue = str(runs.home / "overdue")
    manifest = runs.home / "overdue.jsonl"

    def again(ids: list[str], interruptions: Interruptions) -> dict[str, dict[str, Any]]:
        manifest.write_text("".join(json.dumps({"id": id, **pair}) + "\n" for id in ids), encoding="utf-8")
        resources = Resources(num_actors=1, interruptions=interruptions)
        options = RunOptions(output=overdue, resources=resources)
        run(str(manifest), options, defaults={**LONG, "size": 32, "iterations": 12})
        return {row["id"]: row for row in read_results(overdue).to_pylist()}

    row = again(["late"], Interruptions(row_timeout=0.01))["late"]
    assert (row["status"], row["error_class"]) == ("failed", "DeadlineExceeded")
    assert "longer than 0.01 s a row" in row["error"]
    assert "of 12" in row["error"]
    rows = again(["late", "undisturbed"], Interruptions())
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert rows["late"]["total_loss"] == rows["undisturbed"]["total_loss"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_row_on_a_node_that_is_emptied_goes_on_elsewhere(runs: Runs) -> None:
    command = [sys.executable, "-m", "tests.faults.support.emptied_node", str(runs.home)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["status"], told["iterations"]) == ("ok", 500)
    assert 0 < told["saved"][0] < 500
