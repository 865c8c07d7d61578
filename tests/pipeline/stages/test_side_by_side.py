"""Files of a batch are read and written side by side, so that a far store costs a batch one wait and not one a row."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.options import Encoding
from pipeline.planning import Batch, Optimised
from pipeline.stages import Writer, fetch
from pipeline.stages.read_ahead import AT_ONCE, ReadAhead
from tests.bench.stub import StubKernel
from tests.pipeline.stages.test_optimise import batch_of, rows
from tests.support import draw

MANY = 8


@contextmanager
def meeting(monkeypatch: pytest.MonkeyPatch, name: Literal["read_bytes", "write_if"], where: str) -> Iterator[None]:
    """Let requests of a kind for some files wait until `MANY` of them are under way; an error if they never are."""
    barrier, request = threading.Barrier(MANY), getattr(storage, name)

    def together(uri: str, *arguments: Any, **options: Any) -> Any:
        if where in uri:
            barrier.wait(20)
        return request(uri, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(storage, name, together)
        yield


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """A batch with a content and an output of its own in each row."""
    names = [f"many{number}.png" for number in range(MANY)]
    for name in (*names, "s.png"):
        Image.fromarray(draw(1, 32, 32)).save(tmp_path / name)
    asked = rows(tmp_path, *names, params=StyleParams.of({"size": 32}))
    return batch_of([dataclasses.replace(row, output=f"many{number}.png") for number, row in enumerate(asked)])


def test_pictures_of_a_batch_are_read_side_by_side(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    with meeting(monkeypatch, "read_bytes", "many"):
        fetched = fetch(batch)
    assert [type(pictures).__name__ for pictures in fetched.pictures] == ["Pictures"] * MANY


def test_pictures_of_a_batch_are_written_side_by_side(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimised: Optimised = StubKernel("", resumable=None)(fetch(batch))
    with meeting(monkeypatch, "write_if", "/images/"):
        told = Writer(str(tmp_path / "out"), encoder="e", encoder_sha256="f")(optimised)
    assert [row["status"] for row in told] == ["ok"] * MANY
    assert [row["id"] for row in told] == [planned.row.id for planned in batch.rows]


def test_photos_whose_exif_is_kept_are_read_side_by_side(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimised: Optimised = StubKernel("", resumable=None)(fetch(batch))
    with meeting(monkeypatch, "read_bytes", "many"):
        told = Writer(str(tmp_path / "out"), encoder="e", encoder_sha256="f", encoding=Encoding(keep_exif=True))(
            optimised
        )
    assert [row["status"] for row in told] == ["ok"] * MANY


def test_photos_of_which_nothing_is_kept_are_not_read_again(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimised: Optimised = StubKernel("", resumable=None)(fetch(batch))
    monkeypatch.delattr(storage, "read_bytes")
    told = Writer(str(tmp_path / "out"), encoder="e", encoder_sha256="f", encoding=Encoding(keep_exif=False))(optimised)
    assert [row["status"] for row in told] == ["ok"] * MANY


def test_few_files_are_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch may have many large ones, of which the decoder takes one at a time."""
    uris, begun = [str(number) for number in range(4 * AT_ONCE)], list[str]()

    def read(uri: str) -> bytes:
        begun.append(uri)
        return uri.encode()

    monkeypatch.setattr(storage, "read_bytes", read)
    with ReadAhead(uris) as files:
        for number, uri in enumerate(uris):
            assert files.take(uri) == uri.encode()
            assert len(begun) <= number + 1 + AT_ONCE
    assert sorted(begun) == sorted(uris)


def test_what_cannot_be_read_is_told_when_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"1")
    gone, there = str(tmp_path / "gone"), str(tmp_path / "there")
    with ReadAhead([gone, there]) as files:
        assert files.take(there) == b"1"
        for _ in range(2):
            with pytest.raises(storage.NotFound):
                files.take(gone)
        assert files.take(there) == b"1"
