"""The storage back end for the file systems of this machine, network mounts included."""

import contextlib
import errno
import hashlib
import io
import itertools
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.storage._access import max_bytes
from pipeline.storage._fsspec import compare_length
from pipeline.storage._store import Entries, IsOurs, LeaveOut, Listing, Page, compare_and_write
from pipeline.storage.entry import Entry, Omitted
from pipeline.storage.errors import Barred, check_length, transient
from pipeline.storage.secrets import TRAVELLING

_TEMPORARY = ".part"
"""Suffix of the hidden file that is written and then renamed or linked to its final name."""

_ABANDONED = 10.0
"""Seconds since the last byte after which nobody is writing a temporary file any more."""

_NOT_FOR_FOLDERS = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EISDIR}
"""Errors by which file systems, such as those of SMB, FUSE and virtual machines, refuse to flush a folder."""


class LocalStore:
    """The file systems of this machine, and what is mounted there, as a `Store`; paths are absolute."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Read a file or a range of it; the length of a whole one is compared, which network mounts may cut short."""
        with _opened(path) as file:
            left, most = max(0, os.fstat(file.fileno()).st_size - start), max_bytes()
            file.seek(start)
            if end is not None:
                check_length(min(end - start, left), most)
                return file.read(min(end - start, left or most))
            check_length(left, most)
            data = file.read(left + 1)
            if len(data) > left:  # it grows, or it is the kernel's and has no size
                data += file.read(max(0, most + 1 - len(data)))
                check_length(len(data), most)
            if not start and len(data) < os.fstat(file.fileno()).st_size:
                compare_length(data, os.fstat(file.fileno()).st_size)
            return data

    def write(self, path: str, data: bytes) -> None:
        """Write a temporary file in the same folder, make it durable, and rename it.

        A write that fails leaves the old file as it was, and no temporary one.
        """
        with _durable(Path(path), data) as temporary:
            temporary.replace(path)  # of a link, the link itself

    def size(self, path: str) -> int:
        """Return the bytes that a file has now."""
        return _properties(path).st_size

    def remove(self, path: str) -> None:
        """Delete a file, or a link but not what it points to."""
        Path(path).unlink()

    def is_file(self, path: str) -> bool:
        """Return whether a plain file has this name, or a link that leads to one."""
        try:
            return stat.S_ISREG(Path(path).stat().st_mode)
        except FileNotFoundError:
            return False

    def is_folder(self, path: str) -> bool:
        """Return whether a folder has this name, or a link that leads to one."""
        return Path(path).is_dir()

    def remove_folder(self, path: str) -> None:
        """Delete a folder, without following links; of a link to a folder, the link alone."""
        folder = Path(path)
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)

    def remove_files(self, path: str, names: Sequence[str]) -> Sequence[str]:
        """Delete files one after the other, all of them."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                Path(path, name).unlink()
        return ()

    def sweep(self, path: str, is_ours: IsOurs, older: float) -> None:
        """Delete temporary files that were never renamed, unless a living process may still be writing them.

        Their names and the seconds since their last byte tell that here.
        """
        since = time.time() - _ABANDONED
        for folder, _, names in os.walk(path):
            hidden = (name for name in names if name.startswith(".") and name.endswith(_TEMPORARY))
            for left in (Path(folder, name) for name in hidden):
                with contextlib.suppress(FileNotFoundError):
                    if left.stat().st_mtime < since:
                        left.unlink()

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Create a new file as a link to a temporary one, which only one of many writers can.

        Replacing an existing file compares its identity first, as elsewhere. So does creating one on a file system
        without links, where nothing may have the name, not even a symbolic link to nowhere.
        """
        if replaces is not None:
            return compare_and_write(self, path, data, replaces)
        with _durable(Path(path), data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                if os.path.lexists(path):
                    return False
                temporary.replace(path)
        return True

    def page(self, path: str, start: str | None) -> Page:
        """Return all files below a folder as one page of paths.

        Their names alone are read: fsspec's find looks at each file, and one that is deleted meanwhile would hide its
        whole folder. Links to folders are followed, but for those that lead back to a folder on their own way.
        """
        paths: list[str] = []
        for folder, below, names in os.walk(path, onerror=_raise_unless_gone, followlinks=True):
            below[:] = [name for name in below if not _leads_back(Path(folder, name))]
            paths += (str(Path(folder, name)) for name in names)
        if not paths and not Path(path).exists():
            raise FileNotFoundError(path)
        return paths, None

    def entries(self, path: str, start: Any, leave_out: LeaveOut) -> Entries:
        """Return the files of one folder by name.

        Links to folders are not followed, so that each file is met once and no listing is endless. A folder below that
        cannot be listed is passed over; one that was deleted meanwhile is empty.
        """
        folder, *left = start or (path,)
        try:
            with os.scandir(folder) as listed:
                there = sorted(listed, key=lambda entry: entry.path)
        except OSError as error:
            if not start or transient(error):
                raise
            gone = isinstance(error, FileNotFoundError)
            return [] if gone else [Omitted(folder, "unreadable", True, error)], tuple(left) or None
        files: list[str | Omitted] = []
        below = []
        for entry in there:
            kind = _is_folder(entry)
            if kind is True and (reason := leave_out(entry.path.removeprefix(path.rstrip("/")).lstrip("/"))):
                kind = Omitted(entry.path, reason, is_folder=True)
            if kind is True:
                below.append(entry.path)
            else:
                files.append(kind or entry.path)
        return _entries_of(files), (*below, *left) or None

    def names(self, path: str, most: int) -> Sequence[str]:
        """Return names in the order of the file system."""
        with os.scandir(path) as listed:
            return [entry.name for entry in itertools.islice(listed, most)]

    def names_beginning(self, path: str, prefix: str) -> Sequence[str]:
        """Return the names of files in a folder that begin with a prefix, in the order of the file system."""
        with os.scandir(path) as listed:
            return [entry.name for entry in listed if entry.name.startswith(prefix) and not entry.is_dir()]

    def identity(self, path: str) -> str:
        """Return the size of a file in bytes and the time of its last change in nanoseconds.

        Of a file that has travelled to a cluster in a working folder, a digest of its bytes: it is unpacked anew,
        whatever else in the folder has changed.
        """
        return _identity(path, _properties(path))

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Return the identities of the named files in a folder, leaving out those that cannot be looked up."""
        identities = []
        with contextlib.suppress(OSError), _place(path) as folder:
            for name in names:  # they may be a million: making a `Path` of each takes longer than looking it up
                with contextlib.suppress(OSError):
                    properties = os.stat(name, dir_fd=folder)
                    if stat.S_ISREG(properties.st_mode):
                        identities.append((name, _identity(f"{path}/{name}", properties)))
        return identities, None


@contextlib.contextmanager
def _place(folder: str) -> Iterator[int]:
    """Open a folder to look names up in it, which takes no right to list it where the operating system tells apart."""
    handle = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY))
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _durable(target: Path, data: bytes) -> Iterator[Path]:
    """Make a hidden file in the folder of `target`, to be renamed or linked, and make the new name durable then.

    O_EXCL and O_NOFOLLOW see to it that the hidden file is a new one, and no link that somebody has put there. Nothing
    of it is left, whether the block succeeds or fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid.uuid4().hex}{_TEMPORARY}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
        _sync_folder(target.parent)
    finally:
        with contextlib.suppress(OSError):  # it is renamed, or the disk turned read-only
            temporary.unlink()


def _leads_back(folder: Path) -> bool:
    """Return whether a folder is a link to one of those that a listing came through, so that it would have no end."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    return any(above.resolve().is_relative_to(target) for above in folder.parents)


def _raise_unless_gone(error: OSError) -> None:
    """Raise the error of a folder that cannot be listed, unless the folder was deleted meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_folder(entry: os.DirEntry[str]) -> bool | Omitted:
    """Return whether something is a folder, or what is passed over where it is one that is not to be followed."""
    try:
        is_folder = entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Omitted(entry.path, "looping link")
        return Omitted(entry.path, "unreadable", error=error)
    return Omitted(entry.path, "linked folder", is_folder=True) if is_folder and entry.is_symlink() else is_folder


def _entries_of(files: Sequence[str | Omitted]) -> Iterator[Entry | Omitted]:
    """Yield files of this machine one by one, without those that were deleted meanwhile."""
    for path in files:
        if isinstance(path, Omitted):
            yield path
            continue
        try:
            properties = Path(path).stat()
        except FileNotFoundError:
            if Path(path).is_symlink():
                yield Omitted(path, "broken link")
            continue
        except OSError as error:
            if transient(error):
                raise
            yield Omitted(path, "unreadable", error=error)
            continue
        if stat.S_ISREG(properties.st_mode):
            modified = datetime.fromtimestamp(properties.st_mtime, UTC)
            yield Entry(path, properties.st_size, modified, _identity(path, properties))
        else:
            yield Omitted(path, "no plain file")


def _opened(path: str) -> io.BufferedReader:
    """Open a regular file for reading: a pipe would wait for its writer, and a device has no end."""
    _properties(path)  # before it is opened, since that makes some devices do something
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(handle, "rb")
    try:
        _check_regular(path, os.fstat(handle))  # it may be another one by now
    except OSError:
        file.close()
        raise
    return file


def _properties(path: str) -> os.stat_result:
    """Look up a regular file; raises IsADirectoryError for a folder and `Barred` for pipes, sockets and devices."""
    properties = Path(path).stat()
    _check_regular(path, properties)
    return properties


def _check_regular(path: str, properties: os.stat_result) -> None:
    """Raise the error that says what a path leads to, unless it is a regular file."""
    mode = properties.st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise Barred(f"it is {kind}, expected a regular file: write what it gives into one")


def _identity(path: str, properties: os.stat_result) -> str:
    """Return size and time of change as a string; a digest for a file that has travelled in a working folder."""
    if TRAVELLING in path:
        with _opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return f"{properties.st_size}-{properties.st_mtime_ns}"


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable: without it, a row could outlast its picture when the power fails.

    A file system that does not do this for folders keeps names by means of its own.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
