"""Files read in ranges: as if they had been read whole, but for what was not asked for."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import storage
from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from pipeline.outputs.compact import compact
from pipeline.outputs.finished import finished
from pipeline.storage.ranged_file import RangedFile

DATA = bytes(range(256)) * 4
MOVES = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 2000), st.just(0)),
    st.tuples(st.just("seek"), st.integers(0, 2000), st.just(io.SEEK_SET)),
    st.tuples(st.just("seek"), st.integers(0, 300), st.just(io.SEEK_CUR)),
    st.tuples(st.just("seek"), st.integers(-1024, 0), st.just(io.SEEK_END)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, max_size=12))
def test_a_file_in_ranges_is_a_file(tmp_path: Path, moves: list[tuple[str, int, int]]) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ranged, whole = RangedFile(str(path)), io.BytesIO(DATA)
    for kind, number, whence in moves:
        if kind == "read":
            assert ranged.read(number) == whole.read(number)
        else:
            assert ranged.seek(number, whence) == whole.seek(number, whence)
        assert ranged.tell() == whole.tell()


def test_sizes_are_those_of_files(tmp_path: Path, bucket: str) -> None:
    for folder in (str(tmp_path), f"memory:/{tmp_path}", f"{bucket}/{tmp_path.name}"):
        storage.write_bytes(f"{folder}/file", DATA)
        assert storage.size(f"{folder}/file") == len(DATA)
        with pytest.raises(storage.StorageError, match="does not exist"):
            storage.size(f"{folder}/nowhere")


def test_what_is_done_is_read_without_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = str(tmp_path)
    curve = {
        "iteration": range(20_000),
        **{name: [n**0.5 for n in range(20_000)] for name in ("total", "content", "style")},
    }
    for number in range(4):
        row = {
            "id": f"row{number}",
            "fingerprint": f"{number}",
            "status": "ok",
            "output": f"{output}/images/{number}.png",
        }
        result_table.commit(output, [{**row, "finished_at": provenance.now(), "curve": {**curve, "style_layers": []}}])
    before = finished(output)
    assert before.fingerprints == {f"row{number}": f"{number}" for number in range(4)}
    assert before.owners == {f"{number}.png": f"row{number}" for number in range(4)}
    (full,) = compact(output, file_bytes=1)[:1]
    fetched: list[int] = []
    original = storage.read_bytes

    def counted(uri: str, *, start: int = 0, end: int | None = None) -> bytes:
        data = original(uri, start=start, end=end)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(storage, "read_bytes", counted)
    assert finished(output) == before
    assert sum(fetched) < storage.size(full) / 2
    assert result_table.read_results(output, columns=["id", "curve"]).num_rows == 4
