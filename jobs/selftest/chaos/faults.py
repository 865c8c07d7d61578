"""The faults of a self-test, each played once: something is killed, refused or spoilt, and every row must come out."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from jobs.selftest.chaos import victims
from jobs.selftest.chaos.hooks import DEATHS, STORMY
from jobs.selftest.chaos.stage import Outcome, Play, Stage, judge, pixels
from pipeline import storage
from pipeline.outputs import Progress, layout, summary
from pipeline.recovery import Attempt, Locked, owner_of, saved_states

GOOD = ("good-0", "good-1", "good-2", "good-3")

LONG = 200
"""Iterations of a row that takes some seconds of a CPU."""


def driver_killed(stage: Stage, *, share: float) -> Outcome:
    """The driver is killed when about this share of its rows are done; the same again finishes, a third has no work."""
    play = stage.play(f"driver-{100 * share:.0f}", numbered(20))
    driver, owner = play.driver(stage.address), None
    while driver.poll() is None and len(play.committed()) < share * len(play.ids):
        owner = owner_of(play.output) or owner
        time.sleep(0.05)
    time.sleep(stage.random.uniform(0, 0.3))
    driver.kill()
    if driver.wait() == 0:  # it was through before the stroke came
        return driver_killed(stage, share=share)
    done = play.committed()
    time.sleep(stage.random.choice([0, 0, 3]))  # workers outlive their driver for a moment, and may get in the way
    second, third = play.run(), play.run()
    wrong = [f"a third run had {third.total} rows to do"] if third.total else []
    if second.done_before < len(done):
        wrong.append(f"{len(done)} rows were done, of which the second run found {second.done_before}")
    begun = {row_id for entry in play.tally() if entry["run"] == owner for row_id in entry["ids"]}
    return judge(play, in_flight=len(begun - done), wrong=wrong, note=f"{len(done)} of {len(play.ids)} were done")


def actor_killed(stage: Stage) -> Outcome:
    """An actor at work is killed every few seconds, never twice at the same row: that row would be quarantined."""
    play, struck = stage.play("actor", numbered(24)), set[str]()
    strokes = 0
    with running(play) as run:
        while not run.done():
            time.sleep(stage.random.uniform(1, 4))
            fresh = [attempt for attempt in victims.at_work(play.output) if not struck & _ids(attempt)]
            if fresh and victims.end(attempt := stage.random.choice(fresh), signal.SIGKILL):
                struck |= _ids(attempt)
                strokes += 1
        run.result()
    return judge(play, in_flight=len(struck), strokes=strokes)


def preempted(stage: Stage) -> Outcome:
    """An actor gets SIGTERM at a random moment of each row: the same pictures as without, and little work lost."""
    how: dict[str, Any] = {"iterations": LONG, "rows_per_batch": 1, "actors": 1, "worth_saving": 0.3}
    ids = GOOD[:3]
    undisturbed = stage.play("undisturbed", ids, again=True, **how)
    undisturbed.run()
    rows = undisturbed.rows()
    took = min(row["seconds"]["optimise"] for row in rows.values())
    play, lost, struck = stage.play("preempted", ids, **how), list[float](), set[str]()
    with running(play) as run:
        while not run.done():
            for attempt in victims.at_work(play.output):
                if not struck & _ids(attempt):
                    time.sleep(stage.random.uniform(0, 0.8 * took))
                    if gone := victims.end(attempt, signal.SIGTERM):
                        struck |= _ids(attempt)
                        began = datetime.fromisoformat(attempt.began_at).timestamp()
                        lost.append(gone - began - _saved(play, attempt))
            time.sleep(0.05)
        run.result()
    ours, wrong = play.rows(), []
    for row_id in ids:
        on_cpus = ours[row_id]["device"] == rows[row_id]["device"] == "cpu"  # GPUs do not give the same bits twice
        if on_cpus and not np.array_equal(pixels(ours[row_id]), pixels(rows[row_id])):
            wrong.append(f"row {row_id} became another picture")
    most = max(lost, default=0.0)
    if most > 10:
        wrong.append(f"{most:.1f} s of work were lost")
    return judge(
        play, in_flight=len(struck), strokes=len(struck), wrong=wrong, note=f"at most {most:.1f} s of work lost"
    )


def _saved(play: Play, attempt: Attempt) -> float:
    """Seconds of work that a state has in it; 0 if there is none."""
    state = saved_states.load(saved_states.uri_of(play.output, attempt.rows))
    return float(state.notes["seconds"]) if state else 0.0


def poisoned(stage: Stage, *, how: str) -> Outcome:
    """A row that kills whoever optimises it, and one that kills who decodes it: quarantined, alone."""
    poison = [f"{how}-in-{place}" for place in ("fetch", "optimise")]
    play = stage.play(how, [*poison, *GOOD], rows_per_batch=3, stall_timeout=15.0)
    play.run()
    again = play.run()
    wrong = [] if (again.total, again.quarantined_before) == (0, 2) else [f"a second run had {again.total} rows to do"]
    redone = 2 * play.rows_per_batch  # it dies with its batch, and once more while rows of that are tried one by one
    return judge(
        play, expected=dict.fromkeys(poison, "quarantined"), in_flight=redone, strokes=len(poison), wrong=wrong
    )


def storm(stage: Stage) -> Outcome:
    """Of the workers' requests to storage 30 % fail: before the deed, after it, or cut short."""
    play = stage.play(STORMY, numbered(12))
    progress = play.run()
    repeated = sum(row["retries"] for row in play.rows().values())
    wrong = [] if repeated else ["no request was repeated"]
    if summary.read(play.output)["retries"] != progress.retries or progress.retries < repeated:
        wrong.append(f"{progress.retries} requests were repeated, run.json tells another number, or the rows tell more")
    return judge(play, strokes=progress.retries, wrong=wrong, note=f"{progress.retries} requests repeated")


def two_runs(stage: Stage) -> Outcome:
    """A second run begins on an output while a first is at work on it, with other rows: it is refused."""
    play = stage.play("two", numbered(12), iterations=60)
    driver = play.driver(stage.address)
    while driver.poll() is None and not _locked(play):
        time.sleep(0.05)
    time.sleep(stage.random.uniform(0, 3))
    other = stage.play("other", GOOD)
    wrong = []
    try:
        Play(other.manifest, play.output, other.ids).run()
        wrong.append("the second run was let in")
    except Locked:
        pass
    if driver.wait():
        wrong.append(f"the first run ended with exit code {driver.returncode}")
    return judge(play, wrong=wrong)


def _locked(play: Play) -> bool:
    try:
        return bool(storage.identity(layout.lock_file(play.output)))
    except storage.StorageError:
        return False


def bad_pictures(stage: Stage) -> Outcome:
    """Pictures that are none, or are cut at every tenth: their rows fail and say why, the others are done."""
    whole = storage.read_bytes(storage.join(stage.home, "pictures", "lake.png"))
    bad = {f"cut-at-{tenth}-tenths": whole[: len(whole) * tenth // 10] for tenth in range(10)}
    bad |= {"zeros": bytes(5000), "html": b"<!DOCTYPE html><title>404</title>", "noise": stage.random.randbytes(5000)}
    contents = {name: stage.put(f"{name}.png", data) for name, data in bad.items()}
    play = stage.play("bad", [*bad, *GOOD], contents=contents)
    play.run()
    wrong = [f"row {name} does not say why" for name, row in play.rows().items() if name in bad and not row["error"]]
    return judge(play, expected=dict.fromkeys(bad, "failed"), strokes=len(bad), wrong=wrong)


FAULTS: Mapping[str, Callable[[Stage], Outcome]] = {
    **{f"driver killed at {100 * share:.0f} %": partial(driver_killed, share=share) for share in (0.1, 0.5, 0.9)},
    "actors killed every few seconds": actor_killed,
    "actor told to go (SIGTERM) in each row": preempted,
    # A hog takes what others on its machine need: it is played where a test has set a low limit.
    **{f"poison: {how}": partial(poisoned, how=how) for how in DEATHS if how != "hog"},
    "30 % of storage requests fail": storm,
    "two runs on one output": two_runs,
    "bad pictures": bad_pictures,
}
"""By the name that the table gives them."""


@contextlib.contextmanager
def running(play: Play) -> Iterator[Future[Progress]]:
    """A play at work beside this block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(play.run)


def _ids(attempt: Attempt) -> set[str]:
    return {row_id for row_id, _ in attempt.rows}


def numbered(count: int) -> list[str]:
    """So many ids."""
    return [f"row-{number:02}" for number in range(count)]
