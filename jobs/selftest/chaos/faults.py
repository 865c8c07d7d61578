"""The faults of a self-test. Each runs a scenario once while something is killed, refused or damaged."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from jobs.selftest.chaos import processes
from jobs.selftest.chaos.hooks import CRASHES, UNRELIABLE
from jobs.selftest.chaos.scenario import Harness, Outcome, Scenario, judge, pixels
from pipeline import storage
from pipeline.outputs import Progress, layout, summary
from pipeline.recovery import Attempt, Locked, owner_of, saved_states

GOOD = ("good-0", "good-1", "good-2", "good-3")

LONG = 200
"""Iterations of a row that takes a CPU some seconds."""


def driver_killed(harness: Harness, *, share: float) -> Outcome:
    """Kill the driver when about this share of its rows are done: a second run finishes, a third has no work."""
    scenario = harness.scenario(f"driver-{100 * share:.0f}", numbered(20))
    driver, owner = scenario.start_driver(harness.address), None
    while driver.poll() is None and len(scenario.committed()) < share * len(scenario.ids):
        owner = owner_of(scenario.output) or owner
        time.sleep(0.05)
    time.sleep(harness.random.uniform(0, 0.3))
    driver.kill()
    if driver.wait() == 0:  # it had finished before the kill
        return driver_killed(harness, share=share)
    done = scenario.committed()
    time.sleep(harness.random.choice([0, 0, 3]))  # workers end a moment after their driver, and may interfere
    second, third = scenario.run(), scenario.run()
    wrong = [f"a third run had {third.total} rows to do"] if third.total else []
    if second.done_before < len(done):
        wrong.append(f"{len(done)} rows were done, of which the second run found {second.done_before}")
    begun = {row_id for entry in scenario.tally() if entry["run"] == owner for row_id in entry["ids"]}
    return judge(
        scenario, in_flight=len(begun - done), wrong=wrong, note=f"{len(done)} of {len(scenario.ids)} were done"
    )


def actor_killed(harness: Harness) -> Outcome:
    """Kill an actor at work every few seconds, never twice with the same row, which would be quarantined."""
    scenario, struck = harness.scenario("actor", numbered(24), iterations=20), set[str]()
    strokes = 0
    with running(scenario) as run:
        while not run.done():
            time.sleep(harness.random.uniform(1, 4))
            fresh = [attempt for attempt in processes.at_work(scenario.output) if not struck & _ids(attempt)]
            if fresh and processes.end(attempt := harness.random.choice(fresh), signal.SIGKILL):
                struck |= _ids(attempt)
                strokes += 1
        run.result()
    return judge(scenario, in_flight=len(struck), strokes=strokes)


def preempted(harness: Harness) -> Outcome:
    """Send an actor SIGTERM at a random moment of each row: pictures must stay the same, and little work be lost."""
    how: dict[str, Any] = {"iterations": LONG, "rows_per_batch": 1, "actors": 1, "worth_saving": 0.3}
    ids = GOOD[:3]
    undisturbed = harness.scenario("undisturbed", ids, again=True, **how)
    undisturbed.run()
    rows = undisturbed.rows()
    took = min(row["seconds"]["optimise"] for row in rows.values())
    scenario, lost, struck = harness.scenario("preempted", ids, **how), list[float](), set[str]()
    with running(scenario) as run:
        while not run.done():
            for attempt in processes.at_work(scenario.output):
                if not struck & _ids(attempt):
                    time.sleep(harness.random.uniform(0, 0.8 * took))
                    if gone := processes.end(attempt, signal.SIGTERM):
                        struck |= _ids(attempt)
                        began = datetime.fromisoformat(attempt.began_at).timestamp()
                        lost.append(gone - began - _saved(scenario, attempt))
            time.sleep(0.05)
        run.result()
    ours, wrong = scenario.rows(), []
    for row_id in ids:
        on_cpus = ours[row_id]["device"] == rows[row_id]["device"] == "cpu"  # GPUs do not give the same bits twice
        if on_cpus and not np.array_equal(pixels(ours[row_id]), pixels(rows[row_id])):
            wrong.append(f"row {row_id} became another picture")
    most = max(lost, default=0.0)
    if most > 10:
        wrong.append(f"{most:.1f} s of work were lost")
    return judge(
        scenario, in_flight=len(struck), strokes=len(struck), wrong=wrong, note=f"at most {most:.1f} s of work lost"
    )


def _saved(scenario: Scenario, attempt: Attempt) -> float:
    """Return how many seconds of work an attempt has saved in its state; 0 if there is none."""
    state = saved_states.load(saved_states.uri_of(scenario.output, attempt.rows))
    return float(state.notes["seconds"]) if state else 0.0


def poisoned(harness: Harness, *, how: str) -> Outcome:
    """Run with a row that crashes its process in decoding, and one that does in optimising: only these are quarantined.

    Args:
        harness: of the scenarios.
        how: they crash, a key of `hooks.CRASHES`.
    """
    poison = [f"{how}-in-{place}" for place in ("fetch", "optimise")]
    scenario = harness.scenario(how, [*poison, *GOOD], rows_per_batch=3, stall_timeout=15.0)
    scenario.run()
    again = scenario.run()
    wrong = [] if (again.total, again.quarantined_before) == (0, 2) else [f"a second run had {again.total} rows to do"]
    # Each crashes its batch, and once more while the rows of that are tried one by one.
    redone = 2 * scenario.rows_per_batch
    return judge(
        scenario, expected=dict.fromkeys(poison, "quarantined"), in_flight=redone, strokes=len(poison), wrong=wrong
    )


def unreliable_storage(harness: Harness) -> Outcome:
    """Make 30 % of the workers' storage requests fail: before they take effect, afterwards, or cut short."""
    scenario = harness.scenario(UNRELIABLE, numbered(12))
    progress = scenario.run()
    repeated = sum(row["retries"] for row in scenario.rows().values())
    wrong = [] if repeated else ["no request was repeated"]
    if summary.read(scenario.output)["retries"] != progress.retries or progress.retries < repeated:
        wrong.append(f"{progress.retries} requests were repeated, run.json tells another number, or the rows tell more")
    return judge(scenario, strokes=progress.retries, wrong=wrong, note=f"{progress.retries} requests repeated")


def two_runs(harness: Harness) -> Outcome:
    """Start a second run with other rows on an output while a first one works on it: the second must be refused."""
    scenario = harness.scenario("two", numbered(12), iterations=60)
    driver = scenario.start_driver(harness.address)
    while driver.poll() is None and not _locked(scenario):
        time.sleep(0.05)
    time.sleep(harness.random.uniform(0, 3))
    other = harness.scenario("other", GOOD)
    wrong = []
    try:
        Scenario(other.manifest, scenario.output, other.ids).run()
        wrong.append("the second run was let in")
    except Locked:
        pass
    if driver.wait():
        wrong.append(f"the first run ended with exit code {driver.returncode}")
    return judge(scenario, wrong=wrong)


def _locked(scenario: Scenario) -> bool:
    """Return whether a run holds the lock of a scenario's output."""
    try:
        return bool(storage.identity(layout.lock_file(scenario.output)))
    except storage.StorageError:
        return False


def bad_pictures(harness: Harness) -> Outcome:
    """Run with files that are no pictures or are cut at every tenth: their rows fail with a reason, others are done."""
    whole = storage.read_bytes(storage.join(harness.home, "pictures", "lake.png"))
    bad = {f"cut-at-{tenth}-tenths": whole[: len(whole) * tenth // 10] for tenth in range(10)}
    bad |= {"zeros": bytes(5000), "html": b"<!DOCTYPE html><title>404</title>", "noise": harness.random.randbytes(5000)}
    contents = {name: harness.store_picture(f"{name}.png", data) for name, data in bad.items()}
    scenario = harness.scenario("bad", [*bad, *GOOD], contents=contents)
    scenario.run()
    wrong = [
        f"row {name} does not say why" for name, row in scenario.rows().items() if name in bad and not row["error"]
    ]
    return judge(scenario, expected=dict.fromkeys(bad, "failed"), strokes=len(bad), wrong=wrong)


FAULTS: Mapping[str, Callable[[Harness], Outcome]] = {
    **{f"driver killed at {100 * share:.0f} %": partial(driver_killed, share=share) for share in (0.1, 0.5, 0.9)},
    "actors killed every few seconds": actor_killed,
    "actor told to go (SIGTERM) in each row": preempted,
    # A hog takes memory that others on its machine need: a test runs it under a low limit.
    **{f"poison: {how}": partial(poisoned, how=how) for how in CRASHES if how != "hog"},
    "30 % of storage requests fail": unreliable_storage,
    "two runs on one output": two_runs,
    "bad pictures": bad_pictures,
}
"""Faults by the name that the table has and `--only` selects."""


@contextlib.contextmanager
def running(scenario: Scenario) -> Iterator[Future[Progress]]:
    """Run a scenario in another thread while this block works."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(scenario.run)


def _ids(attempt: Attempt) -> set[str]:
    """Return the ids of the rows of an attempt."""
    return {row_id for row_id, _ in attempt.rows}


def numbered(count: int) -> list[str]:
    """Return as many ids, such as row-00."""
    return [f"row-{number:02}" for number in range(count)]
