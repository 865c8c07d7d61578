"""The results table: parts committed whole, read back once per id, across versions."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.outputs import provenance, schema
from pipeline.outputs import table as result_table
from pipeline.outputs.finished import Finished, finished
from pipeline.storage import StorageError
from tests.support import REPOSITORY
from tests.support.generated import check_section, table

START = provenance.now()
"""One moment for all: commits may take longer than what they are apart."""


def record(
    row_id: str, *, status: str = "ok", mark: str = "f", later: int = 0, run: int | None = None
) -> dict[str, Any]:
    return {
        "run": run,
        "id": row_id,
        "fingerprint": mark,
        "status": status,
        "output": f"{row_id}.png",
        "finished_at": START + timedelta(seconds=later),
    }


def test_every_column_is_documented() -> None:
    assert all(field.metadata[b"doc"] for field in schema.SCHEMA)
    assert schema.SCHEMA.metadata == {b"nst_results_version": b"7"}


def test_a_batch_done_twice_overwrites_itself(tmp_path: Path) -> None:
    output = str(tmp_path)
    assert result_table.commit(output, [record("a"), record("b")]) == result_table.commit(
        output, [record("a"), record("b")]
    )
    assert result_table.commit(output, [record("a", mark="g"), record("b")])
    assert len(list((tmp_path / "results").iterdir())) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(schema.STATUSES), st.integers(0, 10**6)),
        min_size=1,
        max_size=6,
        unique_by=lambda t: t[2],
    )
)
def test_the_last_to_finish_counts(events: list[tuple[str, str, int]]) -> None:
    output = f"memory://results-{abs(hash(tuple(events)))}"
    for number, (row_id, status, later) in enumerate(events):
        result_table.commit(output, [record(row_id, status=status, mark=str(number), later=later)])
    in_time = sorted(enumerate(events), key=lambda event: event[1][2])
    latest = {row_id: (status, str(mark)) for mark, (row_id, status, _) in in_time}
    table = result_table.read_results(output, columns=["id", "status", "fingerprint"])
    assert table["id"].to_pylist() == sorted(latest)
    assert {r["id"]: (r["status"], r["fingerprint"]) for r in table.to_pylist()} == latest
    done = {i: mark for i, (status, mark) in latest.items() if status in ("ok", "diverged")}
    found = finished(output)
    assert found.fingerprints == done
    held = {i: mark for i, (status, mark) in latest.items() if status == "quarantined"}
    assert found.quarantined == held
    assert set(found.owners.values()) == set(done)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(schema.STATUSES), st.integers(-(10**6), 10**6)),
        min_size=1,
        max_size=6,
    )
)
def test_the_last_run_counts_whatever_its_clock_says(events: list[tuple[str, str, int]]) -> None:
    """Each run computes one row; on some nodes it is next week, on others last week."""
    output = f"memory://runs-{abs(hash(tuple(events)))}"
    for number, (row_id, status, later) in enumerate(events):
        run = finished(output).runs + 1
        assert run == number + 1
        result_table.commit(output, [record(row_id, status=status, mark=str(number), later=later, run=run)])
    last = {row_id: str(number) for number, (row_id, _, _) in enumerate(events)}
    rows = result_table.read_results(output, columns=["id", "fingerprint"]).to_pylist()
    assert {row["id"]: row["fingerprint"] for row in rows} == last


def test_what_a_run_did_twice_is_done_if_it_once_was(tmp_path: Path) -> None:
    """The clock of the node that failed is ahead."""
    output = str(tmp_path)
    result_table.commit(output, [record("a", status="failed", later=600, run=2)])
    result_table.commit(output, [record("a", status="ok", run=2)])
    result_table.commit(output, [record("a", status="ok", later=900, run=1)])
    (row,) = result_table.read_results(output, columns=["status", "run"]).to_pylist()
    assert row == {"status": "ok", "run": 2}


def test_runs_that_had_no_number_come_first(tmp_path: Path) -> None:
    output = str(tmp_path)
    result_table.commit(output, [record("a", status="ok", later=600)])
    result_table.commit(output, [record("b", status="ok"), record("c", status="ok")])
    result_table.commit(output, [record("b", status="failed", later=1)])
    assert finished(output).runs == 0
    result_table.commit(output, [record("a", status="failed", run=1)])
    rows = result_table.read_results(output, columns=["id", "status"]).to_pylist()
    assert [row["status"] for row in rows] == ["failed", "failed", "ok"]


def test_nothing_is_finished_where_nothing_is(tmp_path: Path) -> None:
    assert finished(str(tmp_path / "new")) == Finished({}, {})
    with pytest.raises(StorageError, match="no results"):
        result_table.read_results(str(tmp_path / "new"))


def test_a_part_of_an_older_version_is_read(tmp_path: Path) -> None:
    result_table.commit(str(tmp_path), [record("new")])
    old = pa.Table.from_pylist([record("old")], schema=schema.SCHEMA).drop_columns(["manifest", "device"])
    pq.write_table(old, tmp_path / "results" / "part-old.parquet")
    table = result_table.read_results(str(tmp_path))
    assert table.schema.names == schema.SCHEMA.names
    assert table["id"].to_pylist() == ["new", "old"]


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    part = result_table.commit(str(tmp_path), [record("a")])
    whole = storage.read_bytes(part)
    middle = len(whole) // 2
    damages = [whole[:middle], b"", b"PAR1" + bytes(200) + whole[-8:], whole[:-200] + bytes(180) + whole[-20:]]
    for damaged in damages:
        Path(part).write_bytes(damaged)
        with pytest.raises(StorageError, match=f"{Path(part).name}.*Delete it"):
            result_table.read_results(str(tmp_path))


@pytest.mark.parametrize("named", [True, False])
def test_an_output_that_was_moved_knows_whose_its_pictures_are(tmp_path: Path, named: bool) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    row = {"id": "a", "fingerprint": "f", "status": "ok", "finished_at": provenance.now()}
    row |= {"output": str(before / "images" / "cat.png"), "output_name": "cat.png" if named else None}
    result_table.commit(str(before), [row])
    assert finished(str(before)).owners == {"cat.png": "a"}
    before.rename(after)
    if named:
        assert finished(str(after)).owners == {"cat.png": "a"}


def test_the_readme_has_every_column() -> None:
    rows = [(f"`{field.name}`", short(field.type), field.metadata[b"doc"].decode()) for field in schema.SCHEMA]
    readme = REPOSITORY / "pipeline" / "outputs" / "README.md"
    check_section(readme, "columns", table(["column", "type", "what it holds"], rows))


def short(kind: pa.DataType) -> str:
    """Return the name of a type; of a structure, the names of its fields."""
    return f"struct of {', '.join(f.name for f in kind)}" if pa.types.is_struct(kind) else str(kind)
