"""S3 and what speaks like it."""

import base64
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.storage._fsspec import compare_length, within
from pipeline.storage._store import Entries, Listing, Page
from pipeline.storage.entry import Entry
from pipeline.storage.errors import Damaged

SINGLE_PUT = 100 * 2**20
"""Bytes below which s3fs sends an object in one request, which is atomic and whose ETag is its MD5."""


class S3Store:
    """S3 and what speaks like it, through the connection, credentials and paths of s3fs.

    Each method makes one request, so that retries repeat no more than what failed: of a long listing one page.
    """

    def __init__(self, fs: Any, *, verify: bool, seconds: float) -> None:
        """A request takes so many seconds at most."""
        self.fs, self.verify, self.seconds = fs, verify, seconds

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The length is compared, and of a whole object the MD5 too."""
        if end is not None and end <= start:
            return b""
        ranged = start > 0 or end is not None
        span = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        try:
            answer, data = within(self.seconds, self.fs, self._get(**self._object(path), **span))
        except OSError as error:
            if _code(error) in ("InvalidRange", "416"):  # nothing from there on, as in an empty object
                return b""
            raise
        compare_length(data, answer.get("ContentLength"))
        if not ranged:
            self._compare_digest(path, _md5(data).hex(), answer)
        return data

    def size(self, path: str) -> int:
        """Of the object as it is now."""
        return int(self._head(path)["ContentLength"])

    def write(self, path: str, data: bytes) -> None:
        """The store compares checksums before it takes an object; what it says that it took is compared again."""
        self._object(path)
        kind = _content_type(path)
        if len(data) >= SINGLE_PUT:  # parts, each with its checksum
            self._put(path, data, **kind)
            compare_length(data, self._head(path).get("ContentLength"))
            return
        digest = _md5(data)
        answer = self._put(path, data, ContentMD5=base64.b64encode(digest).decode(), **kind)
        self._compare_digest(path, digest.hex(), answer)

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """The store itself compares, and takes one of several writers; one that knows no conditions takes all."""
        if replaces is None:
            return self._put_if(path, data, IfNoneMatch="*")
        if self._put_if(path, data, IfMatch=f'"{replaces}"'):
            return True
        # Ceph's gateway knows an ETag only without the quotes that belong to it: there every answer so far was no.
        return self._is_still(path, replaces) and self._put_if(path, data, IfMatch=replaces)

    def _is_still(self, path: str, identity: str) -> bool:
        try:
            return self.identity(path) == identity
        except FileNotFoundError:
            return False

    def _put_if(self, path: str, data: bytes, **condition: str) -> bool:
        try:
            self._put(path, data, **condition)
        except FileNotFoundError:  # what was to be replaced is gone
            return False
        except OSError as error:
            if _code(error) in ("PreconditionFailed", "412"):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        """What is not there is no error to S3."""
        self._call("delete_object", **self._object(path))

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
        """A thousand at most."""
        found, following = self._page(path, start)
        return [uri for uri, _ in found], following

    def entries(self, path: str, start: Any) -> Entries:
        """Likewise; a listing says all that a HEAD of each would."""
        found, following = self._page(path, start)
        return [Entry.of(uri, {**info, "size": info["Size"]}) for uri, info in found], following

    def remove_folder(self, path: str) -> None:
        """A thousand objects at a time."""
        self.fs.rm(path, recursive=True)

    def sweep(self, path: str) -> None:
        """Nothing is left: an object is there once it is whole."""

    def identity(self, path: str) -> str:
        """The ETag."""
        return _tag(self._head(path))

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """A thousand at most, in order of their names, without what is in folders below."""
        prefix = self._prefix(path)
        # What sorts right before the first name; stores that know no StartAfter begin with the folder.
        where = {"ContinuationToken": start} if start else {"StartAfter": prefix + names[0][:-1]}
        answer = self._list(path, Delimiter="/", **where)
        found = [(str(entry["Key"]).removeprefix(prefix), _tag(entry)) for entry in answer.get("Contents", [])]
        is_over = not answer.get("IsTruncated") or (found and found[-1][0] >= names[-1])
        return found, None if is_over else answer["NextContinuationToken"]

    def _page(self, path: str, start: str | None) -> tuple[list[tuple[str, Mapping[str, Any]]], str | None]:
        """URIs with what S3 says of each; markers that consoles leave for folders are no files."""
        bucket, key = self._split(path)
        answer = self._list(path, **({"ContinuationToken": start} if start else {}))
        found = answer.get("Contents", [])
        if not found and key and not start:
            raise FileNotFoundError(path)
        following = answer["NextContinuationToken"] if answer.get("IsTruncated") else None
        return [(f"s3://{bucket}/{info['Key']}", info) for info in found if not info["Key"].endswith("/")], following

    def _split(self, path: str) -> tuple[str, str]:
        bucket, key, _version = self.fs.split_path(path)
        return bucket, key

    def _object(self, path: str) -> dict[str, str]:
        bucket, key = self._split(path)
        if not key:
            raise IsADirectoryError(path)
        return {"Bucket": bucket, "Key": key}

    def _head(self, path: str) -> Mapping[str, Any]:
        return self._call("head_object", **self._object(path))

    def _list(self, path: str, **options: Any) -> Mapping[str, Any]:
        bucket, _ = self._split(path)
        return self._call("list_objects_v2", Bucket=bucket, Prefix=self._prefix(path), **options)

    def _call(self, method: str, **options: Any) -> Mapping[str, Any]:
        return within(self.seconds, self.fs, self.fs._call_s3(method, **options))

    def _put(self, path: str, data: bytes, **options: str) -> Mapping[str, Any]:
        return within(self.seconds, self.fs, self.fs._pipe_file(path, data, **options))

    async def _get(self, **options: str) -> tuple[Mapping[str, Any], bytes]:
        answer = await self.fs._call_s3("get_object", **options)
        async with answer["Body"] as body:
            return answer, await body.read()

    def _prefix(self, path: str) -> str:
        """What the keys of files below a folder begin with."""
        _, key = self._split(path)
        return key.rstrip("/") + "/" if key else ""

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


def _tag(answer: Mapping[str, Any]) -> str:
    """An object's ETag, of a head request or in a listing."""
    return str(answer["ETag"]).strip('"')


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _code(error: BaseException) -> str | None:
    """The code in the answer that s3fs made an error of."""
    response = getattr(error.__cause__, "response", None)
    return str(response["Error"].get("Code")) if isinstance(response, Mapping) else None


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
