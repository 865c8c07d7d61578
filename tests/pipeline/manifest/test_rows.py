"""Rows as columns: what is read at sight is what a close look finds, and each row comes back as it was."""

import json
import pickle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline.manifest import Row, Rows, Settings, derive_id, iter_rows
from pipeline.manifest.row_reader import RowReader

ODD: list[Any] = [
    None,
    "",
    " ",
    " a",
    "a/../b.png",
    "./c.png",
    "a//b",
    "s3://b/k?versionId=1",
    "https://u:p@h/x",
    "é.png",
]
NUMBERS: list[Any] = [None, "", "7", "007", "٣", "1e3", 7, 7.0, True, -1, 2**63, "9" * 19, [1], "x"]
RECORDS = st.fixed_dictionaries(
    {"content": st.sampled_from([*ODD, "a.png", "/b.png", "a.", 3, "x" * 5000])},
    optional={
        "style": st.sampled_from([*ODD, "s.png", "t.png|u.png", ["s.png", "t.png"], "styles/"]),
        "id": st.sampled_from([None, "", "one", " two", 0, 3, "https://h/x?sig=1&sv=2", "a\u0007", "y" * 201]),
        "output": st.sampled_from([None, "", "one.png", "../x.png", "y.gif", " z.png"]),
        "seed": st.sampled_from(NUMBERS),
        "width": st.sampled_from([*NUMBERS, 0, 1_000_001]),
        "height": st.sampled_from(NUMBERS),
        "size": st.sampled_from([None, 64, "64", 64.0, True, "big"]),
        "preset": st.sampled_from([None, "gatys2015", "texture", "nothing"]),
        "style_blend_weights": st.sampled_from([None, "1,2"]),
        "params": st.sampled_from([None, {}, {"seed": 3}, {"size": 64}, {"sizee": 1}, '{"pooling": "max"}']),
    },
)
SETTINGS = st.sampled_from([({}, False), ({"size": 32}, False), ({"size": 32}, True), ({"seed": 5}, True)])


PLAIN = {"content": "a.png", "style": "s.png", "style_blend_weights": "1"}


@given(st.lists(RECORDS, min_size=1, max_size=8), SETTINGS)
@example([PLAIN, PLAIN | {"width": 1_000_001, "height": 9}], ({}, False))
@example([PLAIN, PLAIN | {"style": "s.png|t.png"}], ({}, False))
def test_what_is_read_at_sight_is_what_a_close_look_finds(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], asked: tuple[dict[str, object], bool]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    records = [*records, *({**record, "content": f"{place}.png"} for place, record in enumerate(records))]
    (folder / "rows.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def read() -> tuple[list[object], object]:
        settings = Settings(*asked)
        found = iter_rows(str(folder / "rows.jsonl"), encoder_sha256="e", defaults=asked[0], settings=settings)
        return list(found), settings.own

    at_sight = read()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(RowReader, "_take_at_sight", lambda *_: False)
        assert read() == at_sight


def test_most_rows_are_read_at_sight(tmp_path: Path) -> None:
    """Looked at closely, a row takes five times as long."""
    (tmp_path / "rows.csv").write_text(
        "content,style,width,height,seed,size\n"
        + "".join(f"photos/{n}.jpg,styles/{n % 40}.png,{n + 20},{n + 30},{n},64\n" for n in range(100))
    )
    with patch.object(RowReader, "_row", autospec=True, side_effect=RowReader._row) as closely:
        items = list(iter_rows(str(tmp_path / "rows.csv"), encoder_sha256="e"))
    assert len(items) == 100
    assert closely.call_count == 1


ROWS = [
    Row("a", "/c.png", "/s.png", "a.png", StyleParams(), "one.csv", 2),
    Row("b", None, "/s.png|/t.png", "b/x.png", StyleParams(seed=2**63 - 1), "one.csv", 3, (7, 9)),
    Row("c é", "/c.png", None, "c.png", StyleParams(size=64, seed=3), "two.csv", 2, (1_000_000, 1)),
    Row("d", "/d.png", "/s.png", "d.png", StyleParams(init="/i.png"), "two.csv", 2**40),
]


@given(st.permutations(range(len(ROWS))), st.slices(len(ROWS)))
def test_rows_come_back_as_they_were(order: list[int], some: slice) -> None:
    rows = [ROWS[place] for place in order]
    columns = Rows.of(ROWS, "e").at(np.array(order))
    assert list(columns) == rows == [columns[place] for place in range(-len(rows), 0)]
    assert list(columns[some]) == rows[some] == list(pickle.loads(pickle.dumps(columns[some])))
    assert columns == rows
    assert columns != [*rows[1:], rows[0]]
    for row, derived in zip(rows, columns.column("derived"), strict=True):
        assert derived.as_py().hex() == derive_id(row.content, row.style, row.params, "e")


def test_rows_share_their_parameters_but_for_the_seed() -> None:
    rows = Rows.of([Row(f"{n}", "/c", "/s", f"{n}.png", StyleParams(seed=n), "r.csv", n) for n in range(100)])
    assert rows.params == (StyleParams(),)
    assert rows.used_params() == [StyleParams()]
    assert len(rows.kinds()[1]) == 1
    assert rows.table.nbytes / len(rows) < 120


def test_rows_can_have_other_names_for_their_pictures() -> None:
    rows = Rows.of(ROWS).at(np.array([3, 0, 2]))
    named = rows.renamed({0: "x.png", 2: "y.png"})
    assert [row.output for row in named] == ["x.png", "a.png", "y.png"]
    assert [row.id for row in named] == [row.id for row in rows]
    assert pc.equal(named.column("id"), rows.column("id")).to_pylist() == [True] * 3
