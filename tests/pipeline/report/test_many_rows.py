"""The page of many rows: it begins with a sample and finds all others; what it takes does not grow with them."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.outputs import table as result_table
from pipeline.report import columns, figures, reasons, rows, sample, write_report
from tests.pipeline.report.support import samples

ROWS, BAD = 60, 12


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sixty rows be as many as a million are."""
    for module, name, value in (
        *((sample, "WHOLE", 20), (sample, "BEGINS", 10), (sample, "NOT_OK", 3), (sample, "OPENED", 1)),
        *((rows, "FOUND_PER_FILE", 16), (rows, "PER_FILE_OF_MANY", 8), (rows, "FEW_VALUES", 5)),
        *((columns, "MAX_FAILED", 8), (reasons, "MOST", 2)),
    ):
        monkeypatch.setattr(module, name, value)


def make(folder: Path, **values: Callable[[int], object]) -> Path:
    """A run of sixty rows, each with its own seed, of which twelve have failed; with other values by their numbers."""
    output = samples.make(folder, good=0, failed=0, diverged=0)
    made = []
    for k in range(ROWS):
        row = samples.ok(output, k) if k % 5 else samples.bad(output, k)
        row |= {"params": json.dumps({**json.loads(row["params"]), "seed": 1000 + k})}
        made.append(row | {name: value(k) for name, value in values.items()})
    for start in range(0, ROWS, 6):
        result_table.commit(str(output), made[start : start + 6])
    return output


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of these rows, to be looked at."""
    with pytest.MonkeyPatch.context() as patch:
        few(patch)
        return write_report(str(make(tmp_path_factory.mktemp("many"))))


def whole(page: str, kind: str) -> dict[str, list[Any]]:
    """The columns of all files of a kind, joined."""
    parts = samples.data(page, kind)
    return {name: [value for part in parts for value in part[name]] for name in parts[0] if name not in LISTS}


LISTS = ("dimensions", "values")


def test_a_page_of_many_rows_begins_with_some_and_has_all(page: str) -> None:
    index, every = samples.index(page), whole(page, "rows")
    assert (index["rows"], index["begins"]) == (ROWS, 13)
    assert sorted(every["id"]) == [f"row-{k:05}" for k in range(ROWS)]
    named = Path(page).read_text("utf-8").count("data/rows-")
    assert named == 2, "scripts of the rows that it begins with, and no others"
    assert [code == 0 for code in every["status"][:13]].count(False) == 3
    assert every["id"][:13] == sorted(every["id"][:13])


def test_pictures_of_one_name_are_told_apart_though_they_are_in_different_files_of_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    names = [f"{folder}/{k:02}.jpg" for folder in ("a", "b") for k in range(ROWS // 2)]
    page, expected = write_report(str(make(tmp_path, content=lambda k: f"/photos/{names[k]}"))), set(names)
    for kind in ("names", "sources"):
        assert len(samples.data(page, kind)) > 3
        assert expected <= set(whole(page, kind)["name"])
    assert {name for _, name in samples.index(page)["facets"]["content"]} == expected


def test_rows_are_found_by_what_all_their_details_say(page: str) -> None:
    found, every = whole(page, "found"), whole(page, "rows")
    assert found == {name: every[name] for name in found}
    assert {"id", "status", "content", "style", "loss", "seconds", "finished", "reason"} <= set(found)
    assert whole(page, "names")["name"] == whole(page, "sources")["name"]
    parts, details = samples.data(page, "found"), samples.data(page, "rows")
    for d, _ in enumerate(samples.index(page)["dimensions"]):
        codes = [[code for part in files for code in part["dimensions"][d]] for files in (parts, details)]
        assert codes[0] == codes[1]


def test_values_that_are_many_come_with_their_rows(page: str) -> None:
    index = samples.index(page)
    [seed] = [k for k, d in enumerate(index["dimensions"]) if d["name"] == "seed"]
    [weight] = [k for k, d in enumerate(index["dimensions"]) if d["name"] == "style_weight"]
    assert (index["dimensions"][seed]["values"], index["dimensions"][seed]["distinct"]) == ([], ROWS)
    assert index["dimensions"][weight]["values"] == list(samples.WEIGHTS)
    for part in [*samples.data(page, "found"), *samples.data(page, "rows")]:
        assert list(part["values"]) == [str(seed)]
        assert part["values"][str(seed)] == [1000 + int(id.removeprefix("row-")) for id in part["id"]]


def test_errors_and_reasons_are_counted_whole_and_written_to_a_bound(page: str) -> None:
    index, every = samples.index(page), whole(page, "rows")
    assert sum(index["failures"]) == BAD
    assert "another reason" in index["reasons"]
    errors = [text for file in samples.data(page, "errors") for text in file["error"]]
    lines = [json.loads(line) for file in samples.data(page, "lines") for line in file]
    assert len(errors) == len(lines) == index["written"] == 8
    place = {failure: id for id, failure in zip(every["id"], every["failure"], strict=True) if failure >= 0}
    assert [place[k] for k in range(8)] == [line["id"] for line in lines]


def test_curves_are_those_of_rows_that_the_page_begins_with(page: str) -> None:
    index, every = samples.index(page), whole(page, "rows")
    curves = [curve for file in samples.data(page, "curves") for curve in file["rows"]]
    assert len(curves) == index["begins"]
    assert [curve is None for curve in curves] == [code != 0 for code in every["status"][:13]]
    for curve, loss in zip(curves, every["loss"], strict=False):
        assert curve is None or curve["total"][-1] == pytest.approx(loss, rel=1e-3)


def test_rows_without_a_content_are_no_choice_among_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A texture has a style alone; the list of contents begins with those that there are."""
    few(monkeypatch)
    output = make(tmp_path)
    result_table.commit(str(output), [samples.ok(output, 100 + k, content=None) for k in range(3)])
    page = write_report(str(output))
    facets, every = samples.index(page)["facets"], whole(page, "rows")
    assert [name for _, name in facets["content"]] == ["scene0.png", "scene1.png"]
    assert {number for number, _ in facets["content"]} == {number for number in every["content"] if number >= 0}
    assert every["content"].count(-1) == 3
    assert [name for _, name in facets["style"]] == ["paint0.png", "paint1.png"]


def test_a_sample_reads_the_curves_of_few_files_and_is_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    output = make(tmp_path)
    opened: set[str] = set()
    read = result_table._batches

    def noted(part: str, wanted: Sequence[str]) -> Iterator[pa.Table]:
        opened.update([part] if "curve" in wanted else [])
        return read(part, wanted)

    monkeypatch.setattr(result_table, "_batches", noted)
    drawn = []
    for _ in range(2):
        found = columns.Reader(str(output), str(output / "report")).read()
        begins, files = sample.sample_first(found)
        drawn.append(found["id"].slice(0, begins).to_pylist())
        opened.clear()
        sample.curves(str(output), found, begins, files)
        assert 1 <= len(opened) <= 4, "not all ten: nearly all of their bytes are curves"
    assert drawn[0] == drawn[1]


def test_failures_that_a_later_success_superseded_take_no_place_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MAX_FAILED", 3)
    output = samples.make(tmp_path, good=0, failed=0, diverged=0)
    result_table.commit(str(output), [samples.bad(output, k, run=1) for k in range(12)])
    result_table.commit(str(output), [samples.ok(output, k, run=2) for k in range(10)])
    found = columns.Reader(str(output), str(output / "report")).read()
    errors = dict(zip(found.failed["id"].to_pylist(), found.failed["error"].to_pylist(), strict=True))
    assert errors == {f"row-{k:05}": columns.bounded(samples.ERRORS[k % 3][1]) for k in (10, 11)}
    assert [(each.rows, each.example) for each in figures.reasons(found)] == [
        (1, samples.ERRORS[1][1]),
        (1, samples.ERRORS[2][1][: figures.EXAMPLE]),
    ]


def test_a_row_that_failed_has_no_curve_of_an_earlier_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "WHOLE", 0)
    output = samples.make(tmp_path, good=0, failed=0, diverged=0)
    first = result_table.commit(str(output), [samples.ok(output, k, run=1) for k in range(3)])
    result_table.commit(str(output), [samples.bad(output, 1, run=2)])
    found = columns.Reader(str(output), str(output / "report")).read()
    drawn = sample.curves(str(output), found, len(found), [first])
    assert [curve is None for curve in drawn.to_pylist()] == [False, True, False]


def test_what_is_kept_of_a_row_is_small(tmp_path: Path) -> None:
    """Of each row some hundred bytes are kept, however long its parameters, its error and its curve are."""
    output = samples.make(tmp_path, good=0, failed=0, diverged=0)
    made = [samples.ok(output, k) for k in range(500)]
    for k, row in enumerate(made):
        row["params"] = json.dumps({**json.loads(row["params"]), "seed": k})
    result_table.commit(str(output), made)
    found = columns.Reader(str(output), str(output / "report")).read()
    kept = [*found.columns.values(), *(each for each in found.parameters.values() if isinstance(each, pa.Array))]
    assert sum(column.nbytes for column in kept) / len(made) < 400
