"""How much is read of a file whose store does not tell its length."""

from collections.abc import Mapping
from typing import Any, Self

import pytest
from fsspec.asyn import get_loop

from pipeline import storage
from pipeline.storage import Allowed
from pipeline.storage._fsspec import AnyStore
from pipeline.storage._s3 import S3Store
from pipeline.storage.errors import Barred

MOST = 5000


class Body:
    """The body of an answer; of an endless one, what is read is counted."""

    def __init__(self, data: bytes | None) -> None:
        self.data, self.given, self.closed = data, 0, False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def read(self, amount: int) -> bytes:
        """Return some bytes, as a network does: fewer than there are."""
        assert self.given < 10 * MOST, "it is read on and on"
        start, self.given = self.given, self.given + min(amount, 1000)
        return bytes(self.given - start) if self.data is None else self.data[start : self.given]


class Answers:
    """A file system of s3fs whose answers have no length."""

    loop = get_loop()

    def __init__(self, body: Body) -> None:
        self.body = body

    async def _call_s3(self, method: str, **_: str) -> Mapping[str, Any]:
        return {"Body": self.body}


@pytest.fixture(autouse=True)
def limit() -> Any:
    with storage.allowing(Allowed(max_bytes=MOST)):
        yield


@pytest.mark.parametrize("end", [None, 2 * MOST])
def test_an_object_of_unknown_length_is_left_at_the_limit(end: int | None) -> None:
    body = Body(None)
    with pytest.raises(Barred, match="more than the 5,000 bytes"):
        S3Store(Answers(body), verify=False, seconds=9).read("bucket/key", 0, end)
    assert body.closed
    assert body.given <= MOST + 1000


@pytest.mark.parametrize("length", [0, 1, 1000, MOST])
def test_an_object_of_unknown_length_is_read(length: int) -> None:
    data = bytes(range(256)) * 20
    store = S3Store(Answers(Body(data[:length])), verify=True, seconds=9)
    assert store.read("bucket/key", 0, None) == data[:length]


class Silent:
    """A store of one file that tells no length, and how much of it was read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.given = data, 0

    def info(self, path: str) -> Mapping[str, Any]:
        return {"name": path, "size": None, "type": "file"}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        part = self.data[start:end]
        self.given += len(part)
        return part


@pytest.mark.parametrize(("start", "end"), [(0, None), (1, None), (0, 3 * MOST)])
def test_any_other_store_is_asked_for_no_more_than_may_be_read(start: int, end: int | None) -> None:
    fs = Silent(bytes(4 * MOST))
    with pytest.raises(Barred, match="more than the 5,000 bytes"):
        AnyStore(fs, seconds=9).read("/file", start, end)
    assert fs.given == MOST + 1
    assert AnyStore(fs, seconds=9).read("/file", 7, 9) == bytes(2)
    assert AnyStore(Silent(bytes(MOST)), seconds=9).read("/file", 0, None) == bytes(MOST)
