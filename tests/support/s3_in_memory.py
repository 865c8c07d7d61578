"""S3 as far as the pipeline uses it, in this process: what s3fs would send is answered from memory, and noted."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import pytest
import s3fs
from botocore.exceptions import ClientError

KINDS = {
    "put_object": "PUT",
    "list_objects_v2": "LIST",
    "get_object": "GET",
    "head_object": "HEAD",
    "delete_object": "DELETE",
    "delete_objects": "DELETE",
}
"""Kinds of requests by the names of the client's methods; others stand for themselves."""


class _Body:
    """The bytes of an answer, to be read as those of a connection are."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        data, self.left = self.left[:size], self.left[size:]
        return data


class S3InMemory:
    """Buckets in memory.

    Attributes:
        objects: bytes by bucket and key.
        asked: kind and key, or prefix, of each request in order.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def kinds(self, *, without: str) -> Counter[str]:
        """Return how many requests of each kind there were, but for those whose key ends so."""
        return Counter(kind for kind, key in self.asked if not key.endswith(without))

    async def answer(self, _fs: Any, method: str, *arguments: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
        """Answer what s3fs would send."""
        options = {name: value for each in (*arguments, more) for name, value in each.items()}
        with self._lock:
            key = str(options.get("Key", options.get("Prefix", "")))
            self.asked.append((KINDS.get(method, method), key))
            found: Mapping[str, Any] = getattr(self, method)(options["Bucket"], key, options)
            return found

    def put_object(self, bucket: str, key: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep an object, if the condition holds."""
        there = self.objects.get((bucket, key))
        tag = options.get("IfMatch", "").strip('"')
        if (there is not None and options.get("IfNoneMatch") == "*") or (tag and (there is None or tag != _tag(there))):
            raise OSError(5, "At least one of the pre-conditions you specified did not hold") from ClientError(
                {"Error": {"Code": "PreconditionFailed"}}, "PutObject"
            )
        self.objects[bucket, key] = bytes(options["Body"])
        return {"ETag": _tag(self.objects[bucket, key])}

    def get_object(self, bucket: str, key: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an object, or a range of it."""
        data = self._there(bucket, key)
        first, _, last = options.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        return {"Body": _Body(part), "ContentLength": len(part), "ETag": _tag(data)}

    def head_object(self, bucket: str, key: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the properties of an object."""
        data = self._there(bucket, key)
        return {"ContentLength": len(data), "ETag": _tag(data)}

    def list_objects_v2(self, bucket: str, prefix: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return all objects at once, and folders where these are asked for."""
        keys = sorted(key for there, key in self.objects if there == bucket and key.startswith(prefix))
        if options.get("Delimiter"):
            keys = [key for key in keys if "/" not in key.removeprefix(prefix)]
        found = [
            {"Key": key, "Size": len(data), "ETag": _tag(data)} for key in keys for data in [self._there(bucket, key)]
        ]
        return {"Contents": found, "KeyCount": len(found), "IsTruncated": False}

    def delete_object(self, bucket: str, key: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """Delete an object."""
        self.objects.pop((bucket, key), None)
        return {}

    def delete_objects(self, bucket: str, _: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Delete objects."""
        for each in options["Delete"]["Objects"]:
            self.objects.pop((bucket, each["Key"]), None)
        return {}

    def list_multipart_uploads(self, *_: object) -> Mapping[str, Any]:
        """Return no uploads: objects come whole here."""
        return {}

    def _there(self, bucket: str, key: str) -> bytes:
        """Return an object, or raise what s3fs does."""
        if (bucket, key) not in self.objects:
            raise FileNotFoundError(key)
        return self.objects[bucket, key]


def _tag(data: bytes) -> str:
    """Return the ETag of an object."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@contextmanager
def s3_in_memory() -> Iterator[S3InMemory]:
    """Have this process find S3 in its memory within this block."""
    store = S3InMemory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "_call_s3", lambda fs, *how, **options: store.answer(fs, *how, **options))
        yield store
