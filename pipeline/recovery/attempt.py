"""An attempt at some rows, and the name of the file in storage that records it."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from pipeline import storage
from pipeline.planning import RowKey

FIRST = 32 * "0"
"""NAME of the attempt that is recorded without asking for others, which succeeds where there is no other of this name.
"""

_WITH_RUN = "unclear-"
"""Prefix of the names of attempts that ended with their whole run."""


@dataclass(frozen=True)
class AttemptName:
    """The name of an attempt's file, `STAGE-KEY-NAME.json`, or `unclear-STAGE-KEY-NAME.json`.

    Attributes:
        work: `STAGE-KEY`, equal for every attempt at the same rows in the same stage: KEY is a hash of the ids and
            fingerprints of the rows.
        unique: NAME, `FIRST` or another one for each attempt, so that no two writers ever write the same file.
        with_run: whether the attempt ended with its whole run (`unclear-`); workers overlook such a file.
    """

    work: str
    unique: str
    with_run: bool = False

    @classmethod
    def new(cls, stage: str, rows: Iterable[RowKey], *, first: bool = False) -> Self:
        """Make the name of an attempt that begins now; of the first one at these rows, as far as its process knows."""
        return cls(work_of(stage, rows), FIRST if first else uuid.uuid4().hex)

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Take the name of an attempt from the URI of its file; any name of a `.json` file can be taken apart."""
        stem = uri.rpartition("/")[2].removesuffix(".json")
        work, _, unique = stem.removeprefix(_WITH_RUN).rpartition("-")
        return cls(work, unique, stem.startswith(_WITH_RUN))

    def in_folder(self, folder: str) -> str:
        """Return the URI of the file of this name in a ledger's folder."""
        return storage.join(folder, f"{_WITH_RUN if self.with_run else ''}{self.work}-{self.unique}.json")


def work_of(stage: str, rows: Iterable[RowKey]) -> str:
    """Return the part of a name that all attempts at the same rows in the same stage share, `STAGE-KEY`."""
    return f"{stage}-{hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Attempt:
    """Rows that a process works on together, or worked on when it crashed.

    Attributes:
        uri: of the file that records it.
        rows: ids and fingerprints.
        stage: what is done with them, such as `optimise`.
        run: owner of the lock of the run that does it.
        host: name of the machine.
        pid: id of the process on that machine.
        began_at: when, ISO 8601, UTC.
    """

    uri: str
    rows: tuple[RowKey, ...]
    stage: str
    run: str
    host: str
    pid: int
    began_at: str

    @classmethod
    def from_json(cls, uri: str, data: bytes) -> Self:
        """Read an attempt from the bytes of its file.

        Raises:
            ValueError: if the bytes are no JSON, or the process has no number.
            KeyError: if a field is missing.
            TypeError: if a field is of another type.
        """
        fields = json.loads(data)
        rows = tuple((str(row_id), str(fingerprint)) for row_id, fingerprint in fields["rows"])
        said = {name: str(fields[name]) for name in ("stage", "run", "host", "began_at")}
        return cls(uri, rows, pid=int(fields["pid"]), **said)

    def to_json(self) -> bytes:
        """Return the bytes of the attempt's file."""
        names = ("rows", "stage", "run", "host", "pid", "began_at")
        return json.dumps({name: getattr(self, name) for name in names}).encode()

    @property
    def name(self) -> AttemptName:
        """The name of the attempt's file, taken apart."""
        return AttemptName.parse(self.uri)

    def ended_with_run(self) -> Self:
        """Return this attempt under the name that says that it ended with its whole run; it is one of its own."""
        if self.name.with_run:
            return self
        unique = self._digest if self.name.unique == FIRST else self.name.unique
        name = AttemptName(self.name.work, unique, with_run=True)
        return replace(self, uri=name.in_folder(storage.parent(self.uri)))

    @property
    def _digest(self) -> str:
        """What no other attempt has, 32 hex digits."""
        return hashlib.sha256(self.to_json()).hexdigest()[:32]

    def put(self) -> str:
        """Record this attempt, under another name where its own is taken, and return the URI of the record.

        It is recorded once, however often and by whichever process this is called.

        Raises:
            StorageError: if it cannot be written.
        """
        if self.is_put():
            return self.uri
        name = AttemptName(self.name.work, self._digest)
        other = replace(self, uri=name.in_folder(storage.parent(self.uri)))
        storage.write_bytes(other.uri, other.to_json())
        return other.uri

    def is_put(self) -> bool:
        """Record this attempt unless another one has its name, and return whether it is recorded.

        Raises:
            StorageError: if it cannot be written.
        """
        if storage.write_if(self.uri, self.to_json(), replaces=None):
            return True
        try:
            return storage.read_bytes(self.uri) == self.to_json()  # the answer to a request was lost
        except storage.NotFound:
            return False
