"""Every byte in and out of storage: fsspec behind one door.

A URI is a string: `s3://bucket/key`, `memory://…`, `file://…`, or a path of this machine.
"""

import contextlib
import os
import posixpath
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem


class StorageError(OSError):
    """Storage did not do what was asked; the message names the URI, what happened and what to do."""


def is_uri(text: str) -> bool:
    """Whether a string has a scheme, such as s3://."""
    return "://" in text


def resolve(uri: str, base: str) -> str:
    """A relative path as a URI within the folder `base`; an absolute path or a URI with a scheme as it is."""
    if is_uri(uri) or uri.startswith("/"):
        return uri
    scheme, separator, path = join(base, uri).rpartition("://")
    if separator and {".", ".."} & set(path.split("/")):  # object stores take dots at their word
        path = posixpath.normpath(path)
    return f"{scheme}{separator}{path}"


def parent(uri: str) -> str:
    """The folder that holds a file."""
    head, slash, _ = uri.rpartition("/")
    if not slash:
        return "."
    return uri if head.endswith(":/") else head or "/"


def join(base: str, *names: str) -> str:
    """A file or folder below `base`. Dots in a path of this machine are resolved, in a URI they stay."""
    joined = "/".join([base.rstrip("/") or "/", *names]) if base else "/".join(names)
    return joined if is_uri(joined) else posixpath.normpath(joined)


def absolute(uri: str) -> str:
    """A path of this machine made absolute, so that it means the same in every process; other URIs as they are."""
    path = uri.removeprefix("file://")
    return path if is_uri(path) else posixpath.normpath(Path(path).absolute())


def read_bytes(uri: str, *, start: int = 0, end: int | None = None) -> bytes:
    """A file, or its bytes from `start` up to `end`.

    Raises:
        StorageError: if it is missing, is a folder, or cannot be read.
    """
    with _explained("read", uri):
        fs, path = _open(uri)
        if isinstance(fs, LocalFileSystem):
            with Path(path).open("rb") as file:
                file.seek(start)
                return file.read(-1 if end is None else end - start)
        whole = start == 0 and end is None
        data: bytes = fs.cat_file(path) if whole else fs.cat_file(path, start=start, end=end)
        return data


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file whole or not at all, on this machine and on object stores: never a part is seen.

    Raises:
        StorageError: if it cannot be written; nothing half written stays behind.
    """
    with _explained("write", uri):
        fs, path = _open(uri)
        if not isinstance(fs, LocalFileSystem):
            fs.pipe_file(path, data)  # one PUT on an object store, which is atomic there
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: without it, a row could outlive its picture when the power goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(uri: str) -> None:
    """Delete a file; one that is not there is no error."""
    with _explained("delete", uri), contextlib.suppress(FileNotFoundError):
        fs, path = _open(uri)
        fs.rm_file(path)


def list_files(uri: str, *, suffix: str = "") -> list[str]:
    """Every file below a folder whose name ends in `suffix`, sorted; the file itself if it is one.

    Raises:
        StorageError: if there is nothing there.
    """
    with _explained("list", uri):
        fs, path = _open(uri)
        if fs.isfile(path):
            return [uri]
        found = fs.find(path)
        if not found and not fs.exists(path):
            raise FileNotFoundError(uri)
        local = isinstance(fs, LocalFileSystem)
        return sorted(f if local else fs.unstrip_protocol(f) for f in found if f.endswith(suffix))


def check_no_folder(uri: str) -> None:
    """Find out before any work whether a file may have this name.

    Raises:
        StorageError: if a folder has it.
    """
    with _explained("write", uri):
        fs, path = _open(uri)
        if fs.isdir(path):
            raise IsADirectoryError(uri)


def check_writable(folder: str) -> None:
    """Find out before any work whether files can be written below a folder.

    Raises:
        StorageError: if not.
    """
    probe = join(folder, ".writable")
    write_bytes(probe, b"")
    remove(probe)


def _open(uri: str) -> tuple[Any, str]:
    # Listings change under us, from other processes: never from a cache.
    fs, path = url_to_fs(uri, use_listings_cache=False)
    return fs, path


@contextlib.contextmanager
def _explained(verb: str, uri: str) -> Iterator[None]:
    """Turn what any file system raises into one clear line."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"cannot {verb} {uri}: it does not exist") from error
    except IsADirectoryError as error:
        raise StorageError(f"cannot {verb} {uri}: it is a folder, expected a file") from error
    except (NotADirectoryError, FileExistsError) as error:
        raise StorageError(f"cannot {verb} {uri}: a part of the path is a file, expected a folder") from error
    except PermissionError as error:
        raise StorageError(f"cannot {verb} {uri}: no permission") from error
    except (ImportError, ValueError) as error:  # an unknown scheme, or one whose package is missing
        expected = "expected a path, file://, s3:// or another scheme of fsspec with its package installed"
        raise StorageError(f"cannot {verb} {uri}: {' '.join(str(error).split())[:300]} ({expected})") from error
    except Exception as error:  # botocore, aiohttp and the rest share no base class
        reason = " ".join(str(error).split())[:300]
        if "credentials" in reason.lower():
            reason += ". Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role that boto finds"
        raise StorageError(f"cannot {verb} {uri}: {type(error).__name__}: {reason}") from error
