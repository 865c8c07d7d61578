"""Who holds a lock: what a lock file says of its run, and what this machine knows of the process."""

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pipeline import storage
from pipeline.outputs import provenance


def this_process() -> dict[str, object]:
    """Return what identifies this process to others on the same machine: host, process id, its start, its machine."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid()), "machine": _machine()}


@dataclass(frozen=True)
class Holder:
    """The run that a lock file names.

    Attributes:
        fields: of the file; none where it is no lock of this version, or half of one.
    """

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, uri: str) -> Self | None:
        """Read a lock file; None where there is none.

        Raises:
            StorageError: if it cannot be read.
        """
        try:
            fields = json.loads(storage.read_bytes(uri))
        except storage.NotFound:
            return None
        except ValueError:
            return cls({})
        return cls(fields if isinstance(fields, dict) else {})

    @property
    def owner(self) -> str:
        """The name of the run, another one for each; empty where the file has none."""
        return str(self.fields.get("owner", ""))

    @property
    def until(self) -> str:
        """When the lease ends by the clock of the holder's machine, for messages."""
        return str(self.fields.get("expires_at", "soon"))

    def lease(self, default: float) -> float:
        """Return the seconds from one renewal to the end of the lease; a default where the file does not say."""
        try:
            renewed, expires = (datetime.fromisoformat(self.fields[name]) for name in ("renewed_at", "expires_at"))
            seconds = (expires - renewed).total_seconds()
        except (KeyError, ValueError, TypeError):
            return default
        return seconds if seconds > 0 else default

    def state(self) -> Literal["alive", "gone", "unknown"]:
        """Return what this machine knows of the process; of other machines' nothing is known.

        Their clocks are not asked: one that goes wrong would end the lease of a living run.
        """
        machine, pid = _machine(), self.fields.get("pid")
        if not machine or self.fields.get("machine") != machine or not isinstance(pid, int):
            return "unknown"
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "gone"
        except OSError:  # it is another user's
            pass
        started = self.fields.get("started")
        if started and started != _started(pid):
            return "gone"  # another process has its number now
        return "alive" if self._is_renewed() else "unknown"

    def _is_renewed(self) -> bool:
        """Return whether a lease on this machine, whose clock is ours, has not ended."""
        try:
            return datetime.fromisoformat(self.fields["expires_at"]) >= provenance.now()
        except (KeyError, ValueError, TypeError):
            return False

    def __str__(self) -> str:
        said = {name: self.fields.get(name, "?") for name in ("pid", "host", "began_at")}
        run = (self.owner or "?")[:8]
        return f"process {said['pid']} on {said['host']}, at work since {said['began_at']} (run {run})"


def _machine() -> str:
    """Return what a process id is valid within: this boot of this machine, in this container; empty where unknown."""
    parts = []
    with contextlib.suppress(OSError):
        parts = [
            Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(parts)


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the boot, which tells it from another of its number; empty: unknown.

    It is the 22nd field of what Linux says of a process, the 20th after the name, which may have blanks in it.
    """
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    return ""
