"""The ledger: which rows processes are working on, recorded in storage so that it outlasts their crashes.

A process records an attempt at some rows before it begins, and withdraws the record when it is through. A record that
is there when the same rows are taken up again was left by a process that crashed: so rows that crash their process are
identified, and quarantined after `max_attempts` crashes.

A record is one small file, `OUTPUT/ledger/STAGE-KEY-NAME.json`; `AttemptName` has its parts. Requests are made only
where there is reason: the first attempt is a file of a fixed name, so that the store itself says whether there is one
already, and only then is asked which there are. Of tasks, Ray tells whether they are repeated, so that their first
attempts are not recorded at all. Actors begin to work while their attempt is recorded: `recorder.py` says what that
guarantees.
"""

import contextlib
import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline import storage
from pipeline.options import MAX_ATTEMPTS, STALL_TIMEOUT
from pipeline.outputs import layout, provenance
from pipeline.planning import Crashes, PlannedRow, RowKey, row_keys
from pipeline.process import watchdog
from pipeline.recovery import repeats
from pipeline.recovery.attempt import Attempt, AttemptName, work_of
from pipeline.recovery.handover import Handover
from pipeline.recovery.recorder import Recorder
from pipeline.recovery.run_lock import LEASE_SECONDS

log = logging.getLogger(__name__)

_THREADS = 16
"""Requests at once for the files of a ledger."""

RECORDED = ("optimise",)
"""Stages whose attempts are always recorded, since actors work in them, and for hours."""


@dataclass(frozen=True)
class Crashed:
    """Attempts at some rows together that crashed in this run, or in earlier ones.

    Attributes:
        records: URIs of those that are recorded.
        unrecorded: how many others there were, of which Ray tells.
    """

    records: tuple[str, ...] = ()
    unrecorded: int = 0

    def __len__(self) -> int:
        return len(self.records) + self.unrecorded


NONE_CRASHED = Crashed()


@dataclass(frozen=True)
class Ledger:
    """The ledger of one output, as a worker of a run uses it.

    Attributes:
        output: folder of the run.
        run: owner of the lock of `output`; attempts are recorded under its name.
        max_attempts: crashes of a row until it is quarantined.
        stall_timeout: seconds without a sign of life after which a process that works on rows is ended.
        lease: seconds that the lock of `output` is valid after each renewal.
        wary: whether an earlier run crashed or has left attempts: then all are recorded, and asked for beforehand.
        saved: names of the files of saved states that earlier runs have left.
    """

    output: str
    run: str = ""
    max_attempts: int = MAX_ATTEMPTS
    stall_timeout: float = STALL_TIMEOUT
    lease: float = LEASE_SECONDS
    wary: bool = False
    saved: frozenset[str] = frozenset()

    def take_up(self, stage: str, rows: Sequence[PlannedRow]) -> tuple[str | None, Crashed]:
        """Record that this process begins to work on rows, unless earlier attempts at exactly these rows crashed.

        Only the worker that has these rows may ask. The usual case takes one request in the stage `optimise`, and none
        in the others: what ends their processes is no picture, since these are decoded apart, and Ray tells when it
        runs their tasks again. Where the process that would take this one's place knows of the attempt, the request is
        made by a thread; but not after a crash, of which a whole run may be a part.

        Returns:
            The URI of the record, which may still be on its way, None where nothing is recorded; and the attempts that
            crashed.

        Raises:
            StorageError: if the ledger cannot be read or written; `during` raises it where a thread writes.
        """
        _handover.wait_if_leaving()
        _recorder.check()
        is_recorded = stage in RECORDED or self.wary
        asks = self._crashed_here(stage, rows) or self.wary or repeats.begun_before()
        if asks:
            crashed = Crashed(tuple(self.open_attempts(stage, rows)), unrecorded=0 if is_recorded else 1)
            if crashed:
                return None, crashed
        elif not is_recorded:
            return None, NONE_CRASHED
        attempt = self._attempt(stage, rows, first=not asks)
        if not asks and _handover.begins(attempt):
            _recorder.write(attempt.uri, attempt.put)
            return attempt.uri, NONE_CRASHED
        if attempt.is_put():
            return attempt.uri, NONE_CRASHED
        crashed = Crashed(tuple(self.open_attempts(stage, rows)))
        return (None if crashed else self.record(stage, rows)), crashed

    def open_attempts(self, stage: str, rows: Sequence[PlannedRow]) -> list[str]:
        """Return the URIs of recorded attempts at exactly these rows together.

        For the only worker that has these rows, each of them is a crash. Attempts that ended with a whole run are left
        out: what they tell is known from the plan.

        Raises:
            StorageError: if the ledger cannot be read.
        """
        folder = layout.ledger_folder(self.output)
        names = storage.names_beginning(folder, f"{work_of(stage, row_keys(rows))}-")
        return [storage.join(folder, name) for name in names if name.endswith(".json")]

    def record(self, stage: str, rows: Sequence[PlannedRow]) -> str:
        """Record that this process begins to work on rows, and return the URI of the record.

        Raises:
            StorageError: if the ledger cannot be written.
        """
        attempt = self._attempt(stage, rows)
        storage.write_bytes(attempt.uri, attempt.to_json())
        return attempt.uri

    def _attempt(self, stage: str, rows: Sequence[PlannedRow], *, first: bool = False) -> Attempt:
        """Return an attempt of this process that begins now."""
        keys = row_keys(rows)
        return Attempt(
            uri=AttemptName.new(stage, keys, first=first).in_folder(layout.ledger_folder(self.output)),
            rows=keys,
            stage=stage,
            run=self.run,
            host=provenance.host(),
            pid=os.getpid(),
            began_at=provenance.now().isoformat(),
        )

    def attempt(self, stage: str, rows: Sequence[PlannedRow]) -> contextlib.AbstractContextManager[None]:
        """Record that this process begins to work on rows, and return the block to work in, as `during` does.

        Raises:
            StorageError: if the ledger cannot be written.
        """
        return self.during(stage, rows, self.record(stage, rows))

    def _crashed_here(self, stage: str, rows: Sequence[PlannedRow]) -> bool:
        """Return whether the process whose place this one took crashed at rows; its attempt is recorded from now on."""
        keys = row_keys(rows)
        if stage not in RECORDED:
            return False
        if attempt := _handover.left(work_of(stage, keys), keys):
            attempt.put()
        return attempt is not None or not _handover.is_readable()  # then storage knows of most crashes

    def is_over(self, stage: str, rows: Sequence[PlannedRow]) -> None:
        """Have the process that takes this one's place, if one does, know no more of attempts at rows than storage."""
        if stage in RECORDED:
            _handover.ended(work_of(stage, row_keys(rows)))

    @contextlib.contextmanager
    def during(self, stage: str, rows: Sequence[PlannedRow], record: str | None) -> Iterator[None]:
        """Work on rows within this block: they stay recorded until it is left, normally or by an exception.

        A process that shows no sign of life for `stall_timeout` seconds within the block is ended, so that the rows at
        which it hangs stay recorded as well.

        Args:
            stage: what is done with them.
            rows: that are worked on.
            record: URI of the record, which is deleted in the end; None: there is none.

        Raises:
            StorageError: if the ledger cannot be written.
        """
        if record:
            _recorder.add(record)
        try:
            with watchdog.watching(self.stall_timeout):
                for observer in _observers:
                    observer(self, stage, rows)
                yield
            if record:
                _recorder.settle(record)
        finally:
            if record:
                self.is_over(stage, rows)
                _recorder.withdraw(record)


_recorder = Recorder()
"""Of this process."""

_handover = Handover()
"""Of this process."""


def repeated() -> int:
    """Return how many requests this thread, and the one that records attempts, have repeated so far."""
    return storage.repeated() + _recorder.repeated


Observer = Callable[[Ledger, str, Sequence[PlannedRow]], object]
"""Is called with the ledger, the stage and the rows of an attempt that begins."""

_observers: list[Observer] = []


def observe_attempts(observer: Observer) -> Callable[[], None]:
    """Have a function called for each attempt that this process begins, while it is watched.

    It is recorded by then, in storage or in what this process leaves to the one that would take its place.

    A self-test counts attempts so, and lets processes crash inside of them. Observers belong to the process and are no
    field of the ledger: a ledger is made by the driver, and attempts begin in workers that a self-test has prepared.

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
    """Withdraw the attempts of this process before it ends on request: its rows are not to blame.

    Raises:
        StorageError: if the ledger cannot be written; the rows then count as crashed, which costs time and no row.
    """
    _handover.leave()
    _recorder.withdraw_all()


def read_attempts(output: str) -> list[Attempt]:
    """Return every recorded attempt of an output; none where there was no run.

    While no run is at work, each of them is a crash.

    Raises:
        StorageError: if the ledger cannot be read.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        attempts = pool.map(_read, _listed(layout.ledger_folder(output)))
        return [attempt for attempt in attempts if attempt]


def rows_at_work(output: str) -> int | None:
    """Return how many rows encoders work on now; None if storage does not tell."""
    try:
        return sum(len(attempt.rows) for attempt in read_attempts(output) if attempt.stage == "optimise")
    except storage.StorageError:
        return None


def collect_crashes(output: str) -> list[Attempt]:
    """Return the attempts that earlier runs left in an output, each a crash, when a new run begins.

    One that was renamed while its run crashed in turn may be there under both names, and counts once.

    The last attempt of a run at the same rows may have ended with the run itself, by a kill or a lost machine; after
    each attempt before it, Ray went on. The last one is therefore renamed to `unclear-…`, once for each run, and counts
    as `Crashes.with_run`. Only the owner of the run lock may call this.

    Raises:
        StorageError: if the ledger cannot be read or written.
    """
    attempts = read_attempts(output)
    renamed_before = {attempt.uri for attempt in attempts}
    twins = [one for one in attempts if not one.name.with_run and one.ended_with_run().uri in renamed_before]
    remove_records(output, [attempt.uri for attempt in twins])
    attempts = [attempt for attempt in attempts if attempt not in twins]
    judged = {(attempt.run, attempt.name.work) for attempt in attempts if attempt.name.with_run}
    last: dict[tuple[str, str], Attempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.began_at):
        work = (attempt.run, attempt.name.work)
        if work not in judged:
            last[work] = attempt
    renamed = {attempt.uri: attempt.ended_with_run() for attempt in last.values()}
    # First the new names, then without the old ones: a crash in between loses nothing.
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda marked: storage.write_bytes(marked.uri, marked.to_json()), renamed.values()))
    remove_records(output, list(renamed))
    return [renamed.get(attempt.uri, attempt) for attempt in attempts]


def crashes_by_row(attempts: Iterable[Attempt]) -> dict[RowKey, Crashes]:
    """Return how often each row was in an attempt that crashed: with other rows, alone, or with its whole run."""
    together: Counter[RowKey] = Counter()
    alone: Counter[RowKey] = Counter()
    with_run: Counter[RowKey] = Counter()
    for attempt in attempts:
        kind = with_run if attempt.name.with_run else alone if len(attempt.rows) == 1 else together
        kind.update(attempt.rows)
    return {row: Crashes(together[row], alone[row], with_run[row]) for row in {**together, **alone, **with_run}}


def remove_settled(output: str, attempts: Iterable[Attempt], rows: Collection[RowKey]) -> None:
    """Delete the attempts all of whose rows have an outcome, and so need no crashes counted any more.

    Args:
        output: of the runs.
        attempts: to choose from.
        rows: that have an outcome.

    Raises:
        StorageError: if one cannot be deleted.
    """
    remove_records(output, [attempt.uri for attempt in attempts if all(row in rows for row in attempt.rows)])


def remove_records(output: str, records: Sequence[str]) -> None:
    """Delete the records of attempts at an output.

    Raises:
        StorageError: if one cannot be deleted.
    """
    if records:
        storage.remove_files(layout.ledger_folder(output), [uri.rpartition("/")[2] for uri in records])


def withdraw_run(output: str, run: str, *, seconds: float = 0.5) -> None:
    """Withdraw the attempts that a run was working on when it was stopped from outside: nothing crashed then.

    Of several attempts at the same rows only the newest was still being worked on; the older ones had crashed, and
    stay. Workers learn of the end a moment after their driver, and may record an attempt meanwhile.

    Args:
        output: of the run.
        run: owner of its lock.
        seconds: after which attempts that were recorded meanwhile are withdrawn too.

    Raises:
        StorageError: if the ledger cannot be read or written.
    """
    by_work: defaultdict[AttemptName, list[Attempt]] = defaultdict(list)
    for attempt in read_attempts(output):
        if attempt.run == run:
            by_work[AttemptName(attempt.name.work, "", attempt.name.with_run)].append(attempt)
    crashed, stopped = set[str](), list[str]()
    for attempts in by_work.values():
        *older, newest = sorted(attempts, key=lambda attempt: attempt.began_at)
        crashed.update(attempt.uri for attempt in older)
        stopped.append(newest.uri)
    remove_records(output, stopped)
    time.sleep(seconds)
    late = [attempt.uri for attempt in read_attempts(output) if attempt.run == run and attempt.uri not in crashed]
    remove_records(output, late)


def _listed(folder: str) -> list[str]:
    """Return the URIs of the files of a ledger; none where there is no ledger.

    Files in folders below are nobody's attempts: a link may have led the listing elsewhere, and attempts are deleted.
    """
    try:
        listed = storage.list_files(folder, suffix=".json")
    except storage.NotFound:
        return []
    return [uri for uri in listed if "/" not in storage.relative(uri, folder)]


def _read(uri: str) -> Attempt | None:
    """Return a recorded attempt; None where it was withdrawn meanwhile, or is no record of this version."""
    try:
        return Attempt.from_json(uri, storage.read_bytes(uri))
    except storage.NotFound:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is passed over: %s", uri, error)
        return None
