"""What is no regular file is never waited for, and no file is read beyond the limit."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.planning import Failure, headers
from pipeline.storage import Allowed, Refused, _local


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    """A pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe.jpg")
    return str(tmp_path / "pipe.jpg")


@pytest.fixture
def few_bytes() -> Iterator[None]:
    """A limit of a thousand bytes."""
    places = (storage.DEFAULT, "memory://")
    with storage.allowing(Allowed(places, places, 1000)):
        yield


READERS: list[Callable[[str], object]] = [
    storage.read_bytes,
    lambda uri: storage.read_bytes(uri, end=8),
    storage.identity,
    storage.size,
]


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_a_socket_and_a_device_are_refused(reader: Callable[[str], object], pipe: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        (tmp_path / "link").symlink_to("/dev/zero")
        for uri, kind in ((pipe, "pipe"), (str(tmp_path / "s"), "socket"), (str(tmp_path / "link"), "device")):
            with pytest.raises(Refused, match=f"it is a {kind}, expected a regular file"):
                reader(uri)


def test_a_pipe_that_takes_the_place_of_a_file_is_refused(pipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and the opening."""
    monkeypatch.setattr(_local, "_properties", lambda path: None)
    with pytest.raises(Refused, match="it is a pipe"):
        storage.read_bytes(pipe)


def test_a_pipe_in_a_listing_is_told_alone(pipe: str) -> None:
    folder = Path(pipe).parent
    for number in range(30):
        (folder / f"{number}.jpg").write_bytes(b"1")
    told = storage.identities([pipe, *(f"{folder}/{number}.jpg" for number in range(30))])
    assert [uri for uri, known in told.items() if isinstance(known, storage.StorageError)] == [pipe]


def test_planning_goes_on_without_what_is_no_regular_file(pipe: str) -> None:
    for uri in (pipe, "/dev/zero"):
        shape = headers.shapes_of([uri])[0]
        assert isinstance(shape, Failure)
        assert shape.error_class == "StorageError"
        assert "expected a regular file" in shape.error


@pytest.mark.usefixtures("few_bytes")
def test_no_more_is_read_than_allowed(tmp_path: Path, bucket: str) -> None:
    for folder in (str(tmp_path), f"{bucket}/limit", "memory://limit"):
        storage.write_bytes(f"{folder}/fits", bytes(1000))
        storage.write_bytes(f"{folder}/more", bytes(1001))
        assert storage.read_bytes(f"{folder}/fits") == bytes(1000)
        assert storage.read_bytes(f"{folder}/more", end=1000) == bytes(1000)
        with pytest.raises(Refused, match=r"more than the 1,000 bytes .* raise --max-file-bytes"):
            storage.read_bytes(f"{folder}/more")


@pytest.mark.usefixtures("few_bytes")
def test_a_sparse_file_takes_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    for end in (None, 2**39):
        with pytest.raises(Refused, match="more than the 1,000 bytes"):
            storage.read_bytes(str(tmp_path / "sparse"), end=end)
    assert storage.read_bytes(str(tmp_path / "sparse"), start=2**40 - 3) == bytes(3)
    assert isinstance(headers.shapes_of([str(tmp_path / "sparse")])[0], Failure)


@pytest.mark.usefixtures("few_bytes")
def test_a_file_without_a_size_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of /proc, and files that grow while they are read."""
    (tmp_path / "a").write_bytes(bytes(900))
    sizes = os.stat_result((0o100644, *[0] * 9))
    monkeypatch.setattr(os, "fstat", lambda _: sizes)
    assert storage.read_bytes(str(tmp_path / "a")) == bytes(900)
    assert storage.read_bytes(str(tmp_path / "a"), start=890, end=2000) == bytes(10)
    (tmp_path / "a").write_bytes(bytes(5000))
    with pytest.raises(Refused, match="more than the 1,000 bytes"):
        storage.read_bytes(str(tmp_path / "a"))
