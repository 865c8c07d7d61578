"""Sixteen processes that want the same lock at once, again and again."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from pipeline import storage
from pipeline.layout import lock_file
from pipeline.outputs import provenance
from tests.support import REPOSITORY

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


def check_that_one_gets_it(home: str) -> None:
    """Have processes ask for a new lock, then for that of a dead run of another machine, whose clock is ahead.

    Args:
        home: folder below which each play has an output of its own.
    """
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
