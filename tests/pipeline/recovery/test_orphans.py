"""Processes whose run is over."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.recovery import ledger, orphans
from pipeline.recovery.ledger import Ledger
from pipeline.recovery.run_lock import RunLock
from tests.support import REPOSITORY

WORKER = """
import sys, time
from pipeline.recovery import ledger
from pipeline.recovery import orphans
notes = ledger.Ledger(*sys.argv[1:], lease=0.2)
with notes.attempt("optimise", []):
    orphans.exit_when_run_ends(notes)
    print("at work", flush=True)
    time.sleep(60)
"""


def test_a_run_is_over_when_its_lock_is_given_back_or_taken(tmp_path: Path) -> None:
    output = str(tmp_path)
    with RunLock(output) as lock:
        over = orphans.run_end_check(Ledger(output, lock.owner))
        assert not over()
    assert over()
    with RunLock(output) as lock, RunLock(output, force=True):
        assert orphans.run_end_check(Ledger(output, lock.owner))()


def test_who_never_sees_the_lock_ends_nothing(tmp_path: Path) -> None:
    over = orphans.run_end_check(Ledger(str(tmp_path), "run"))
    assert not over()
    assert not over()


def test_a_store_that_does_not_answer_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> bytes:
        raise storage.StorageError("connection refused")

    with RunLock(str(tmp_path)) as lock:
        over = orphans.run_end_check(Ledger(str(tmp_path), lock.owner))
        assert not over()
        with monkeypatch.context() as patched:
            patched.setattr(storage, "read_bytes", down)
            assert not over()
    assert over()


def test_a_lock_that_is_given_back_before_the_first_look_of_the_watch_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()
    monkeypatch.setattr(orphans, "_leave", left.set)
    with RunLock(str(tmp_path)) as lock:
        orphans.exit_when_run_ends(Ledger(str(tmp_path), lock.owner, lease=4.0))
    assert left.wait(30)


def test_a_process_leaves_with_its_run_and_its_rows_are_not_suspect(tmp_path: Path) -> None:
    output = str(tmp_path)
    with RunLock(output) as lock:
        words = [sys.executable, "-c", WORKER, output, lock.owner]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        worker = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        assert worker.stdout
        assert worker.stdout.readline() == "at work\n"
        assert len(ledger.read_attempts(output)) == 1
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.5)
    assert worker.wait(30) == 1
    worker.stdout.close()
    assert ledger.read_attempts(output) == []
