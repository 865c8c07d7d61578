"""The run lock, by which one run at a time writes to an output: a lease in storage, renewed while the run is alive."""

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline import storage
from pipeline.outputs import layout, provenance

LEASE_SECONDS = 60.0
"""How long a lock is valid after its last renewal. Clocks of machines that share an output must differ by less."""

RENEWALS_PER_LEASE = 4
"""So that a lease survives three renewals that fail."""

log = logging.getLogger(__name__)


class Locked(storage.StorageError):
    """Another run writes to this output."""


def this_process() -> dict[str, object]:
    """Return what identifies this process to others on the same machine: host, process id, boot and container."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "machine": _machine()}


def _machine() -> str:
    """Return what a process id is valid within: this boot of this machine, in this container; empty where unknown."""
    parts = []
    with contextlib.suppress(OSError):
        parts = [
            Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(parts)


def owner_of(output: str) -> str | None:
    """Return the run that holds the lock of an output; None if none does.

    Raises:
        StorageError: if the lock cannot be read.
    """
    holder = _holder(layout.lock_file(output))
    return None if holder is None else str(holder.get("owner", ""))


FORCED_TRIES = 20
"""Tries to take a lock by force from a run that goes on renewing it."""


class RunLock:
    """The lock of an output, held within a `with` block.

    Attributes:
        owner: name of the run, another one for each.
        lost: whether another run took the lock over, by force or since this process had hung for longer than a lease.
    """

    def __init__(
        self,
        output: str,
        *,
        force: bool = False,
        lease: float = LEASE_SECONDS,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a lock, which is taken when the `with` block is entered.

        Args:
            output: folder of the run.
            force: whether the lock is taken from another run that holds it.
            lease: seconds that the lock is valid after each renewal.
            on_loss: is called from another thread when the lock is lost: all work must stop.
        """
        self.uri, self.output, self.force, self.lease = layout.lock_file(output), output, force, lease
        self._on_loss = on_loss
        self.owner = uuid.uuid4().hex
        self.lost = False
        self._began = provenance.now()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="run lock", daemon=True)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            Locked: if another run has it; the message names its owner and when the lease ends.
            StorageError: if the lock cannot be read or written.
        """
        # It is read first, since a store that ignores conditions would let the second run write.
        if _holder(self.uri) is not None or not storage.write_if(self.uri, self._lease_json(), replaces=None):
            self._take_over()
        if (holder := _holder(self.uri)) and holder.get("owner") != self.owner:
            raise Locked(self._refusal(holder))
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewer.join()
        try:
            if self._is_ours():
                storage.remove(self.uri)
        except storage.StorageError as trouble:  # what the run came to is more important, and the lease ends by itself
            log.warning("the lock stays until its lease ends: %s", trouble)

    def check(self) -> None:
        """Check that this run may still write.

        Raises:
            Locked: if another run has taken the lock over.
        """
        if self.lost:
            raise Locked(self.loss)

    @property
    def loss(self) -> str:
        """Why the lock is lost, as a message."""
        return f"another run has taken {self.uri} over, since this one had stood still or by --force"

    def _take_over(self) -> None:
        """Replace the lock of a run that has ended without giving it back, or any lock by force.

        Where the store compares identities, only the lock that was read is replaced, and no later one. By force it is
        tried again: its run may have renewed the lock in between.
        """
        for _ in range(FORCED_TRIES if self.force else 1):
            if self._replaced():
                return
        raise Locked(self._refusal(_holder(self.uri) or {}))

    def _replaced(self) -> bool:
        """Replace the lock as it is now if that is allowed; return False if it has changed in between."""
        try:
            identity = storage.identity(self.uri)
        except storage.NotFound:
            identity = None  # it was given back a moment ago
        holder = _holder(self.uri)
        if holder and holder.get("owner") == self.owner:
            return True  # the first request had succeeded although it was repeated
        if holder and not self.force and not _has_ended(holder):
            raise Locked(self._refusal(holder))
        if holder:
            log.warning("the lock of %s is taken over: %s", self.output, _named(holder))
        return storage.write_if(self.uri, self._lease_json(), replaces=identity)

    def _refusal(self, holder: dict[str, Any]) -> str:
        """Return the message for a run that is refused: who holds the lock, until when, and what to do."""
        until = holder.get("expires_at", "soon")
        return (
            f"another run writes to {self.output}: {_named(holder)}; unless renewed, its lock ends at {until}. "
            "Wait for it, or stop it; --force takes the lock from a run that is dead for certain"
        )

    def _lease_json(self) -> bytes:
        """Return the bytes of the lock file: who holds it, since when and until when."""
        now = provenance.now()
        expires = now + timedelta(seconds=self.lease)
        return json.dumps(
            {
                "owner": self.owner,
                **this_process(),
                "began_at": self._began.isoformat(timespec="seconds"),
                "renewed_at": now.isoformat(),
                "expires_at": expires.isoformat(timespec="seconds"),
            }
        ).encode()

    def _is_ours(self) -> bool:
        """Return whether the lock in storage is this run's."""
        return owner_of(self.output) == self.owner

    def _keep(self) -> None:
        """Renew the lock until the end of the block; the body of a thread."""
        renewed = time.monotonic()
        while not self._ended.wait(self.lease / RENEWALS_PER_LEASE):
            try:
                identity = storage.identity(
                    self.uri
                )  # before it is read: a lock that is replaced in between has another identity
                if not self._is_ours():
                    self._lose()
                    return
                if storage.write_if(self.uri, self._lease_json(), replaces=identity):
                    renewed = time.monotonic()
            except storage.NotFound:
                self._lose()
                return
            except storage.StorageError as trouble:
                log.warning("lock not renewed for %.0f s: %s", time.monotonic() - renewed, trouble)

    def _lose(self) -> None:
        """Note that the lock is lost, and have all work stopped."""
        self.lost = True
        self._on_loss()


def _holder(uri: str) -> dict[str, Any] | None:
    """Return the fields of a lock file; None where there is none, no fields where it is none of this version."""
    try:
        fields = json.loads(storage.read_bytes(uri))
    except storage.NotFound:
        return None
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _named(holder: dict[str, Any]) -> str:
    """Return who holds a lock, for messages."""
    return (
        f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, "
        f"at work since {holder.get('began_at', '?')} (run {str(holder.get('owner', '?'))[:8]})"
    )


def _has_ended(holder: dict[str, Any]) -> bool:
    """Return whether the lease of a lock has ended, or its process was on this machine and is gone."""
    machine = _machine()
    if machine and holder.get("machine") == machine and isinstance(holder.get("pid"), int):
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return True
        except OSError:  # it is alive and another user's
            pass
    try:
        return datetime.fromisoformat(holder["expires_at"]) < provenance.now()
    except (KeyError, ValueError, TypeError):
        return True  # no lock of this version, or half of one
