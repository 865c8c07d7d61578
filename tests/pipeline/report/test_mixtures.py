"""Mixtures of styles and masks on the report's page, mixtures in queries and in comparisons."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.comparison.pairing import _compared
from pipeline.manifest import PICTURE_PARAMETERS
from pipeline.outputs import query, schema
from pipeline.report.changes import label
from pipeline.report.pictures import Sources, sources
from pipeline.report.thumbs import NONE, Shelf
from tests.pipeline.report.support import samples

TABLE = pa.table(
    {
        "content": ["/c.png"] * 3,
        "style": ["/a.png", "/a.png|/x/b.png", "/d.png|/e.png"],
        "params": ['{"init": "content"}'] * 3,
        "status": ["ok", "ok", "quarantined"],
        "width": [64] * 3,
        "height": [64] * 3,
    }
)


def read(table: pa.Table, shelf: Shelf) -> Sources:
    whole = pa.Table.from_pylist(
        [{"id": str(k), **row} for k, row in enumerate(table.to_pylist())], schema=schema.SCHEMA
    )
    return sources(samples.rows_of(whole).columns, shelf)


class Looked(Shelf):
    """A shelf of pictures that are all there; `opened` are those that are looked at."""

    def versions(self, uris: Collection[str]) -> dict[str, str | None]:
        self.opened = set(uris)
        return dict.fromkeys(uris, "1")


def test_a_mixture_is_shown_by_its_pictures(tmp_path: Path) -> None:
    shelf = Looked(str(tmp_path))
    shown = read(TABLE, shelf)
    assert shown.uris.to_pylist() == [
        "/c.png",
        "/a.png",
        "/x/b.png",
        "/d.png",
        "/e.png",
        "/a.png|/x/b.png",
        "/d.png|/e.png",
    ]
    assert shown.parts == {5: [1, 2], 6: [3, 4]}
    numbers = {role: of_rows.tolist() for role, of_rows in shown.numbers.items()}
    assert numbers == {"content": [0] * 3, "style": [1, 5, 6], **dict.fromkeys(PICTURE_PARAMETERS, [-1] * 3)}
    assert shelf.opened == {"/c.png", "/a.png", "/x/b.png"}, "a quarantined row's are not opened"
    assert shown.names.to_pylist()[-2:] == ["a.png + b.png", "d.png + e.png"]
    assert (shown.copies.thumbs == NONE).tolist() == [False] * 3 + [True] * 4


def test_masks_and_starts_are_shown_as_their_rows_name_them(tmp_path: Path) -> None:
    params = [
        '{"content_mask": "/m.png|/n.png", "init": "/i.png"}',
        '{"content_mask": "/m.png", "init": "noise", "style_mask": "/a.png"}',
        '{"content_mask": "/q.png"}',
    ]
    table = TABLE.set_column(TABLE.schema.get_field_index("params"), "params", pa.array(params))
    shelf = Looked(str(tmp_path))
    shown = read(table, shelf)
    known = shown.uris.to_pylist()

    def uris(role: str) -> list[list[str]]:
        return [[known[part] for part in shown.parts.get(n, [n])] if n >= 0 else [] for n in shown.numbers[role]]

    assert uris("content_mask") == [["/m.png", "/n.png"], ["/m.png"], ["/q.png"]]
    assert uris("style_mask") == [[], ["/a.png"], []]
    assert uris("init") == [["/i.png"], [], []]
    assert {"/m.png", "/n.png", "/i.png"} < shelf.opened
    assert "/q.png" not in shelf.opened, "a quarantined row's are not opened"


@pytest.mark.parametrize(
    ("wanted", "found"), [("/x/b.png", [False, True, False]), ("a.png", [True, True, False]), ("x", [False] * 3)]
)
def test_rows_are_found_by_any_of_their_styles(wanted: str, found: list[bool]) -> None:
    assert list(query.having("style", wanted)(TABLE)) == found


def test_rows_are_compared_by_each_of_their_styles() -> None:
    row = {"manifest": "/m/rows.csv", "content": "/m/c.png", "style": "/m/a.png|/n/b.png", "params": "{}"}
    assert _compared(row, shared={"/n/b.png"}).pictures == {"content": "c.png", "style": "a.png|/n/b.png"}
    assert label({"content": "/m/c.png", "style": "/m/a.png|/n/b.png"}) == "c.png, a.png + b.png"
