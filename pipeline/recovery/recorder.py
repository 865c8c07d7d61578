"""Records of attempts that a thread writes and deletes while rows are worked on, so that no device waits for a store.

The guarantee, for an attempt that is recorded so: **a batch is not passed on before its record is written; a record is
deleted after it was written and never before; and a process that crashes at the batch is known to have, whether the
record was there yet or not**, to the process that takes its place, and through the record to every other. What happens
where a process crashes, in the order of time:

1. before `handover` has kept a note of the attempt: work has not begun; the batch is given to another process.
2. after that, before the record is in storage: the note is there. The process that takes this one's place writes the
   record when it is given the rows, and finds the crash. If the whole run ends with it, nothing is left of the attempt,
   but the next run takes over its lock, and is wary: each of its attempts is recorded before work begins.
3. while the record is in storage and rows are worked on: the record is there, as after a crash of any other attempt.
4. after work, while the record is waited for: as in 2 and 3. A record that cannot be written is an error of the stage.
5. after the note was taken back, before the record is deleted: the rows are done, or, if the batch is lost with its
   node, taken up anew by a process that has no reason to ask. The end of the run deletes the record. A run that is
   killed leaves it to the next one, which passes over rows that have their outcome.
6. after the record is deleted: nothing is left.

A process that ends on request (`withdraw_all`) deletes what is there and waits for what is on its way.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

from pipeline import storage


class Recorder:
    """The records that this process has made and not withdrawn, and a thread that writes and deletes some of them.

    The thread makes its requests one after the other, in the order in which they were given: so the attempt at rows
    that were given to this process twice does not meet the record of the first one.

    Attributes:
        repeated: requests that the thread has repeated so far.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._open: dict[str, Future[str] | None] = {}
        self._leaving: set[Future[str]] = set()
        self._failed: list[Exception] = []

    def add(self, uri: str) -> None:
        """Take over a record that is written already, unless the thread writes it."""
        self._open.setdefault(uri, None)

    def write(self, uri: str, request: Callable[[], str]) -> None:
        """Have a record written by the thread.

        Args:
            uri: by which the record is known here.
            request: writes it, and returns the URI that it has in storage, which may be another one.
        """
        self._open[uri] = self._thread.submit(self._counted, request)

    def settle(self, uri: str) -> None:
        """Wait until a record is written.

        Raises:
            StorageError: if it cannot be.
        """
        record = self._open.get(uri)
        with contextlib.suppress(CancelledError):  # this process ends on request
            if record:
                record.result()

    def check(self) -> None:
        """Raise StorageError if the thread could not delete a record since the last call, before new work begins."""
        if self._failed:
            raise self._failed.pop()

    def withdraw(self, uri: str) -> None:
        """Delete a record: at once, or by the thread if that has written it.

        Raises:
            StorageError: if it cannot be deleted at once; of the thread's, `check` tells the next time.
        """
        record = self._open.get(uri)
        if record:
            self._leaving.add(record)
            self._thread.submit(self._delete, record)
        self._open.pop(uri, None)
        if not record:
            storage.remove(uri)

    def withdraw_all(self) -> None:
        """Delete every record, since this process ends on request; wait for one that is being written.

        It may be called by a signal handler, and so takes no lock of the executor.

        Raises:
            StorageError: if one cannot be deleted.
        """
        for uri, record in list(self._open.items()):
            if record is None:
                storage.remove(uri)
        for record in (*self._open.values(), *self._leaving):
            if record and not record.cancel() and not record.exception():
                storage.remove(record.result())

    def _counted(self, request: Callable[[], str]) -> str:
        """Make a request, and count how often it was repeated."""
        before = storage.repeated()
        try:
            return request()
        finally:
            self.repeated += storage.repeated() - before

    def _delete(self, record: Future[str]) -> None:
        """Delete a record that was to be written before, unless it was not."""

        def request() -> str:
            storage.remove(record.result())
            return record.result()

        try:
            if not record.cancelled() and not record.exception():
                self._counted(request)
        except Exception as error:
            self._failed.append(error)
        self._leaving.discard(record)
