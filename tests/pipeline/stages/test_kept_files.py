"""Files that several batches read: each process reads them once or twice, and never those of another run."""

from pathlib import Path

import pytest

from pipeline import storage
from pipeline.stages import kept_files
from pipeline.stages.kept_files import KeptFiles
from pipeline.stages.read_ahead import ReadAhead


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> KeptFiles:
    files = KeptFiles()
    monkeypatch.setattr("pipeline.stages.read_ahead.KEPT", files)
    return files


def taken(run: str, *uris: str) -> list[bytes]:
    """What a batch reads."""
    with ReadAhead(uris, run) as files:
        return [files.take(uri) for uri in uris]


def test_a_file_that_is_met_twice_is_kept_for_its_run(kept: KeptFiles, tmp_path: Path) -> None:
    style = str(tmp_path / "style")
    for text, run, read in [
        (b"1", "monday", b"1"),
        (b"2", "monday", b"2"),
        (b"3", "monday", b"2"),
        (b"4", "tuesday", b"4"),
        (b"5", "", b"5"),
        (b"6", "", b"6"),
        (b"7", "", b"7"),
    ]:
        Path(style).write_bytes(text)
        assert taken(run, style) == [read]


def test_what_cannot_be_read_is_tried_again(kept: KeptFiles, tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(storage.NotFound):
            taken("run", str(tmp_path / "style"))
    (tmp_path / "style").write_bytes(b"1")
    assert taken("run", str(tmp_path / "style")) == [b"1"]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"LARGEST": 4, "MOST": 10, "NOTED": 8}.items():
        monkeypatch.setattr(kept_files, name, most)
    files = KeptFiles()
    for uri in "abcd":
        for _ in range(2):
            files.put("run", uri, b"xxx")
        files.get("run", "a")  # it is in use
    assert [files.get("run", uri) for uri in "abcd"] == [b"xxx", None, b"xxx", b"xxx"]
    for _ in range(3):
        files.put("run", "large", b"xxxxx")
    assert files.get("run", "large") is None
    for number in range(100):
        files.put("run", f"content{number}", b"x")
    assert len(files._met) <= 8
