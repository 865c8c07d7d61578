"""The storage back end for S3 and for stores that offer its protocol."""

import base64
import contextlib
import functools
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.storage._access import max_bytes
from pipeline.storage._fsspec import compare_length, within
from pipeline.storage._s3_deletion import AT_ONCE, abort_uploads, code_of, delete
from pipeline.storage._store import Entries, IsOurs, LeaveOut, Listing, Page
from pipeline.storage.entry import Entry, Omitted
from pipeline.storage.errors import Damaged, check_length
from pipeline.storage.uris import VERSION

SINGLE_PUT = 100 * 2**20
"""Bytes below which s3fs sends an object in one request, which is atomic and whose ETag is its MD5."""

_AT_ONCE = 2**20
"""Bytes of an object that are asked for at once."""

_LAST_LETTER = "\U0010ffff"
"""What sorts behind all letters in keys."""


class S3Store:
    """S3, or a store with its protocol, as a `Store`, through the connection, credentials and paths of s3fs.

    Each method makes one request, so that a repetition costs no more than what failed: of a long listing one page.
    """

    def __init__(self, fs: Any, *, verify: bool, seconds: float) -> None:
        """Wrap a file system of s3fs.

        Args:
            fs: the file system.
            verify: whether the MD5 of objects is compared with their ETag, where that is one.
            seconds: that a request takes at most.
        """
        self.fs, self.verify, self.seconds = fs, verify, seconds

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Read an object or a range of it; its length is compared, and of a whole object the MD5 too."""
        if end is not None and end <= start:
            return b""
        ranged = start > 0 or end is not None
        span = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        try:
            answer, data = within(self.seconds, self.fs, self._get(**self._object(path), **span))
        except OSError as error:
            if code_of(error) in ("InvalidRange", "416"):  # the object ends before `start`, as an empty one always does
                return b""
            raise
        compare_length(data, answer.get("ContentLength"))
        if not ranged:
            self._compare_digest(path, _md5(data).hex(), answer)
        return data

    def size(self, path: str) -> int:
        """Return the bytes that an object has now."""
        return int(self._head(path)["ContentLength"])

    def write(self, path: str, data: bytes) -> None:
        """Write an object whose checksum the store verifies, and compare the checksum that it reports back."""
        if len(data) >= SINGLE_PUT:  # parts, each with its checksum
            key = self._target(path)["Key"]
            try:
                within(self.seconds, self.fs, self.fs._pipe_file(path, data, **_content_type(path)))
            except TimeoutError:  # s3fs aborts an upload that fails, but not one that is cancelled
                with contextlib.suppress(Exception):
                    abort_uploads(self._call, self._split(path)[0], key, is_ours=lambda other: other == key)
                raise
            compare_length(data, self._head(path).get("ContentLength"))
            return
        self._put(path, data)

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Let the store itself compare, so that one of several writers succeeds.

        A store that ignores conditions lets all of them succeed: read the object back where that matters.
        """
        if replaces is None:
            return self._put_if(path, data, IfNoneMatch="*")
        if self._put_if(path, data, IfMatch=f'"{replaces}"'):
            return True
        # Ceph's gateway compares an ETag without the quotes that belong to it, and so has refused until here.
        return self._is_still(path, replaces) and self._put_if(path, data, IfMatch=replaces)

    def _is_still(self, path: str, identity: str) -> bool:
        """Return whether an object exists and has this identity."""
        try:
            return self.identity(path) == identity
        except FileNotFoundError:
            return False

    def _put_if(self, path: str, data: bytes, **condition: str) -> bool:
        """Write an object under a condition, and return whether the store accepted it."""
        try:
            self._put(path, data, **condition)
        except FileNotFoundError:  # what was to be replaced is gone
            return False
        except OSError as error:
            if code_of(error) in ("PreconditionFailed", "412"):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        """Delete an object; to S3 it is no error if there is none."""
        self._call("delete_object", **self._target(path))

    def is_file(self, path: str) -> bool:
        """Return whether an object has this name; False for a user who may list it but not read it."""
        if not self._split(path)[1]:
            return False
        try:
            self._head(path)
        except (FileNotFoundError, PermissionError) as error:
            if isinstance(error, FileNotFoundError) or code_of(error) == "403":
                return False
            raise
        return True

    def is_folder(self, path: str) -> bool:
        """Return whether any object is below this name."""
        try:
            return bool(self._list(path, MaxKeys=1)["KeyCount"])
        except FileNotFoundError:
            return False

    def page(self, path: str, start: str | None) -> Page:
        """Return one answer of the store: a thousand objects at most."""
        objects, following = self._page(path, start)
        return [uri for uri, _ in objects], following

    def entries(self, path: str, start: Any, leave_out: LeaveOut) -> Entries:
        """Return one answer of the store, a thousand objects at most; it tells all that a HEAD of each would.

        Where an answer ends in a folder that is left out, the next one starts behind that folder.
        """
        token, behind = start or (None, "")
        objects, following = self._page(path, None if behind else token, behind)
        if behind and objects and objects[0][1]["Key"] <= behind:  # a store that ignores StartAfter
            objects, following = self._page(path, token)
        prefix, folder_of = self._prefix(path), functools.cache(lambda folder: _left_out(folder, leave_out))
        listed: list[Entry | Omitted] = []
        folders = dict[str, Omitted]()
        last = ""
        for uri, info in objects:
            below = str(info["Key"]).removeprefix(prefix)
            last, reason = folder_of(below.rpartition("/")[0])
            if not last:
                listed.append(Entry.of(uri, {**info, "size": info["Size"]}))
            elif last not in folders:
                folders[last] = Omitted(uri.removesuffix(below) + last, reason, is_folder=True)
        end = f"{prefix}{last}/{_LAST_LETTER}" if last else ""
        return [*listed, *folders.values()], following and (following, "" if end == behind else end)

    def names(self, path: str, most: int) -> Sequence[str]:
        """Return the names of one answer of the store: a thousand at most."""
        prefix, answer = self._prefix(path), self._list(path, Delimiter="/", MaxKeys=min(most, 1000))
        keys = [info["Key"] for info in answer.get("Contents", [])]
        keys += [info["Prefix"] for info in answer.get("CommonPrefixes", [])]
        return [str(key).removeprefix(prefix).rstrip("/") for key in keys if key != prefix]

    def names_beginning(self, path: str, prefix: str) -> Sequence[str]:
        """Return the names of files in a folder that begin with a prefix, from one answer of the store."""
        folder = self._prefix(path)
        place = {"Bucket": self._split(path)[0], "Prefix": folder + prefix, "Delimiter": "/"}
        answer = self._call("list_objects_v2", **place)
        return [str(info["Key"]).removeprefix(folder) for info in answer.get("Contents", [])]

    def remove_folder(self, path: str) -> None:
        """Delete all objects below this path, a thousand at a time.

        fsspec's own deletion would take brackets in a name for a pattern, and pass over what is refused.
        """
        following: dict[str, str] = {}
        while True:
            answer = self._list(path, **following)
            if keys := [info["Key"] for info in answer.get("Contents", [])]:
                delete(self._call, self._split(path)[0], keys)
            if not answer.get("IsTruncated"):
                return
            following = {"ContinuationToken": answer["NextContinuationToken"]}

    def remove_files(self, path: str, names: Sequence[str]) -> Sequence[str]:
        """Delete a thousand objects in one request."""
        prefix = self._prefix(path)
        delete(self._call, self._split(path)[0], [prefix + name for name in names[:AT_ONCE]])
        return names[AT_ONCE:]

    def sweep(self, path: str, is_ours: IsOurs, older: float) -> None:
        """Abort uploads in parts that were never completed: a store keeps, and bills, what came of them.

        Whoever may not list or abort them leaves them to the rules of the bucket.
        """
        prefix, before = self._prefix(path), datetime.now(UTC) - timedelta(seconds=older)
        with contextlib.suppress(PermissionError):
            abort_uploads(
                self._call,
                self._split(path)[0],
                prefix,
                is_ours=lambda key: is_ours(key.removeprefix(prefix)),
                before=before,
            )

    def identity(self, path: str) -> str:
        """Return the ETag of an object."""
        return _tag(self._head(path))

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Return one answer of the store: a thousand objects at most, by name, without those in folders below."""
        prefix = self._prefix(path)
        # This prefix of the first name sorts before it; stores that ignore StartAfter begin with the folder.
        position = {"ContinuationToken": start} if start else {"StartAfter": prefix + names[0][:-1]}
        answer = self._list(path, Delimiter="/", **position)
        tags = [(str(info["Key"]).removeprefix(prefix), _tag(info)) for info in answer.get("Contents", [])]
        is_last = not answer.get("IsTruncated") or (tags and tags[-1][0] >= names[-1])
        return tags, None if is_last else answer["NextContinuationToken"]

    def _page(
        self, path: str, start: str | None, behind: str = ""
    ) -> tuple[list[tuple[str, Mapping[str, Any]]], str | None]:
        """Return a page of URIs with the properties of each object, and where the next page starts.

        Markers that consoles create for folders, with names that end in a slash, are left out.

        Args:
            path: of a folder.
            start: the token of the page; None: the first one.
            behind: a key, for the page that starts after it; empty for none.
        """
        bucket, key, _ = self._split(path)
        place = {"ContinuationToken": start} if start else {"StartAfter": behind} if behind else {}
        answer = self._list(path, **place)
        objects = answer.get("Contents", [])
        if not objects and key and not place:
            raise FileNotFoundError(path)
        following = answer["NextContinuationToken"] if answer.get("IsTruncated") else None
        return [(f"s3://{bucket}/{info['Key']}", info) for info in objects if not info["Key"].endswith("/")], following

    def _split(self, path: str) -> tuple[str, str, str]:
        """Return the bucket and the key of a path, and the version that is wanted; empty for the newest.

        The key is what follows the bucket, whatever letters it has, but for `?versionId=…` at its end.
        """
        bucket, _, key = path.partition("/")
        if path.startswith("arn:"):  # an access point, whose name has slashes and colons of its own
            bucket, key = self.fs._find_bucket_key(path)
        key, _, version = key.partition(VERSION)
        return bucket, key, version

    def _object(self, path: str) -> dict[str, str]:
        """Return the parameters that name an object to be read; raises IsADirectoryError for a bucket."""
        bucket, key, version = self._split(path)
        if not key:
            raise IsADirectoryError(path)
        return {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})

    def _target(self, path: str) -> dict[str, str]:
        """Return the parameters that name an object to be written or deleted.

        Raises:
            IsADirectoryError: for a bucket.
            ValueError: for one version of an object, which can only be read.
        """
        if VERSION in path:
            raise ValueError(f"an older version of an object is only read: expected a name without {VERSION}…")
        return self._object(path)

    def _head(self, path: str) -> Mapping[str, Any]:
        """Request the properties of an object."""
        return self._call("head_object", **self._object(path))

    def _list(self, path: str, **options: Any) -> Mapping[str, Any]:
        """Request a page of the objects below a path."""
        return self._call("list_objects_v2", Bucket=self._split(path)[0], Prefix=self._prefix(path), **options)

    def _call(self, method: str, **options: Any) -> Mapping[str, Any]:
        """Call a method of the S3 client with a time limit; errors are translated by s3fs."""
        return within(self.seconds, self.fs, self.fs._call_s3(method, **options))

    def _put(self, path: str, data: bytes, **condition: str) -> None:
        """Upload an object in one request, with a checksum that the store verifies and reports back."""
        digest = _md5(data)
        sent = {"ContentMD5": base64.b64encode(digest).decode(), **_content_type(path), **condition}
        answer = self._call("put_object", **self._target(path), Body=data, **sent)
        self._compare_digest(path, digest.hex(), answer)

    async def _get(self, **options: str) -> tuple[Mapping[str, Any], bytes]:
        """Download an object; returns its properties and its bytes."""
        answer, most = await self.fs._call_s3("get_object", **options), max_bytes()
        async with answer["Body"] as body:
            check_length(answer.get("ContentLength") or 0, most)
            return answer, await _whole(body, most)

    def _prefix(self, path: str) -> str:
        """Return what the keys of all objects below a folder begin with."""
        key = self._split(path)[1]
        return key.rstrip("/") + "/" if key else ""

    def _compare_digest(self, path: str, digest: str, answer: Mapping[str, Any]) -> None:
        """Raise `Damaged` if the MD5 of some bytes differs from their ETag, where that is an MD5.

        It is none for objects in parts, for those encrypted with a key of their own, and in directory buckets.
        """
        tag = str(answer.get("ETag", "")).strip('"').lower()
        keyed = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        directory = self._split(path)[0].endswith("--x-s3")
        if not self.verify or keyed or directory or len(tag) != 32 or tag == digest:
            return
        advice = "for a store whose ETags are no MD5 sums set NST_STORAGE_VERIFY=0"
        raise Damaged("checksum", f"the MD5 is {digest}, the ETag {tag}; {advice}")


async def _whole(body: Any, most: int) -> bytes:
    """Return the bytes of an object, counted as they arrive, since not every store tells their number beforehand.

    Raises:
        Barred: as soon as they are more than `most`.
    """
    parts, length = [], 0
    while part := await body.read(_AT_ONCE):
        parts.append(part)
        length += len(part)
        check_length(length, most)
    return b"".join(parts)


def _tag(answer: Mapping[str, Any]) -> str:
    """Return the ETag in the properties of an object, from a HEAD request or a listing, without its quotes."""
    return str(answer["ETag"]).strip('"')


def _md5(data: bytes) -> bytes:
    """Return the MD5 of some bytes, which serves as a checksum only."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def _left_out(folder: str, leave_out: LeaveOut) -> tuple[str, str]:
    """Return which folder of a path is left out, the outermost one, and why; twice nothing if there is none."""
    names = folder.split("/") if folder else []
    for count in range(1, len(names) + 1):
        if reason := leave_out("/".join(names[:count])):
            return "/".join(names[:count]), reason
    return "", ""


_CONTENT_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}


def _content_type(path: str) -> Mapping[str, str]:
    """Return the content type of an object: without one, a browser would download a page instead of showing it."""
    kind = _CONTENT_TYPES.get(posixpath.splitext(path)[1].lower())
    return {"ContentType": kind} if kind else {}
