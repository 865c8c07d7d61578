"""One run at a time: a lease that refuses, ends, is renewed, and is taken over; on disk and in S3."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.layout import lock_file
from pipeline.outputs import provenance
from pipeline.recovery.run_lock import Locked, RunLock


@pytest.fixture(params=["local", "s3", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"


def left_by(output: str, *, seconds_left: float, machine: str = "another", pid: int = 1) -> None:
    ends = provenance.now() + timedelta(seconds=seconds_left)
    said = {"owner": "0123456789", "host": "far", "pid": pid, "machine": machine, "expires_at": ends.isoformat()}
    storage.write_bytes(lock_file(output), json.dumps(said).encode())


def test_a_second_run_is_refused_and_told_by_whom_until_the_first_ends(output: str) -> None:
    with RunLock(output) as first:
        held = json.loads(storage.read_bytes(lock_file(output)))
        with pytest.raises(Locked, match=f"process {held['pid']} on {held['host']}.*{held['expires_at'][:16]}"):
            RunLock(output).__enter__()
        assert json.loads(storage.read_bytes(lock_file(output)))["owner"] == first.owner
    with RunLock(output):
        pass
    with pytest.raises(storage.StorageError, match="does not exist"):
        storage.read_bytes(lock_file(output))


@pytest.mark.parametrize("output", ["local", "s3"], indirect=True)
def test_of_many_at_once_one_gets_it(output: str) -> None:
    """In memory:// nothing is atomic; runs, which are processes, cannot share it."""
    got: list[RunLock] = []

    def take() -> None:
        with contextlib.suppress(Locked):
            got.append(RunLock(output).__enter__())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].__exit__(None, None, None)


def test_a_lease_that_ended_is_taken_over_and_one_that_did_not_only_by_force(output: str) -> None:
    left_by(output, seconds_left=30)
    with pytest.raises(Locked, match="on far"):
        RunLock(output).__enter__()
    with RunLock(output, force=True) as forced:
        assert json.loads(storage.read_bytes(lock_file(output)))["owner"] == forced.owner
    left_by(output, seconds_left=-1)
    with RunLock(output):
        pass


def test_a_lock_that_is_none_is_replaced(output: str) -> None:
    storage.write_bytes(lock_file(output), b"half of a lo")
    with RunLock(output):
        pass


def test_a_run_killed_on_this_machine_needs_no_waiting(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pipeline.recovery.run_lock import RunLock; RunLock(sys.argv[1]).__enter__(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 9
    assert Path(lock_file(str(tmp_path))).exists()
    with RunLock(str(tmp_path)):
        pass


def eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_lease_is_renewed_and_whoever_lost_it_knows_and_leaves_the_other_alone(tmp_path: Path) -> None:
    output = str(tmp_path)

    def said() -> dict[str, str]:
        found: dict[str, str] = json.loads(storage.read_bytes(lock_file(output)))
        return found

    with RunLock(output, lease=0.2) as first:
        before = said()["renewed_at"]
        eventually(lambda: said()["renewed_at"] > before)
        first.check()
        with RunLock(output, force=True) as second:
            eventually(lambda: first.lost)
            with pytest.raises(Locked, match="taken"):
                first.check()
            first.__exit__(None, None, None)
            assert said()["owner"] == second.owner


def test_a_store_without_conditions_lets_no_second_run_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_whatever_is_there(uri: str, data: bytes, *, replaces: str | None) -> bool:
        storage.write_bytes(uri, data)
        return True

    monkeypatch.setattr(storage, "write_if", write_whatever_is_there)
    with RunLock(str(tmp_path)) as first:
        with pytest.raises(Locked):
            RunLock(str(tmp_path)).__enter__()
        assert json.loads(storage.read_bytes(first.uri))["owner"] == first.owner


def test_whoever_waits_is_told_of_a_lost_lock(tmp_path: Path) -> None:
    told = threading.Event()
    with RunLock(str(tmp_path), lease=0.2, on_loss=told.set), RunLock(str(tmp_path), force=True):
        assert told.wait(20)
