"""Notes of an actor for the process that takes its place if it crashes: which attempts it was at.

They are in the memory of Ray's head node, where a note takes a millisecond, wherever the output is. They are gone with
the cluster: what must outlast that is in storage a moment later.
"""

import contextlib
import dataclasses
import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.planning import RowKey
from pipeline.recovery.attempt import Attempt

log = logging.getLogger(__name__)

_NAMESPACE = "nst"
"""Of the notes, among what else Ray keeps there."""


class Handover:
    """The notes of one actor: attempts, by what they are at, that it or a process before it began and did not end.

    A process has one note at most of its own, as it works on one batch at a time. Notes of those before it stay until
    it is through with the rows.
    """

    def __init__(self) -> None:
        self._before: dict[str, Mapping[str, Any]] | None = None
        self._own: dict[str, Mapping[str, Any]] = {}
        # Of the thread that works and that which handles signals, which may be the same.
        self._lock = threading.RLock()
        self._is_leaving = False

    def begins(self, attempt: Attempt) -> bool:
        """Note that an attempt begins, and return whether the note is kept.

        It is not where there is no actor, and so no other process that would take its place.
        """
        with self._lock:
            if not self._is_leaving:
                self._own = {attempt.name.work: _without_rows(attempt)}
                if self._write():
                    return True
                self._own = {}
        self.wait_if_leaving()
        return False

    def wait_if_leaving(self) -> None:
        """Wait for the end of this process if it is about to end: it begins nothing more."""
        if self._is_leaving:
            threading.Event().wait()

    def is_readable(self) -> bool:
        """Return whether it is known what processes before this one have left."""
        return self._read() is not None

    def left(self, work: str, rows: tuple[RowKey, ...]) -> Attempt | None:
        """Return the attempt at some rows at which the process crashed whose place this one took; None: there is none.

        Args:
            work: the part of an attempt's name that tells what it is at.
            rows: at which it was.
        """
        noted = (self._read() or {}).get(work)
        return Attempt(rows=rows, **noted) if noted else None

    def ended(self, work: str) -> None:
        """Drop the notes of what an attempt was at, which is over."""
        with self._lock:
            notes = (self._own.pop(work, None), (self._read() or {}).pop(work, None))
            if any(notes):
                self._write()

    def leave(self) -> None:
        """Drop the note of this process, which ends on request; those of processes before it stay."""
        with self._lock:
            self._is_leaving = True
            for work in list(self._own):
                self.ended(work)

    def _read(self) -> dict[str, Mapping[str, Any]] | None:
        """Return the notes that were there when this process began; None if they cannot be read now."""
        if self._before is None:
            try:
                text = _call("get")
            except _NoNotes:
                return None
            self._before = json.loads(text) if text else {}
        return self._before

    def _write(self) -> bool:
        """Keep all notes, in the place of those that are there, and return whether they are kept."""
        before = self._read()
        if before is None:  # they must not be lost
            return False
        notes = before | self._own
        with contextlib.suppress(_NoNotes):
            return (_call("put", json.dumps(notes)) if notes else _call("del")) is not None
        return False


class _NoNotes(Exception):
    """Ray's head node did not answer."""


def _without_rows(attempt: Attempt) -> dict[str, Any]:
    """Return what an attempt's note has: all but the rows, which whoever needs it has."""
    return {name: value for name, value in dataclasses.asdict(attempt).items() if name != "rows"}


def _actor() -> str:
    """Return the id of the actor that this process is, which that in its place has too; empty: it is none."""
    ray = sys.modules.get("ray")  # a process that has not loaded it is no actor
    if ray is None or not ray.is_initialized():
        return ""
    return str(ray.get_runtime_context().get_actor_id() or "")


def _call(verb: str, *data: str) -> Any:
    """Request something of the memory of Ray's head node about this actor; None without one, or if there is nothing.

    Raises:
        _NoNotes: if it cannot be had.
    """
    key = _actor()
    if not key:
        return None
    from ray.experimental import internal_kv

    request: Callable[..., Any] = getattr(internal_kv, f"_internal_kv_{verb}")
    try:
        return request(key, *data, namespace=_NAMESPACE)
    except Exception as error:  # of Ray, whatever it is
        log.warning("Ray keeps no notes: %s", error)
        raise _NoNotes from error
