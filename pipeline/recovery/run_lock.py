"""The run lock, by which one run at a time writes to an output: a lease in storage, renewed while the run is alive."""

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from pipeline import storage
from pipeline.outputs import layout, provenance
from pipeline.recovery.holder import Holder, this_process

LEASE_SECONDS = 60.0
"""How long a lock must have stood unchanged, by the clock of whoever watches it, until its run counts as dead."""

RENEWALS_PER_LEASE = 4
"""So that a lease survives three renewals that fail."""

LOOKS_PER_LEASE = 20
"""How often a lock is looked at while it is watched, at least."""

FORCED_LEASE = 1.0
"""Seconds that a run which takes a lock by force waits for others that are about to take it, and may have died."""

FORCED_TRIES = 20
"""Tries to take a lock by force from a run that goes on renewing it."""

log = logging.getLogger(__name__)


class Locked(storage.StorageError):
    """Another run writes to this output."""


def owner_of(output: str) -> str | None:
    """Return the run that holds the lock of an output; None if none does.

    Raises:
        StorageError: if the lock cannot be read.
    """
    holder = Holder.of(layout.lock_file(output))
    return None if holder is None else holder.owner


class RunLock:
    """The lock of an output, held within a `with` block.

    Attributes:
        owner: name of the run, another one for each.
        took_over: whether the lock was that of another run, which must have crashed, unless it was taken by force.
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
        self.took_over = self.lost = False
        self._began = provenance.now()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="run lock", daemon=True)

    def __enter__(self) -> Self:
        """Take the lock; where another run holds it that may be dead, watch it for a lease first.

        Raises:
            Locked: if another run has it; the message names its owner and when the lease ends.
            StorageError: if the lock cannot be read or written.
        """
        self._take()
        if (holder := Holder.of(self.uri)) and holder.owner != self.owner:
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
            Locked: if another run has taken the lock over, or this one has given it back, which concerns a thread that
                outlives its run.
        """
        if self.lost:
            raise Locked(self.loss)
        if self._ended.is_set():
            raise Locked(f"the run that held {self.uri} is over")

    @property
    def loss(self) -> str:
        """Why the lock is lost, as a message."""
        return f"another run has taken {self.uri} over, since this one had stood still or by --force"

    def _take(self) -> None:
        """Create the lock, or replace that of a run which is dead, or any by force.

        Raises:
            Locked: if another run has it and is alive.
        """
        watch, changes, absences = _Watch(), 0, 0
        while True:
            identity = _identity(self.uri)
            holder = Holder.of(self.uri)  # after its identity: a lock that is replaced in between has another one
            if holder and holder.owner == self.owner:
                return  # the first request had succeeded although it was repeated
            if holder is None or identity is None:
                if storage.write_if(self.uri, self._lease_json(), replaces=None):
                    return
                absences += 1
                if absences > FORCED_TRIES:
                    raise Locked(f"{self.uri}: there is something of this name that cannot be read: remove it")
                continue
            changes += watch.see(identity)
            if changes > (FORCED_TRIES if self.force else 0) or (not self.force and holder.state() == "alive"):
                raise Locked(self._refusal(holder))
            lease = FORCED_LEASE if self.force else holder.lease(self.lease)
            if not (self.force or watch.seconds() > lease or holder.state() == "gone"):
                self._wait(holder, lease, watch)
            elif not self._replace(identity, holder, 1 + int(watch.seconds_taken() / lease)):
                time.sleep(min(1.0, lease / LOOKS_PER_LEASE))

    def _wait(self, holder: Holder, lease: float, watch: "_Watch") -> None:
        """Wait until it is time to look at a watched lock again."""
        if not watch.is_said:
            log.warning("%s: waiting up to %.0f s for a sign of life of its run, %s", self.uri, lease, holder)
            watch.is_said = True
        time.sleep(min(1.0, lease / LOOKS_PER_LEASE))

    def _replace(self, identity: str, holder: Holder, claims: int) -> bool:
        """Replace the lock of a dead run if it still has an identity, and return whether that was done.

        Only one of several that try can create the file that claims it, on any store. Whoever has claimed it and died
        is waited for as the holder itself was; then there is one further claim, which again only one can have.

        Args:
            identity: of the lock file.
            holder: that it names.
            claims: files, of which the first that is not there is created.
        """
        names = [layout.lock_claim(self.output, _digest(identity, number)) for number in range(claims)]
        place = next(
            (n for n, name in enumerate(names) if storage.write_if(name, self._lease_json(), replaces=None)), None
        )
        if place is None:
            return False
        replaced = False
        try:
            replaced = storage.write_if(self.uri, self._lease_json(), replaces=identity)
        finally:
            # Those of the dead go as well: no lock will ever have this identity again.
            for name in names if replaced else [names[place]]:
                storage.remove(name)
        if replaced:
            self.took_over = True
            log.warning("the lock of %s is taken over: %s", self.output, holder)
        return replaced

    def _refusal(self, holder: Holder) -> str:
        """Return the message for a run that is refused: who holds the lock, until when, and what to do."""
        return (
            f"another run writes to {self.output}: {holder}; unless renewed, its lock ends at {holder.until}. "
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


class _Watch:
    """How long a lock has stood unchanged while it was watched, by this process's own clock."""

    def __init__(self) -> None:
        self.identity, self.since, self.is_said = "", 0.0, False
        self.taken_since: float | None = None

    def see(self, identity: str) -> bool:
        """Take note of an identity, and return whether it is another one than was seen before."""
        before = self.identity
        if identity != before:
            self.identity, self.since, self.taken_since = identity, time.monotonic(), None
        return bool(before) and identity != before

    def seconds(self) -> float:
        """Return for how long the lock has stood unchanged."""
        return time.monotonic() - self.since

    def seconds_taken(self) -> float:
        """Return for how long it has stood so since this was first called: since somebody could have replaced it."""
        self.taken_since = self.taken_since or time.monotonic()
        return time.monotonic() - self.taken_since


def _identity(uri: str) -> str | None:
    """Return the identity of a lock file; None where there is none."""
    try:
        return storage.identity(uri)
    except storage.NotFound:
        return None


def _digest(identity: str, number: int) -> str:
    """Return 16 hex digits that stand for a claim to replace a lock file with an identity."""
    return hashlib.sha256(f"{identity} {number}".encode()).hexdigest()[:16]
