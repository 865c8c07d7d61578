"""The run lock: one run at a time writes to an output. A lease in the store, renewed while the run is alive."""

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
"""How long a lock outlives the last sign of its run. Clocks of machines that share an output may differ by less."""

RENEWALS_PER_LEASE = 4

log = logging.getLogger(__name__)


class Locked(storage.StorageError):
    """Another run writes to this output."""


def this_process() -> dict[str, object]:
    """Who somebody on this machine can look for."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "machine": _machine()}


def _machine() -> str:
    """What a process id means something on: this boot of this machine, in this container."""
    said = []
    with contextlib.suppress(OSError):
        said = [
            Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(said)


def owner_of(output: str) -> str | None:
    """The run that holds the lock of an output; None if none does.

    Raises:
        StorageError: if that cannot be read.
    """
    holder = _holder(layout.lock_file(output))
    return None if holder is None else str(holder.get("owner", ""))


class RunLock:
    """Holds the lock of an output from `with` to the end of it.

    Attributes:
        lost: whether somebody else took it over meanwhile, by force or since this process had stood still.
    """

    def __init__(
        self,
        output: str,
        *,
        force: bool = False,
        lease: float = LEASE_SECONDS,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_loss` is called from another thread when the lock turns out to be lost: what is at work must stop."""
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
        # Looked at first, since there are stores that know no conditions and would let the second one write.
        if _holder(self.uri) is not None or not storage.write_if(self.uri, self._said(), replaces=None):
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
        """Find out whether this run may still write.

        Raises:
            Locked: if another run has taken the lock over.
        """
        if self.lost:
            raise Locked(self.loss)

    @property
    def loss(self) -> str:
        """What happened if it is lost."""
        return f"another run has taken {self.uri} over, since this one had stood still or by --force"

    def _take_over(self) -> None:
        """Replace a lock whose run is dead, or any by force; exactly that one, where the store can tell."""
        try:
            identity = storage.identity(self.uri)
        except storage.NotFound:
            identity = None  # given back a moment ago
        holder = _holder(self.uri)
        if holder and holder.get("owner") == self.owner:
            return  # our first request had come through after all, and was repeated
        if holder and not self.force and not _is_dead(holder):
            raise Locked(self._refusal(holder))
        if holder:
            log.warning("the lock of %s is taken over: %s", self.output, _named(holder))
        if not storage.write_if(self.uri, self._said(), replaces=identity):
            raise Locked(self._refusal(_holder(self.uri) or {}))

    def _refusal(self, holder: dict[str, Any]) -> str:
        until = holder.get("expires_at", "soon")
        return (
            f"another run writes to {self.output}: {_named(holder)}; unless renewed, its lock ends at {until}. "
            "Wait for it, or stop it; --force takes the lock from a run that is dead for certain"
        )

    def _said(self) -> bytes:
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
        return owner_of(self.output) == self.owner

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self.lease / RENEWALS_PER_LEASE):
            try:
                identity = storage.identity(self.uri)  # before it is read, so that nothing can come in between
                if not self._is_ours():
                    self._lose()
                    return
                if storage.write_if(self.uri, self._said(), replaces=identity):
                    renewed = time.monotonic()
            except storage.NotFound:
                self._lose()
                return
            except storage.StorageError as trouble:
                log.warning("lock not renewed for %.0f s: %s", time.monotonic() - renewed, trouble)

    def _lose(self) -> None:
        self.lost = True
        self._on_loss()


def _holder(uri: str) -> dict[str, Any] | None:
    """What a lock says; None where there is none, nothing where it is no lock of ours."""
    try:
        said = json.loads(storage.read_bytes(uri))
    except storage.NotFound:
        return None
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _named(holder: dict[str, Any]) -> str:
    return (
        f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, "
        f"at work since {holder.get('began_at', '?')} (run {str(holder.get('owner', '?'))[:8]})"
    )


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the lease has ended, or its process is of this machine and gone."""
    machine = _machine()
    if machine and holder.get("machine") == machine and isinstance(holder.get("pid"), int):
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return True
        except OSError:  # it lives, as another user's
            pass
    try:
        return datetime.fromisoformat(holder["expires_at"]) < provenance.now()
    except (KeyError, ValueError, TypeError):
        return True  # no lock of ours, or half of one
