"""Sixteen processes that want the same lock at once: one gets it, on every kind of store, also after a crash."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.layout import lock_file
from pipeline.outputs import provenance
from tests.faults.support import create_only, rgw
from tests.support import REPOSITORY

pytestmark = pytest.mark.slow

PROCESSES, PLAYS = 16, 10

SCRIPT = """
import sys
from pipeline.recovery.run_lock import Locked, RunLock
from tests.faults.support import create_only
create_only.install()
for line in sys.stdin:
    lock = RunLock(line.strip(), lease=1.5)
    try:
        with lock:
            print("got", flush=True)
            sys.stdin.readline()
    except Locked:
        print("refused", flush=True)
        sys.stdin.readline()
    print("left", flush=True)
"""


@pytest.fixture(params=["local", "create only", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path)
    elif request.param == "create only":
        create_only.install()
        yield f"gs://{tmp_path}"
    elif rgw.installed():
        import boto3

        with rgw.serving(tmp_path / "rgw") as server, pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            boto3.client("s3").create_bucket(Bucket="races")
            yield "s3://races/home"
    else:
        pytest.skip("needs Debian's radosgw, ceph-mon and ceph-osd")


def test_one_gets_the_lock_and_the_others_are_refused(home: str) -> None:
    """First a new one, then that of a dead run of another machine, whose clock is an hour ahead."""
    command = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    runs = [
        subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]

    def tell(line: str) -> list[str]:
        for run in runs:
            assert run.stdin
            run.stdin.write(f"{line}\n")
            run.stdin.flush()
        return [run.stdout.readline().strip() for run in runs if run.stdout]

    try:
        for play in range(PLAYS):
            output = storage.join(home, str(play))
            if play:
                now = provenance.now()
                ends = (now + timedelta(hours=1)).isoformat()
                said = {"owner": "dead", "host": "far", "machine": "far", "pid": 1, "expires_at": ends}
                storage.write_bytes(lock_file(output), json.dumps(said).encode())
            assert sorted(tell(output)) == ["got", *["refused"] * (PROCESSES - 1)]
            assert tell("leave") == ["left"] * PROCESSES
            with pytest.raises(storage.NotFound):
                storage.identity(lock_file(output))
    finally:
        for run in runs:
            assert run.stdin
            run.stdin.close()
            run.wait(60)
