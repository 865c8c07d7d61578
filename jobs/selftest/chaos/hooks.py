"""What a self-test does inside its workers: it counts attempts, crashes processes, and makes storage unreliable.

Ray installs it in each worker (`worker_process_setup_hook`), for the jobs of a self-test alone.
"""

import ctypes
import json
import os
import random
import re
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from pipeline import storage
from pipeline.planning import PlannedRow
from pipeline.recovery import Ledger, observe_attempts
from pipeline.storage import Damaged, Store

SETUP = "jobs.selftest.chaos.hooks.install"

UNRELIABLE = "unreliable"
"""Name of a folder; a part of the requests for files below it fail."""

FAILING_SHARE = 0.3
"""Share of the requests that fail there."""


def _loop() -> None:
    """Never return."""
    while True:
        pass


HOGGED, MOUTHFUL = 12 << 30, 64 << 20
"""Bytes that `_hog` takes at most, and at a time: slowly enough that Ray's memory monitor keeps up."""


def _hog() -> None:
    """Take memory until the process is ended for it."""
    held = []
    for _ in range(HOGGED // MOUTHFUL):
        held.append(bytearray(b"x") * MOUTHFUL)  # memory that is not written to is not taken
        time.sleep(0.05)
    raise MemoryError(f"{HOGGED} bytes were taken and nobody minded")


CRASHES: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(1),
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory is short
    "hog": _hog,
    "loop": _loop,
    "stuck": lambda: re.match("(a|a)*b", "a" * 99),  # for hours, without releasing the interpreter's lock
}
"""Ways to crash a process, by the first word of an id such as `segfault-in-optimise`; the last word is the stage."""


def install() -> Callable[[], None]:
    """Make this process a part of a self-test from now on, and return a function that ends that."""
    leave_ledger = observe_attempts(_count_and_crash)
    leave_storage = storage.intercept(
        lambda uri, store: _UnreliableStore(store) if UNRELIABLE in uri.split("/") else store
    )

    def uninstall() -> None:
        leave_ledger()
        leave_storage()

    return uninstall


def _count_and_crash(ledger: Ledger, stage: str, rows: Sequence[PlannedRow]) -> None:
    """Count an attempt that begins, and crash this process if the id of a row asks for that in this stage."""
    _count(ledger, stage, rows)
    for planned in rows:
        how, _, where = planned.row.id.partition("-in-")
        if where == stage:
            CRASHES[how]()


def tally_folder(output: str) -> str:
    """Return the folder that has a small file for each time that actors began to optimise rows of an output."""
    return storage.join(output, "tally")


def _count(ledger: Ledger, stage: str, rows: Sequence[PlannedRow]) -> None:
    """Write a file to the tally: which rows this process begins to optimise, for which run, on which node."""
    import ray

    if stage != "optimise":
        return
    begun = {
        "ids": [planned.row.id for planned in rows],
        "run": ledger.run,
        "node": ray.get_runtime_context().get_node_id(),
    }
    storage.write_bytes(
        storage.join(tally_folder(ledger.output), f"{uuid.uuid4().hex}.json"), json.dumps(begun).encode()
    )


class _UnreliableStore:
    """A store that fails a share of its requests, half of these before and half after they took effect."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self.store, name)

        def unreliably(*arguments: Any) -> Any:
            luck = random.random()
            error = random.choice([ConnectionResetError("reset"), TimeoutError(), Damaged("truncated", "cut short")])
            if luck < FAILING_SHARE / 2:
                raise error
            answer = verb(*arguments)
            if luck < FAILING_SHARE:
                raise error
            return answer

        return unreliably
