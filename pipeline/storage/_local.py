"""The file systems of this machine, as a store."""

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.storage._fsspec import AnyStore, compare_length
from pipeline.storage._store import _BEING_WRITTEN, _BESIDE, Entries, Listing, Page
from pipeline.storage.entry import Entry


class LocalStore(AnyStore):
    """This machine's file systems, and what is mounted there."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """A network file system may cut a file short: the length of a whole one is compared."""
        with Path(path).open("rb") as file:
            file.seek(start)
            data = file.read(-1 if end is None else end - start)
            if not start and end is None and len(data) < os.fstat(file.fileno()).st_size:
                compare_length(data, os.fstat(file.fileno()).st_size)
            return data

    def write(self, path: str, data: bytes) -> None:
        """Beside its place first, then renamed; what fails leaves the old file and nothing else."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{uuid.uuid4().hex}{_BESIDE}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):  # a disk that turned read-only refuses this as well
                temporary.unlink(missing_ok=True)
            raise

    def sweep(self, path: str) -> None:
        """What was written beside its place and never renamed, unless a living process may still be at it."""
        since = time.time() - _BEING_WRITTEN
        for folder, _, names in os.walk(path):
            for left in (Path(folder, name) for name in names if name.startswith(".") and name.endswith(_BESIDE)):
                with contextlib.suppress(FileNotFoundError):
                    if left.stat().st_mtime < since:
                        left.unlink()

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """A new file is a link to one written beside it: only one of many can make it. Replacing looks first."""
        if replaces is not None:
            return super().write_if(path, data, replaces)
        beside = str(Path(path).with_name(f".{uuid.uuid4().hex}{_BESIDE}"))
        self.write(beside, data)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return super().write_if(path, data, None)
        finally:
            Path(beside).unlink()
        return True

    def page(self, path: str, start: str | None) -> Page:
        """All of them, as paths. Their names alone are read: fsspec's find looks at each, and a file that is deleted
        meanwhile would hide its whole folder."""
        walk = os.walk(path, onerror=_unless_gone, followlinks=True)
        found = [str(Path(folder, name)) for folder, _, names in walk for name in names]
        if not found and not Path(path).exists():
            raise FileNotFoundError(path)
        return found, None

    def entries(self, path: str, start: Any) -> Entries:
        """Those of one folder, by name. Links to folders are not followed: each file is met once, and no walk is
        endless."""
        folder, *left = start or (path,)
        below, names = [], []
        with contextlib.suppress(*[FileNotFoundError] if start else []), os.scandir(folder) as found:
            for entry in found:
                if not entry.is_dir():
                    names.append(entry.path)
                elif not entry.is_symlink():
                    below.append(entry.path)
        return _looked_at(sorted(names)), (*sorted(below), *left) or None

    def identity(self, path: str) -> str:
        """Size in bytes and time of the last change in nanoseconds."""
        if Path(path).is_dir():
            raise IsADirectoryError(path)
        return _identity(Path(path).stat())

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Just these, without those that cannot be looked at. They may be a million: no `Path` is made of each."""
        found = []
        for name in names:
            with contextlib.suppress(OSError):
                seen = os.stat(f"{path}/{name}")  # noqa: PTH116
                if not stat.S_ISDIR(seen.st_mode):
                    found.append((name, _identity(seen)))
        return found, None


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not an empty one; one that is deleted meanwhile is."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _looked_at(paths: Sequence[str]) -> Iterator[Entry]:
    """Files of this machine one by one; what is gone by then is left out."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found = Path(path).stat()
            yield Entry(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), _identity(found))


def _identity(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}"


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: without it, a row could outlive its picture when the power goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
