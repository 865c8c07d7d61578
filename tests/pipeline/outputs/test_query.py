"""The one filter over results, for the command line as for notebooks."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.outputs import SCHEMA, commit, query

TABLE = pa.Table.from_pylist(
    [
        {
            "id": "a",
            "status": "ok",
            "content": "s3://b/cat.jpg",
            "params": json.dumps({"seed": 1, "scales": [64, 128]}),
        },
        {"id": "b", "status": "failed", "error": "No such file", "params": json.dumps({"seed": 2, "scales": [64]})},
        {
            "id": "c",
            "status": "ok",
            "content": "s3://b/Cat.jpg",
            "params": json.dumps({"seed": 3, "scales": [64, 128]}),
        },
    ],
    schema=SCHEMA,
)


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ([], ["a", "b", "c"]),
        ([query.having("status", "ok")], ["a", "c"]),
        ([query.having("status", ["ok", "failed"])], ["a", "b", "c"]),
        ([query.having("seed", [1, 2])], ["a", "b"]),
        ([query.having("scales", [64, 128])], ["a", "c"]),  # a value by itself, not one of two
        ([query.having("content", "cat.jpg")], ["a"]),
        ([query.having("content", {"s3://b/Cat.jpg"})], ["c"]),
        ([query.containing("content", "CAT")], ["a", "c"]),
        ([query.containing("error", "such")], ["b"]),
        ([query.containing("content", "cat"), query.having("seed", "3")], ["c"]),
    ],
)
def test_rows_meet_every_condition(conditions: list[query.Condition], ids: list[str]) -> None:
    assert query.matching(TABLE, conditions)["id"].to_pylist() == ids


def test_warnings_are_shown_where_there_are_any(tmp_path: Path) -> None:
    rows = [{"id": name, "status": "ok", "finished_at": datetime.now(UTC)} for name in ("a", "b")]
    commit(str(tmp_path), rows)
    assert "warning" not in query.select(str(tmp_path)).column_names
    commit(str(tmp_path), [{**rows[1], "warning": "never fell", "finished_at": datetime.now(UTC)}])
    assert query.select(str(tmp_path))["warning"].to_pylist() == [None, "never fell"]
    assert query.select(str(tmp_path), columns="warning,id").column_names == ["warning", "id"]
