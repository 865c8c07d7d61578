"""What a self-test does inside its workers: they keep a tally, die of certain rows, and meet storage that fails.

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

STORMY = "stormy"
"""A part of a URI below which requests fail."""

STORM_SHARE = 0.3


def _loop() -> None:
    while True:
        pass


HOGGED, MOUTHFUL = 12 << 30, 64 << 20
"""Bytes that a memory hog takes at most, and at a time: slowly enough that Ray's memory monitor keeps up."""


def _hog() -> None:
    held = []
    for _ in range(HOGGED // MOUTHFUL):
        held.append(bytearray(b"x") * MOUTHFUL)  # written to, or it would not be taken
        time.sleep(0.05)
    raise MemoryError(f"{HOGGED} bytes were taken and nobody minded")


DEATHS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(1),
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory is short
    "hog": _hog,
    "loop": _loop,
    "stuck": lambda: re.match("(a|a)*b", "a" * 99),  # for ages, and no other thread of Python gets a turn
}
"""By the first word of an id such as `segfault-in-optimise`; the last word is the stage."""


def install() -> None:
    """From now on this process is part of a self-test."""
    observe_attempts(_count_and_die)
    storage.intercept(lambda uri, store: _Stormy(store) if STORMY in uri.split("/") else store)


def _count_and_die(ledger: Ledger, stage: str, rows: Sequence[PlannedRow]) -> None:
    _count(ledger, stage, rows)
    for planned in rows:
        how, _, where = planned.row.id.partition("-in-")
        if where == stage:
            DEATHS[how]()


def tally_folder(output: str) -> str:
    """Where the tally of an output is: one small file for each time that rows were begun to be optimised."""
    return storage.join(output, "tally")


def _count(ledger: Ledger, stage: str, rows: Sequence[PlannedRow]) -> None:
    import ray

    if stage != "optimise":
        return
    said = {
        "ids": [planned.row.id for planned in rows],
        "run": ledger.run,
        "node": ray.get_runtime_context().get_node_id(),
    }
    storage.write_bytes(
        storage.join(tally_folder(ledger.output), f"{uuid.uuid4().hex}.json"), json.dumps(said).encode()
    )


class _Stormy:
    """A store of which a share of requests fails: half of these before the deed, half after it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self.store, name)

        def unreliably(*asked: Any) -> Any:
            luck = random.random()
            trouble = random.choice([ConnectionResetError("reset"), TimeoutError(), Damaged("truncated", "cut short")])
            if luck < STORM_SHARE / 2:
                raise trouble
            answer = verb(*asked)
            if luck < STORM_SHARE:
                raise trouble
            return answer

        return unreliably
