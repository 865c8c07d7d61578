"""What each kind of storage does when it is asked once: one call here is one attempt. Retries are the caller's."""

import asyncio
import base64
import contextlib
import hashlib
import os
import posixpath
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.faults import Damaged

Page = tuple[Sequence[str], str | None]
"""URIs of files below a folder, and where the next page starts; None after the last."""

SINGLE_PUT = 100 * 2**20
"""Bytes below which s3fs sends an object in one request, which is atomic and whose ETag is its MD5."""


class Store(Protocol):
    """One kind of storage. Paths are what fsspec makes of a URI, without its scheme."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The bytes of a file from `start` up to `end`."""

    def write(self, path: str, data: bytes) -> None:
        """A file, whole or not at all."""

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """A small file, only in the place of one with this identity, or None: of none. Whether it was written."""

    def remove(self, path: str) -> None:
        """Delete a file."""

    def is_file(self, path: str) -> bool:
        """Whether a file has this name."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder has this name."""

    def page(self, path: str, start: str | None) -> Page:
        """Some of the files below a folder, from where a page before this one said."""

    def identity(self, path: str) -> str:
        """What changes whenever a file does."""


class AnyStore:
    """What fsspec offers everywhere, such as memory:// and https://."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Of a whole file the length is compared."""
        if start or end is not None:
            part: bytes = self.fs.cat_file(path, start=start, end=end)
            return part
        data: bytes = self.fs.cat_file(path)
        _compare_length(data, self.fs.info(path).get("size"))
        return data

    def write(self, path: str, data: bytes) -> None:
        """The length of what is there afterwards is compared."""
        self.fs.pipe_file(path, data)
        _compare_length(data, self.fs.info(path).get("size"))

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Looks first and writes then: two at once may both be told yes, so who needs to know reads back."""
        try:
            found = self.identity(path)
        except FileNotFoundError:
            found = None
        if found != replaces:
            return False
        self.write(path, data)
        return True

    def remove(self, path: str) -> None:
        """Raises FileNotFoundError where it is not."""
        self.fs.rm_file(path)

    def is_file(self, path: str) -> bool:
        """Unlike fsspec's isfile, which calls every error a no."""
        try:
            return bool(self.fs.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def is_folder(self, path: str) -> bool:
        """As fsspec sees it."""
        return bool(self.fs.isdir(path))

    def page(self, path: str, start: str | None) -> Page:
        """All of them."""
        found = self.fs.find(path)
        if not found and not self.fs.exists(path):
            raise FileNotFoundError(path)
        return [self.fs.unstrip_protocol(name) for name in found], None

    def identity(self, path: str) -> str:
        """Its ETag, else its size and when it was made."""
        info: Mapping[str, Any] = self.fs.info(path)
        if info["type"] != "file":
            raise IsADirectoryError(path)
        tag = info.get("ETag") or info.get("etag")
        made = info.get("mtime") or info.get("updated") or info.get("created") or ""
        return str(tag).strip('"') if tag else f"{info.get('size')}-{made}"


class LocalStore(AnyStore):
    """This machine's file systems, and what is mounted there."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """A network file system may cut a file short: the length of a whole one is compared."""
        with Path(path).open("rb") as file:
            file.seek(start)
            data = file.read(-1 if end is None else end - start)
            if not start and end is None and len(data) < os.fstat(file.fileno()).st_size:
                _compare_length(data, os.fstat(file.fileno()).st_size)
            return data

    def write(self, path: str, data: bytes) -> None:
        """Beside its place first, then renamed; what fails leaves the old file and nothing else."""
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
            with contextlib.suppress(OSError):  # a disk that turned read-only refuses this as well
                temporary.unlink(missing_ok=True)
            raise

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """A new file is a link to one written beside it: only one of many can make it. Replacing looks first."""
        if replaces is not None:
            return super().write_if(path, data, replaces)
        beside = str(Path(path).with_name(f".{uuid.uuid4().hex}.part"))
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
        found = [str(Path(folder, name)) for folder, _, names in os.walk(path, followlinks=True) for name in names]
        if not found and not Path(path).exists():
            raise FileNotFoundError(path)
        return found, None

    def identity(self, path: str) -> str:
        """Size in bytes and time of the last change in nanoseconds."""
        if Path(path).is_dir():
            raise IsADirectoryError(path)
        found = Path(path).stat()
        return f"{found.st_size}-{found.st_mtime_ns}"


class S3Store:
    """S3 and what speaks like it, through the connection, credentials and paths of s3fs.

    Each method makes one request, so that retries repeat no more than what failed: of a long listing one page.
    """

    def __init__(self, fs: Any, *, verify: bool) -> None:
        self.fs, self.verify = fs, verify

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The length is compared, and of a whole object the MD5 too."""
        if end is not None and end <= start:
            return b""
        ranged = start > 0 or end is not None
        span = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        try:
            answer = self.fs.call_s3("get_object", **self._object(path), **span)
        except OSError as error:
            if _code(error) in ("InvalidRange", "416"):  # nothing from there on, as in an empty object
                return b""
            raise
        data: bytes = asyncio.run_coroutine_threadsafe(_drained(answer["Body"]), self.fs.loop).result()
        _compare_length(data, answer.get("ContentLength"))
        if not ranged:
            self._compare_digest(path, _md5(data).hex(), answer)
        return data

    def write(self, path: str, data: bytes) -> None:
        """The store compares checksums before it takes an object; what it says that it took is compared again."""
        self._object(path)
        kind = _content_type(path)
        if len(data) >= SINGLE_PUT:  # parts, each with its checksum
            self.fs.pipe_file(path, data, **kind)
            _compare_length(data, self._head(path).get("ContentLength"))
            return
        digest = _md5(data)
        answer = self.fs.pipe_file(path, data, ContentMD5=base64.b64encode(digest).decode(), **kind)
        self._compare_digest(path, digest.hex(), answer)

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """The store itself compares, and takes one of several writers; one that knows no conditions takes all."""
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": f'"{replaces}"'}
        try:
            self.fs.pipe_file(path, data, **condition)
        except FileNotFoundError:  # what was to be replaced is gone
            return False
        except OSError as error:
            if _code(error) in ("PreconditionFailed", "412"):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        """What is not there is no error to S3."""
        self.fs.call_s3("delete_object", **self._object(path))

    def is_file(self, path: str) -> bool:
        """Who may list but not read is told no, and gets a listing."""
        if not self._split(path)[1]:
            return False
        try:
            self._head(path)
        except (FileNotFoundError, PermissionError) as error:
            if isinstance(error, FileNotFoundError) or _code(error) == "403":
                return False
            raise
        return True

    def is_folder(self, path: str) -> bool:
        """Whether anything is below."""
        try:
            return bool(self._list(path, MaxKeys=1)["KeyCount"])
        except FileNotFoundError:
            return False

    def page(self, path: str, start: str | None) -> Page:
        """A thousand at most; markers that consoles leave for folders are no files."""
        bucket, key = self._split(path)
        answer = self._list(path, **({"ContinuationToken": start} if start else {}))
        found = [entry["Key"] for entry in answer.get("Contents", [])]
        if not found and key and not start:
            raise FileNotFoundError(path)
        following = answer["NextContinuationToken"] if answer.get("IsTruncated") else None
        return [f"s3://{bucket}/{name}" for name in found if not name.endswith("/")], following

    def identity(self, path: str) -> str:
        """The ETag."""
        return str(self._head(path)["ETag"]).strip('"')

    def _split(self, path: str) -> tuple[str, str]:
        bucket, key, _version = self.fs.split_path(path)
        return bucket, key

    def _object(self, path: str) -> dict[str, str]:
        bucket, key = self._split(path)
        if not key:
            raise IsADirectoryError(path)
        return {"Bucket": bucket, "Key": key}

    def _head(self, path: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.fs.call_s3("head_object", **self._object(path))
        return answer

    def _list(self, path: str, **options: Any) -> Mapping[str, Any]:
        bucket, key = self._split(path)
        prefix = key.rstrip("/") + "/" if key else ""
        answer: Mapping[str, Any] = self.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **options)
        return answer

    def _compare_digest(self, path: str, digest: str, answer: Mapping[str, Any]) -> None:
        """Hold the MD5 of some bytes against their ETag, where that is an MD5.

        It is none for objects in parts, for those encrypted with a key of their own, and in directory buckets.
        """
        tag = str(answer.get("ETag", "")).strip('"').lower()
        keyed = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        directory = self._split(path)[0].endswith("--x-s3")
        if not self.verify or keyed or directory or len(tag) != 32 or tag == digest:
            return
        advice = "for a store whose ETags are no MD5 sums set NST_STORAGE_VERIFY=0"
        raise Damaged("checksum", f"the MD5 is {digest}, the ETag {tag}; {advice}")


_CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
}


def _content_type(path: str) -> Mapping[str, str]:
    """What a browser is told of an object: without it, a page would be downloaded instead of shown."""
    found = _CONTENT_TYPES.get(posixpath.splitext(path)[1].lower())
    return {"ContentType": found} if found else {}


async def _drained(body: Any) -> bytes:
    async with body:
        data: bytes = await body.read()
        return data


def _compare_length(data: bytes, size: Any) -> None:
    """Raise unless the bytes are as many as the store says; a store that does not say is believed."""
    if isinstance(size, int) and len(data) != size:
        raise Damaged("truncated", f"{len(data)} of {size} bytes came through")


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _code(error: BaseException) -> str | None:
    """The code in the answer that s3fs made an error of."""
    response = getattr(error.__cause__, "response", None)
    return str(response["Error"].get("Code")) if isinstance(response, Mapping) else None


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: without it, a row could outlive its picture when the power goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
