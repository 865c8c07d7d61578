"""Files that several batches of a run read, such as a style: a process that has met one twice keeps it for a while."""

import threading
from collections import OrderedDict

LARGEST, MOST = 16 * 2**20, 64 * 2**20
"""Bytes of a file, and of all files together, that a process keeps."""

NOTED = 10_000
"""Files that a process remembers to have read once; of contents, each of which it reads once, it keeps none."""


class KeptFiles:
    """The files of one run that are kept, those that were used last; a run that begins later reads its files anew.

    A run is planned for the pictures that there are when it begins, so that what was read once is what it is about.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run = ""
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._met: set[str] = set()

    def get(self, run: str, uri: str) -> bytes | None:
        """Return a file that is kept for a run; None if it is not. A run without a name keeps nothing."""
        with self._lock:
            self._begin(run)
            if uri in self._files:
                self._files.move_to_end(uri)
            return self._files.get(uri)

    def put(self, run: str, uri: str, data: bytes) -> None:
        """Take note of a file that was read for a run, and keep it from the second time on."""
        with self._lock:
            self._begin(run)
            if not run or len(data) > LARGEST:
                return
            if uri not in self._met:
                if len(self._met) >= NOTED:
                    self._met.clear()
                self._met.add(uri)
                return
            self._files[uri] = data
            self._files.move_to_end(uri)
            while sum(map(len, self._files.values())) > MOST:
                self._files.popitem(last=False)

    def _begin(self, run: str) -> None:
        """Forget what is of another run."""
        if run != self._run:
            self._run = run
            self._files.clear()
            self._met.clear()


KEPT = KeptFiles()
"""Those of this process."""
