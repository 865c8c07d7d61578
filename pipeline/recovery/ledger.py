"""Attempts that survive crashes: what was being tried when a process died, and which row to blame.

Whoever takes rows up says so in storage first, and takes it back when they are through. What is still said when the
rows are taken up again was left by a process that died. Rows that died together are tried again one by one; one that
died `max_attempts` times, at last alone, is quarantined, so that it neither takes others with it nor is tried for ever.

An open attempt is one small object, `OUTPUT/ledger/STAGE-KEY-NAME.json`: the key is a function of the rows and what is
asked for them, the name is another each time, so that writers never meet. Only what is being worked on is there, so
that listing the folder is one short request.
"""

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipeline import storage
from pipeline.options import MAX_ATTEMPTS, STALL_TIMEOUT
from pipeline.outputs import layout, provenance
from pipeline.planning import Crashes, PlannedRow, RowKey, row_keys
from pipeline.process import watchdog

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """Rows that a process took up together.

    Attributes:
        uri: of the object that says so.
        rows: that were taken up.
        stage: what was done with them, such as `optimise`.
        run: that did it.
        host: where.
        pid: the process that did it, on that host.
        began_at: when, ISO 8601, UTC.
    """

    uri: str
    rows: tuple[RowKey, ...]
    stage: str
    run: str
    host: str
    pid: int
    began_at: str


def key(stage: str, rows: Iterable[RowKey]) -> str:
    """The name that the same rows at the same stage always have."""
    return f"{stage}-{hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Ledger:
    """The open attempts of one output, as a worker sees them.

    Attributes:
        output: folder of the run.
        run: whose attempts these are: the owner of the lock of `output`.
        max_attempts: deaths of a row until it is quarantined.
        stall_timeout: seconds without a sign of life after which a process at work is ended.
    """

    output: str
    run: str = ""
    max_attempts: int = MAX_ATTEMPTS
    stall_timeout: float = STALL_TIMEOUT

    def open_attempts(self, stage: str, rows: Sequence[PlannedRow]) -> list[str]:
        """URIs of attempts at exactly these rows together, whose process died.

        Raises:
            StorageError: if the ledger cannot be read.
        """
        return [uri for uri in _listed(layout.ledger_folder(self.output)) if _key_of(uri) == key(stage, row_keys(rows))]

    def record(self, stage: str, rows: Sequence[PlannedRow]) -> str:
        """Say that rows are being worked on; the URI of what says so.

        Raises:
            StorageError: if the ledger cannot be written.
        """
        said = {
            "rows": row_keys(rows),
            "stage": stage,
            "run": self.run,
            "host": provenance.host(),
            "pid": os.getpid(),
            "began_at": provenance.now().isoformat(),
        }
        uri = layout.attempt_file(self.output, f"{key(stage, row_keys(rows))}-{uuid.uuid4().hex}")
        storage.write_bytes(uri, json.dumps(said).encode())
        return uri

    @contextlib.contextmanager
    def attempt(self, stage: str, rows: Sequence[PlannedRow]) -> Iterator[None]:
        """Rows are being worked on: noted until this is left, by an exception too, but not by a death.

        A process that stands still meanwhile dies, so that what it stands still at is known as well.

        Raises:
            StorageError: if the ledger cannot be written.
        """
        uri = self.record(stage, rows)
        _open_here.add(uri)
        try:
            with watchdog.watching(self.stall_timeout):
                for observer in _observers:
                    observer(self, stage, rows)
                yield
        finally:
            _open_here.discard(uri)
            storage.remove(uri)


_open_here: set[str] = set()
"""Attempts of this process."""

Observer = Callable[[Ledger, str, Sequence[PlannedRow]], object]
"""Is called with the ledger, the stage and the rows of an attempt that begins."""

_observers: list[Observer] = []


def observe_attempts(observer: Observer) -> Callable[[], None]:
    """Have a function called for each attempt that this process begins, after it is recorded and while it is watched.

    A self-test counts attempts so, and lets processes crash inside of them. It is of the process, no field of the
    ledger: a ledger is made by the driver, and attempts begin in workers that a self-test has prepared.

    Args:
        observer: what it raises ends the attempt as an error of the stage would.

    Returns:
        A function that takes the observer out again; calling it twice does nothing more.
    """
    _observers.append(observer)

    def undo() -> None:
        with contextlib.suppress(ValueError):
            _observers.remove(observer)

    return undo


def withdraw_own() -> None:
    """Before a process ends that was told to: its rows are not to blame.

    Raises:
        StorageError: if the ledger cannot be written; then they stay suspect, which costs time and no row.
    """
    for uri in list(_open_here):
        storage.remove(uri)


def read_attempts(output: str) -> list[Attempt]:
    """Every open attempt of an output: while no run is at work, each is a death. Nothing where there was no run.

    Raises:
        StorageError: if the ledger cannot be read.
    """
    with ThreadPoolExecutor(16) as pool:
        found = pool.map(_read, _listed(layout.ledger_folder(output)))
        return [attempt for attempt in found if attempt]


def collect_crashes(output: str) -> list[Attempt]:
    """The open attempts of an output, when a new run begins: all are deaths, and some are marked as unclear.

    Of a run's attempts at the same rows only the last can have died with the run itself: after each one before it,
    Ray went on. Only who holds the run lock may do this.

    Raises:
        StorageError: if the ledger cannot be read or written.
    """
    attempts = read_attempts(output)
    judged = {(attempt.run, _key_of(attempt.uri)) for attempt in attempts}
    last: dict[tuple[str, str], Attempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.began_at):
        if (attempt.run, _UNCLEAR + _key_of(attempt.uri)) not in judged and not _is_unclear(attempt.uri):
            last[attempt.run, _key_of(attempt.uri)] = attempt
    moved = {attempt.uri: _call_unclear(attempt) for attempt in last.values()}
    return [moved.get(attempt.uri, attempt) for attempt in attempts]


def _is_unclear(uri: str) -> bool:
    return uri.rpartition("/")[2].startswith(_UNCLEAR)


def _call_unclear(attempt: Attempt) -> Attempt:
    """Give an attempt a name by which no worker finds it."""
    folder, _, name = attempt.uri.rpartition("/")
    renamed = storage.join(folder, _UNCLEAR + name)
    storage.write_bytes(renamed, storage.read_bytes(attempt.uri))
    storage.remove(attempt.uri)
    return replace(attempt, uri=renamed)


_UNCLEAR = "unclear-"


def crashes_by_row(attempts: Iterable[Attempt]) -> dict[RowKey, Crashes]:
    """How often each row died, and how."""
    together: Counter[RowKey] = Counter()
    alone: Counter[RowKey] = Counter()
    unclear: Counter[RowKey] = Counter()
    for attempt in attempts:
        kind = unclear if _is_unclear(attempt.uri) else alone if len(attempt.rows) == 1 else together
        kind.update(attempt.rows)
    return {row: Crashes(together[row], alone[row], unclear[row]) for row in {**together, **alone, **unclear}}


def remove_settled(attempts: Iterable[Attempt], rows: Collection[RowKey]) -> None:
    """Delete the attempts whose rows are all among those given, since it is known what became of them.

    Raises:
        StorageError: if one cannot be deleted.
    """
    settled = [attempt.uri for attempt in attempts if all(row in rows for row in attempt.rows)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(storage.remove, settled))


def withdraw_run(output: str, run: str, *, seconds: float = 0.5) -> None:
    """Delete what this run was about when it was stopped from outside: nobody died then.

    Of several attempts at the same rows only the newest was still at work; the older ones had died. Workers hear of the
    end a moment after their driver, so that they may note something meanwhile: after some seconds that is deleted too.

    Raises:
        StorageError: if the ledger cannot be read or written.
    """
    by_key: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in read_attempts(output):
        if attempt.run == run:
            by_key[_key_of(attempt.uri)].append(attempt)
    died = set[str]()
    for attempts in by_key.values():
        *older, newest = sorted(attempts, key=lambda attempt: attempt.began_at)
        died.update(attempt.uri for attempt in older)
        storage.remove(newest.uri)
    time.sleep(seconds)
    for attempt in read_attempts(output):
        if attempt.run == run and attempt.uri not in died:
            storage.remove(attempt.uri)


def _key_of(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition("-")[0]


def _listed(folder: str) -> list[str]:
    try:
        return storage.list_files(folder, suffix=".json")
    except storage.NotFound:
        return []


def _read(uri: str) -> Attempt | None:
    """An attempt; None where it was taken back meanwhile, or is none of ours."""
    try:
        said = json.loads(storage.read_bytes(uri))
        rows = tuple((str(row_id), str(mark)) for row_id, mark in said["rows"])
        return Attempt(uri, rows, said["stage"], said["run"], said["host"], said["pid"], said["began_at"])
    except storage.NotFound:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is passed over: %s", uri, error)
        return None
