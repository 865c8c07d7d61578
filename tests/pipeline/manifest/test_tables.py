"""Tables as spreadsheets, frames and clusters write them: what is nothing is passed over, what is foreign is named."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel.params import PRESETS, StyleParams
from pipeline.manifest.formats import Records
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import ManifestError, Row
from pipeline.notebook import api
from tests.pipeline.manifest.test_manifest import ENCODER, problems_of, read

pd: Any = pytest.importorskip("pandas")

PAIRS = pd.DataFrame({"content": ["a.png", "c.png"], "style": ["b.png", "b.png"], "size": [64, 64]})


def contents(source: Path | str) -> list[str]:
    return [str(row.content).rpartition("/")[2] for row in read(Path(source)).rows]


def of_records(rows: Any, **defaults: object) -> Sequence[Row]:
    return read_manifest(Records(rows), encoder_sha256=ENCODER, defaults=defaults).rows


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_rows_and_columns_of_nothing_are_not_there(
    tmp_path_factory: pytest.TempPathFactory, above: int, between: int, wide: int
) -> None:
    more, nothing = "," * wide, [",," + "," * wide]
    lines = [
        *nothing * above,
        f"content,style,size{more}",
        f"a.png,b.png,64{more}",
        *nothing * between,
        f"c.png,b.png,64{more}",
        *nothing * between,
    ]
    file = tmp_path_factory.mktemp("sheet") / "sheet.csv"
    file.write_bytes("\r\n".join(lines).encode())
    rows = read(file).rows
    assert [row.number for row in rows] == [above + 2, above + between + 3]
    assert {row.params.size for row in rows} == {64}


def test_a_row_may_end_in_empty_cells_but_not_in_more(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("content,style\na.png,b.png,,\nc.png,b.png\nd.png,b.png,,64\n")
    assert problems_of(tmp_path / "m.csv") == [
        f"{tmp_path}/m.csv, line 4: 'd.png,b.png,,64': expected 2 cells as in the header, not 4; "
        "quote a cell that holds a comma"
    ]


def test_a_column_without_a_name_may_count_the_rows_and_hold_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    PAIRS.to_csv(file)
    assert contents(file) == ["a.png", "c.png"]
    pd.read_csv(file).to_csv(file, index=False)  # the column is called "Unnamed: 0" now
    assert contents(file) == ["a.png", "c.png"]
    PAIRS.assign(**{"Unnamed: 3": np.nan}).to_parquet(tmp_path / "m.parquet")
    assert contents(tmp_path / "m.parquet") == ["a.png", "c.png"]
    PAIRS.set_index(pd.Index(["one", "two"])).to_csv(file)
    assert problems_of(file) == [
        f"{file}, line 1: 'one': expected a name for column 1 in the header (from pandas: to_csv(..., index=False))"
    ]
    file.write_text("content,style,,size\na.png,b.png,7,64\n")
    assert "line 1: '7': expected a name for column 3 in the header" in problems_of(file)[0]


@pytest.mark.parametrize(
    "index", [pd.Index([5, 9]), pd.Index(["x", "y"], name="photographer"), pd.MultiIndex.from_arrays([[1, 2], [3, 4]])]
)
def test_the_index_of_a_frame_is_no_column(tmp_path: Path, index: Any) -> None:
    PAIRS.set_index(index).to_parquet(tmp_path / "m.parquet")
    assert contents(tmp_path / "m.parquet") == ["a.png", "c.png"]


def test_an_index_with_a_known_name_is_a_column(tmp_path: Path) -> None:
    PAIRS.assign(id=["one", "two"]).set_index("id").to_parquet(tmp_path / "m.parquet")
    assert [row.id for row in read(tmp_path / "m.parquet").rows] == ["one", "two"]


def test_dasks_index_and_notes_that_are_none(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(PAIRS, preserve_index=False).append_column("__null_dask_index__", pa.array([0, 1]))
    for notes in (b"[]", b"{", b'{"index_columns": 3}', b'{"index_columns": [{"kind": "range"}]}'):
        pq.write_table(table.replace_schema_metadata({b"pandas": notes}), tmp_path / "m.parquet")
        assert contents(tmp_path / "m.parquet") == ["a.png", "c.png"]
    assert len(of_records(table.to_pylist())) == 2


def test_empty_rows_of_frames_are_not_there(tmp_path: Path) -> None:
    holes = pd.concat([PAIRS[:1], pd.DataFrame([{"content": None}]), PAIRS[1:]], ignore_index=True)
    holes.to_parquet(tmp_path / "m.parquet")
    assert [row.number for row in read(tmp_path / "m.parquet").rows] == [1, 3]
    source = api._source(holes)
    assert isinstance(source, Records)
    assert [row.number for row in read_manifest(source, encoder_sha256=ENCODER).rows] == [1, 3]
    (tmp_path / "m.jsonl").write_text('{"content": "a", "style": "b"}\n{}\n')
    assert "line 2: expected a picture" in problems_of(tmp_path / "m.jsonl")[0]


def test_paths_are_text(tmp_path: Path) -> None:
    rows = [{"content": tmp_path / "a.png", "style": Path("b.png"), "init": tmp_path / "i.png", "size": 64}]
    texts = [{name: value if name == "size" else str(value) for name, value in row.items()} for row in rows]
    nested = [
        {"content": tmp_path / "a.png", "style": Path("b.png"), "params": {"init": tmp_path / "i.png", "size": 64}}
    ]
    assert of_records(rows) == of_records(texts) == of_records(nested)
    framed = api._source(pd.DataFrame(rows))
    assert isinstance(framed, Records)
    assert of_records(framed.rows) == of_records(texts)


def test_places_and_defaults_may_be_objects(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("content,style\na.png,b.png\n")
    assert api._source([tmp_path / "m.csv"]) == [str(tmp_path / "m.csv")]
    job, options = api._job(tmp_path / "m.csv", tmp_path / "out", {"init": tmp_path / "i.png"}, {})
    assert options.output == str(tmp_path / "out")
    assert job.defaults == {"init": str(tmp_path / "i.png")}


@given(st.sampled_from(list(PRESETS)), st.sampled_from(list(PRESETS)), st.integers(16, 4096))
def test_an_object_of_defaults_leaves_open_what_its_preset_says(mine: str, rows: str, size: int) -> None:
    given = StyleParams(preset=mine, size=size)
    values = api._by_name(given)
    assert StyleParams.of({}, defaults=values) == given
    size = int(str(PRESETS[rows].values.get("size", size)))  # which outranks the default too
    assert StyleParams.of({"preset": rows}, defaults=values) == StyleParams(preset=rows, size=size)


SHEET = "content,style,size\r\na.png,b.png,64\r\nc.png,b.png,64\r\n"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("m.csv", SHEET.encode("utf-16"), "line 1: expected text in UTF-8, not in UTF-16 as Excel's 'Unicode Text' is"),
        ("m.csv", SHEET.encode("utf-16-be"), "line 1: expected text in UTF-8, not in UTF-16"),
        ("m.jsonl", '{"content": "a.png"}'.encode("utf-16"), "line 1: expected text in UTF-8, not in UTF-16"),
        ("m.csv.gz", gzip.compress(SHEET.encode("utf-16"), mtime=0), "line 1: expected text in UTF-8, not in UTF-16"),
        (
            "m.csv",
            SHEET.replace("\r\n", "\r").encode(),
            "line 1: 'content,style,size': expected lines that end in line feeds, not in carriage returns alone",
        ),
        ("m.jsonl", b'{"content": "a"}\r{"content": "b"}\r', "carriage returns alone as old Macs"),
        (
            "m.csv",
            f"sep=,\r\n{SHEET}".encode(),
            "line 1: 'sep=,': expected a header line with the names of columns: delete this line, which Excel alone",
        ),
        ("m.csv", f'"sep=;"\r\n{SHEET.replace(",", ";")}'.encode(), "and separate columns by commas, not by ';'"),
        (
            "m.csv",
            SHEET.replace(",", ";").encode(),
            "line 1: 'content;style;size': expected columns separated by commas, not by semicolons",
        ),
        ("m.csv", SHEET.replace(",", "\t").encode(), "columns separated by commas, not by tabs"),
        (
            "m.xlsx",
            b"PK\x03\x04",
            "a spreadsheet is not read: save it as CSV, in Excel as 'CSV UTF-8 (Comma delim",
        ),
        ("m.ods", b"PK\x03\x04", "a spreadsheet is not read: save it as CSV"),
        ("m.csv", b"PK\x03\x04" + bytes(99), "text, not a zipped file such as a spreadsheet: save it as CSV"),
        ("m.csv", b"\xd0\xcf\x11\xe0" + bytes(99), "text, not an Excel workbook: save it as CSV"),
        ("m.tsv", b"content\tstyle\n", "separate its columns by commas and call it .csv"),
        ("m.json", b"[]", "write one JSON object on a line"),
        ("m.csv", b"PAR1", "text, not Parquet: call it .parquet"),
        ("m.csv", gzip.compress(SHEET.encode(), mtime=0), "text that is not compressed: add .gz to the name"),
        ("m.pq", b"PAR1", "call it .parquet"),
    ],
)
def test_what_is_foreign_is_told_in_one_problem(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(data)
    (problem,) = problems_of(tmp_path / name)
    assert told in problem


def test_columns_in_the_names_of_folders_are_read(tmp_path: Path) -> None:
    frame = PAIRS.drop(columns="size").assign(size=[64, 128], preset=[None, "gatys2015"])
    frame.to_parquet(tmp_path / "hive", partition_cols=["size", "preset"])
    found = {(row.params.size, row.params.preset) for row in read(tmp_path / "hive").rows}
    assert found == {(64, "default"), (128, "gatys2015")}
    folder = tmp_path / "text" / "style=%2Fs%2Fx%3Dy.png"
    folder.mkdir(parents=True)
    (folder / "m.csv").write_text("content\na.png\n\nc.png\n")
    assert [row.style for row in read(tmp_path / "text").rows] == ["/s/x=y.png"] * 2
    assert "line 2, column style: expected a URI" in problems_of(folder / "m.csv")[0]


def test_folders_whose_columns_are_none_are_refused_by_name(tmp_path: Path) -> None:
    for day in ("1", "2"):
        (tmp_path / f"day={day}").mkdir()
        (tmp_path / f"day={day}" / "m.csv").write_text("content,style\na.png,b.png\n")
    (problem,) = problems_of(tmp_path)
    assert "'day=1': expected a known column in the name of a folder, NAME=VALUE: rename the folder" in problem
    assert len(read(tmp_path / "day=1").rows) == 1
    assert len(read(tmp_path / "day=1" / "m.csv").rows) == 1


def test_a_column_stands_in_the_file_or_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "size=64").mkdir()
    (tmp_path / "size=64" / "m.csv").write_text("content,style,size\na.png,b.png,64\n")
    with pytest.raises(ManifestError, match="the name of its folder, size=64, not in both"):
        read(tmp_path)
