"""How runs end: refused, hopeless, finished with a summary and few files."""

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.flow.dataset import RunBroken, TooManyFailures
from pipeline.flow.retry import retry
from pipeline.layout import lock_file
from pipeline.options.failure_limit import FailureLimit
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs import layout, schema
from pipeline.outputs import table as result_table
from pipeline.planning import Fetched, Optimised
from pipeline.recovery import ledger
from pipeline.recovery.run_lock import Locked, RunLock
from tests.bench.stub import StubKernel
from tests.e2e.conftest import ROWS, Studio, as_csv, as_jsonl


def test_a_finished_run_leaves_one_file_of_results_and_a_summary(finished: Studio) -> None:
    assert len(result_table.parts(finished.output)) == 1
    said = json.loads(Path(layout.summary_file(finished.output)).read_text())
    assert said["plan"] == {"rows": 3, "batches": said["plan"]["batches"], "done": 0, "quarantined": 0}
    assert said["counts"] == {"ok": 3, "failed": 0, "diverged": 0, "quarantined": 0}
    assert said["job"]["source"]["defaults"]["size"] == 48
    assert said["started_at"] < said["finished_at"]
    assert said["versions"].keys() >= {"torch", "ray"}
    assert not Path(lock_file(finished.output)).exists()
    assert ledger.read_attempts(finished.output) == []
    last = Path(layout.summary_file(finished.output)).stat().st_mtime_ns
    assert all(Path(part).stat().st_mtime_ns <= last for part in result_table.parts(finished.output))


@pytest.mark.usefixtures("without_ray")
def test_failed_and_quarantined_rows_are_retried_without_their_manifest(studio: Studio) -> None:
    rows: list[dict[str, object]] = [
        {**ROWS[0], "id": "later", "content": "later.png", "output": "my/name.webp"},
        {**ROWS[1], "id": "held"},
    ]
    manifest = studio.write("rows.jsonl", as_jsonl(rows))
    options = RunOptions(output=studio.output, resources=Resources(num_actors=1))
    with pytest.raises(storage.StorageError, match="no results"):
        retry(["failed"], options)
    studio.run(manifest, kernel=StubKernel)
    held = studio.results()["held"]
    quarantined = {name: held[name] for name in schema.SCHEMA.names if name not in ("output", "curve", "seconds")}
    result_table.commit(studio.output, [{**quarantined, "status": "quarantined", "run": held["run"] + 1}])
    studio.picture("later.png", 5)

    again = studio.run(manifest, kernel=StubKernel)
    assert (again.total, again.quarantined_before, again.counts["ok"]) == (1, 1, 1)
    assert studio.results()["later"]["output"].endswith("images/my/name.webp")
    assert retry(["failed"], options).total == 0
    progress = retry(["quarantined"], options)
    assert (progress.total, progress.counts["ok"]) == (1, 1)
    again = studio.run(manifest, kernel=StubKernel)
    assert (again.total, again.done_before) == (0, 2)
    result_table.commit(studio.output, [{**held, "id": "x", "status": "failed", "encoder_sha256": "another"}])
    with pytest.raises(ValueError, match="other weights"):
        retry(["failed"], options)


def test_a_folder_of_manifests_may_hold_its_output(studio: Studio, without_ray: None) -> None:
    """Once results are merged, their files had another name, and the second run took them for manifests."""
    (studio.folder / "jobs").mkdir()
    for name, row in (("one.csv", ROWS[0]), ("two.csv", ROWS[1])):
        urls = {role: f"../{row[role]}" for role in ("content", "style")}
        studio.write(f"jobs/{name}", as_csv([{**row, **urls}]))
    inside = dataclasses.replace(studio, name="jobs/out")
    assert inside.run(str(studio.folder / "jobs"), kernel=StubKernel).counts["ok"] == 2
    again = inside.run(str(studio.folder / "jobs"), kernel=StubKernel)
    assert (again.total, again.done_before) == (0, 2)


def test_a_second_run_on_an_output_starts_nothing(tmp_path: Path) -> None:
    from tests.e2e.conftest import furnish

    studio = furnish(tmp_path)
    manifest = studio.write("rows.csv", as_csv(ROWS))
    with RunLock(studio.output), pytest.raises(Locked, match="another run writes to"):
        studio.run(manifest)
    assert not Path(lock_file(studio.output)).exists()
    assert list(Path(studio.output).iterdir()) == []


@pytest.mark.usefixtures("without_ray")
def test_a_hopeless_run_stops_early_and_goes_on_when_it_is_mended(studio: Studio) -> None:
    rows: list[dict[str, object]] = [{"id": f"{n}", "content": f"{n}.png", "style": "painting.png"} for n in range(12)]
    for n in range(12):
        studio.picture(f"{n}.png", n)
        if n < 9:
            studio.write(f"{n}.png", (studio.folder / f"{n}.png").read_bytes()[:2000])  # good header, cut short
    manifest = studio.write("rows.jsonl", as_jsonl(rows))
    with pytest.raises(TooManyFailures, match=r"more than the 25% of 12 that --max-failures allows"):
        studio.run(manifest, max_failures=FailureLimit.parse("25%"), kernel=StubKernel)
    assert not Path(lock_file(studio.output)).exists()
    for n in range(9):
        studio.picture(f"{n}.png", n)
    progress = studio.run(manifest, max_failures=FailureLimit.parse("25%"), kernel=StubKernel)
    assert progress.counts["ok"] == progress.total
    assert {row["status"] for row in studio.results().values()} == {"ok"}
    assert len(studio.results()) == 12


def test_a_run_that_loses_its_lock_stops_in_the_middle_of_a_row(
    studio: Studio, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("pipeline.flow.run"), "RunLock", partial(RunLock, lease=1.0))
    manifest = studio.write("rows.csv", as_csv(ROWS[:1]))
    over, at_work, held = threading.Event(), set[int](), studio.folder / "held"
    held.touch()

    class Held(StubKernel):  # local, so that it travels to actors by value
        def __call__(self, fetched: Fetched) -> Optimised:
            while held.exists():
                time.sleep(0.05)
            return super().__call__(fetched)

    def rob() -> None:
        while not at_work:
            at_work.update(a.pid for a in ledger.read_attempts(studio.output) if a.stage == "optimise")
            if over.wait(0.05):
                return
        with RunLock(studio.output, force=True):
            over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        robbery = pool.submit(rob)
        try:
            with pytest.raises(RunBroken, match="another run has taken"):
                studio.run(manifest, kernel=Held)
            assert at_work
            until = time.monotonic() + 60  # its actor reads the lock as often as it is renewed
            while any(map(_runs, at_work)) and time.monotonic() < until:
                time.sleep(0.2)
            assert not any(map(_runs, at_work))
        finally:
            over.set()
            held.unlink()  # Ray may have begun another actor, which has seen no lock and would take a CPU as long
        robbery.result()


def _runs(pid: int) -> bool:
    """Whether a process is at work; one that has ended may wait for Ray to notice."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
