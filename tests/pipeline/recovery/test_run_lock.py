"""One run at a time: a lease that refuses, ends, is renewed, and is taken over; on disk and in S3."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.layout import lock_file
from pipeline.outputs import provenance
from pipeline.recovery.holder import Holder, this_process
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.storage._fsspec import AnyStore
from pipeline.storage._local import LocalStore


@pytest.fixture(params=["local", "s3", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"


def left_by(output: str, *, seconds_left: float, machine: str = "another", pid: int = 1) -> None:
    ends = provenance.now() + timedelta(seconds=seconds_left)
    said = {"owner": "0123456789", "host": "far", "pid": pid, "machine": machine, "expires_at": ends.isoformat()}
    storage.write_bytes(lock_file(output), json.dumps(said).encode())


def locks(output: str) -> list[str]:
    """The files of a lock: itself and claims to replace it."""
    with contextlib.suppress(storage.NotFound):
        return [uri for uri in storage.list_files(output) if "run.lock" in uri]
    return []


@contextlib.contextmanager
def renewed_elsewhere(output: str, *, seconds_left: float = 30) -> Iterator[None]:
    """A run of another machine, which renews its lock; `seconds_left` by the clock there, which may be any."""
    ended = threading.Event()

    def renew() -> None:
        number = 0.0
        while not ended.wait(0.03):
            number += 1
            left_by(output, seconds_left=seconds_left + number)

    left_by(output, seconds_left=seconds_left)
    thread = threading.Thread(target=renew)
    thread.start()
    yield
    ended.set()
    thread.join()


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


def test_a_lock_that_stands_unchanged_is_taken_over_and_one_that_is_renewed_only_by_force(output: str) -> None:
    with renewed_elsewhere(output), pytest.raises(Locked, match="on far"):
        RunLock(output, lease=2).__enter__()
    with RunLock(output, lease=0.2) as second:
        assert holder_of(output)["owner"] == second.owner


@pytest.mark.parametrize("seconds_left", [-3600, 3600])
def test_clocks_of_other_machines_are_not_asked(output: str, seconds_left: float) -> None:
    """Neither does one that is ahead end the lease of a living run, nor one that is behind keep that of a dead one."""
    with renewed_elsewhere(output, seconds_left=seconds_left), pytest.raises(Locked):
        RunLock(output, lease=2).__enter__()
    began = time.monotonic()
    with RunLock(output, lease=0.2):
        assert time.monotonic() - began >= 0.2


def test_the_lease_of_a_lock_is_that_of_its_run(tmp_path: Path) -> None:
    """A minute of ours is short for a run that renews its lock every two."""
    now = provenance.now()
    said = {"owner": "0", "renewed_at": now.isoformat(), "expires_at": (now + timedelta(seconds=0.6)).isoformat()}
    storage.write_bytes(lock_file(str(tmp_path)), json.dumps(said).encode())
    began = time.monotonic()
    with RunLock(str(tmp_path), lease=0.1):
        assert time.monotonic() - began >= 0.6


def test_one_renewal_is_a_sign_of_life(tmp_path: Path) -> None:
    output = str(tmp_path)
    left_by(output, seconds_left=30)
    renewal = threading.Timer(0.2, left_by, [output], {"seconds_left": 60})
    renewal.start()
    with pytest.raises(Locked):
        RunLock(output, lease=1).__enter__()
    renewal.join()


def test_force_waits_for_nobody(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it waits")

    left_by(output, seconds_left=30)
    monkeypatch.setattr(RunLock, "_wait", never)
    with RunLock(output, force=True) as forced:
        assert holder_of(output)["owner"] == forced.owner


def test_a_lock_that_is_given_back_while_it_is_watched_is_taken(tmp_path: Path) -> None:
    output = str(tmp_path)
    left_by(output, seconds_left=30)
    giving = threading.Timer(0.2, storage.remove, [lock_file(output)])
    giving.start()
    with RunLock(output, lease=60):
        pass
    giving.join()


def test_a_lock_that_is_none_is_replaced(output: str) -> None:
    storage.write_bytes(lock_file(output), b"half of a lo")
    with RunLock(output, lease=0.2):
        pass


@pytest.mark.parametrize("output", ["local", "s3", "memory"], indirect=True)
def test_of_many_who_replace_the_lock_of_a_dead_run_one_gets_it(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a store looks before it writes, and others do so at that moment."""
    for store in (LocalStore, AnyStore):
        write = store.write

        def slowly(self: Any, path: str, data: bytes, write: Callable[..., None] = write) -> None:
            time.sleep(0.2)
            write(self, path, data)

        monkeypatch.setattr(store, "write", slowly)
    left_by(output, seconds_left=-1)  # slowly as well
    got, refused = list[RunLock](), list[Locked]()

    def take() -> None:
        try:
            got.append(RunLock(output, lease=0.3).__enter__())
        except Locked as error:
            refused.append(error)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    got[0].__exit__(None, None, None)
    assert locks(output) == []


def test_whoever_claims_a_lock_and_dies_is_waited_for_and_no_longer(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(output, seconds_left=-1)
    write_if = storage.write_if

    def killed(uri: str, data: bytes, *, replaces: str | None) -> bool:
        if replaces is not None:
            raise KeyboardInterrupt
        return write_if(uri, data, replaces=replaces)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_if", killed)
        patch.setattr(storage, "remove", lambda uri: None)
        with pytest.raises(KeyboardInterrupt):
            RunLock(output, lease=0.2).__enter__()
    assert len(locks(output)) == 2
    began = time.monotonic()
    with RunLock(output, lease=0.2):
        assert time.monotonic() - began >= 0.4
    assert locks(output) == []


def test_a_name_that_leads_nowhere_is_no_lock(tmp_path: Path) -> None:
    Path(lock_file(str(tmp_path))).symlink_to(tmp_path / "nowhere")
    with pytest.raises(Locked, match="cannot be read: remove it"):
        RunLock(str(tmp_path)).__enter__()


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


def holder_of(output: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(storage.read_bytes(lock_file(output)))
    return fields


def free_process_id() -> int:
    """The id of a process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_a_process_id_tells_nothing_about_another_machine(tmp_path: Path) -> None:
    output, free = str(tmp_path), free_process_id()
    left_by(output, seconds_left=30, machine="another", pid=free)
    began = time.monotonic()
    with RunLock(output, lease=0.3):
        assert time.monotonic() - began >= 0.3
    left_by(output, seconds_left=30, machine=str(this_process()["machine"]), pid=free)
    with RunLock(output):
        pass


def test_the_process_of_another_user_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_permitted(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    left_by(str(tmp_path), seconds_left=30, machine=str(this_process()["machine"]), pid=os.getpid())
    monkeypatch.setattr(os, "kill", not_permitted)
    with pytest.raises(Locked):
        RunLock(str(tmp_path)).__enter__()


def test_a_process_that_has_the_number_of_a_dead_one_is_another(tmp_path: Path) -> None:
    output, here = str(tmp_path), this_process()
    assert here["started"]
    ends = (provenance.now() + timedelta(hours=1)).isoformat()
    for started, state in ((here["started"], "alive"), ("1", "gone")):
        said = {**here, "owner": "0", "started": started, "expires_at": ends}
        storage.write_bytes(lock_file(output), json.dumps(said).encode())
        holder = Holder.of(lock_file(output))
        assert holder
        assert holder.state() == state
    with RunLock(output):
        pass


def test_a_renewal_moves_the_end_of_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, moment = str(tmp_path), [provenance.now()]
    monkeypatch.setattr(provenance, "now", lambda: moment[0])
    with RunLock(output, lease=0.2):
        before = holder_of(output)["expires_at"]
        moment[0] += timedelta(hours=1)
        eventually(lambda: holder_of(output)["expires_at"] > before)


def test_a_lease_survives_renewals_that_fail(tmp_path: Path) -> None:
    waited: list[float | None] = []

    class Ended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return True

    lock = RunLock(str(tmp_path), lease=60)
    lock._ended = Ended()
    with lock:
        pass
    assert waited
    assert waited[0] is not None
    assert 3 * waited[0] < 60  # two of them fail, and the third is in time


def test_of_two_who_write_at_once_the_last_one_has_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store without conditions tells both that they wrote."""
    output = str(tmp_path)

    def written_and_then_replaced(uri: str, data: bytes, *, replaces: str | None) -> bool:
        storage.write_bytes(uri, data)
        left_by(output, seconds_left=30)
        return True

    monkeypatch.setattr(storage, "write_if", written_and_then_replaced)
    with pytest.raises(Locked, match="on far"):
        RunLock(output).__enter__()
    assert holder_of(output)["host"] == "far"


def test_after_its_run_a_lock_lets_nobody_write(tmp_path: Path) -> None:
    """A thread that lists the rest of an archive may go on a little longer than its run."""
    with RunLock(str(tmp_path)) as lock:
        lock.check()
    with pytest.raises(Locked, match="is over"):
        lock.check()


def test_a_lock_whose_file_is_gone_is_lost(output: str) -> None:
    told = threading.Event()
    with RunLock(output, lease=0.2, on_loss=told.set) as lock:
        storage.remove(lock_file(output))
        assert told.wait(20)
        with pytest.raises(Locked):
            lock.check()


def test_force_wins_against_a_run_that_renews_its_lock_at_that_moment(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(output, seconds_left=600)
    identity, renewals = storage.identity, iter((601.0, 602.0))

    def renewed_once_seen(uri: str) -> str:
        seen = identity(uri)
        for seconds in renewals:
            left_by(output, seconds_left=seconds)
            break
        return seen

    monkeypatch.setattr(storage, "identity", renewed_once_seen)
    with RunLock(output, force=True) as lock:
        assert json.loads(storage.read_bytes(lock_file(output)))["owner"] == lock.owner
    assert next(renewals, None) is None
