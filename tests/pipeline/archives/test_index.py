"""The index of an archive, as its README describes it."""

import contextlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.archives import index
from pipeline.outputs import commit, layout
from tests.support import REPOSITORY
from tests.support.generated import check_section, table


def test_the_readme_has_every_column() -> None:
    rows = [(f"`{field.name}`", field.type, field.metadata[b"doc"].decode()) for field in index.SCHEMA]
    readme = REPOSITORY / "pipeline" / "archives" / "README.md"
    check_section(readme, "index", table(["column", "type", "what it holds"], rows))


def write(folder: Path, *rows: dict[str, Any]) -> str:
    usual = {"id": "0" * 16, "fingerprint": "f" * 16, "original": "/a.jpg", "path": "a.jpg", "style": "s"}
    table = pa.Table.from_pylist([{**usual, "status": "ok", **row} for row in rows], schema=index.SCHEMA)
    pq.write_table(table, folder / "index.parquet")
    return str(folder)


@pytest.mark.parametrize("name", ["id", "fingerprint"])
@pytest.mark.parametrize("value", ["", "x" * 16, "0" * 15, "0" * 17, " " + "0" * 15, "-" + "0" * 15, None])
def test_a_malformed_id_is_an_error_that_names_file_and_row(
    name: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "ROWS_AT_ONCE", 2)
    output = write(tmp_path, {}, {}, {}, {name: value})
    with pytest.raises(storage.StorageError) as failed:
        index.Known(output)
    assert str(failed.value) == (
        f"cannot read {output}/index.parquet: row 4: {name} = {value!r}, expected 16 hex digits; delete it to have it "
        "made anew: what is done stays done"
    )


def test_an_index_that_is_another_table_is_an_error_that_names_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["0" * 16]}), tmp_path / "index.parquet")
    with pytest.raises(storage.StorageError, match=r"index\.parquet: expected the columns original, path, style, "):
        index.Known(str(tmp_path))


def test_a_well_formed_index_is_read(tmp_path: Path) -> None:
    known = index.Known(write(tmp_path, {}, {"id": "1" * 16, "fingerprint": "e" * 16}))
    assert known.is_done("f" * 16)
    assert known.is_done("e" * 16)
    assert not known.is_done("0" * 16)


def waiting(output: str, number: int, *rows: dict[str, Any]) -> None:
    """Rows that a run has begun, as `begin` writes them."""
    usual = {"original": "/a.jpg", "path": "a.jpg", "style": "s", "status": "pending"}
    table = pa.Table.from_pylist([{**usual, **row} for row in rows], schema=index.SCHEMA)
    file = Path(layout.index_part(output, number))
    file.parent.mkdir(exist_ok=True)
    pq.write_table(table, file)


def statuses(output: str) -> dict[str, tuple[str, str]]:
    return {row["id"][0]: (row["fingerprint"][0], row["status"]) for row in index.read_index(output).to_pylist()}


def test_what_waits_gets_the_outcome_of_its_own_request(tmp_path: Path) -> None:
    output = write(tmp_path, {"id": "0" * 16}, {"id": "1" * 16}, {"id": "5" * 16, "status": "failed"})
    waiting(output, 0, {"id": "1" * 16, "fingerprint": "e" * 16}, {"id": "2" * 16, "fingerprint": "e" * 16})
    waiting(output, 1, {"id": "3" * 16, "fingerprint": "e" * 16})
    begun = {
        "0": ("f", "ok"),
        "1": ("e", "pending"),
        "2": ("e", "pending"),
        "3": ("e", "pending"),
        "5": ("f", "failed"),
    }
    assert statuses(output) == begun
    rows: dict[str, dict[str, Any]] = {
        "0": {"fingerprint": "f" * 16, "status": "ok"},
        "1": {"fingerprint": "f" * 16, "status": "ok"},  # of the photo as it was before
        "2": {"fingerprint": "e" * 16, "status": "failed", "error": "no picture"},
        "3": {"fingerprint": "e" * 16, "status": "ok", "output": "/out/c.jpg"},
        "5": {"fingerprint": "f" * 16, "status": "ok"},
    }
    commit(output, [{"id": name * 16, **row} for name, row in rows.items()])
    index.settle(output)
    assert statuses(output) == begun | {"2": ("e", "failed"), "3": ("e", "ok")}
    last = index.read_index(output).to_pylist()[2]
    assert (last["status"], last["output"], last["error"]) == ("ok", "/out/c.jpg", None)
    assert storage.list_files(layout.index_folder(output)) == []


@pytest.mark.parametrize("lives", range(4))
def test_nothing_is_forgotten_whenever_it_is_killed(
    lives: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, steps = write(tmp_path, {"id": "0" * 16}), iter(range(9))
    for number in range(2):
        waiting(output, number, {"id": f"{number + 1}" * 16, "fingerprint": "e" * 16})
    before = statuses(output)

    def mortal(function: Any) -> Any:
        def step(*args: Any) -> Any:
            if next(steps) == lives:
                raise KeyboardInterrupt
            return function(*args)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_bytes", mortal(storage.write_bytes))
        patch.setattr(storage, "remove", mortal(storage.remove))
        with pytest.raises(KeyboardInterrupt) if lives < 3 else contextlib.nullcontext():
            index.settle(output)
    assert statuses(output) == before
    index.settle(output)
    assert statuses(output) == before
    assert storage.list_files(layout.index_folder(output)) == []


def test_slices_add_to_the_index_and_do_not_write_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run of a million photos writes a million entries a hundred times."""
    output, written = write(tmp_path, {"id": "0" * 16}), list[str]()
    monkeypatch.setattr(storage, "write_bytes", lambda uri, data: written.append(uri))
    index.begin(output, 7, [])
    assert written == [layout.index_part(output, 7)]
