"""The index of an archive, as its README describes it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.archives import index
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
