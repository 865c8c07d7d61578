"""The folder of a report: what the page says, what its data say, which copies are made, whatever the run was like."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import storage
from pipeline.flow.retry import rows_of
from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from pipeline.outputs.as_manifest import as_manifest
from pipeline.report import bundle as files
from pipeline.report import write_report
from pipeline.report.copier import LOST_CAUSE
from pipeline.report.reasons import reason
from tests.pipeline.report.support import samples

pytestmark = pytest.mark.usefixtures("without_plotly")


class Page(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text = " ".join(f"{self.text} {data}".split())

    def all(self, name: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag == name)


def read(page: str) -> Page:
    return Page(Path(page).read_text("utf-8"))


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "_BEING_MADE", timedelta(0))
    return samples.make(tmp_path)


def test_a_report_deletes_the_last_one_and_leaves_one_that_is_being_made_alone(tmp_path: Path) -> None:
    output = samples.make(tmp_path)
    first = read(write_report(str(output)))
    scripts = [str(script["src"]) for script in first.all("script") if script.get("src")]
    being_made = output / "report" / "data" / "rows-0.20260101T000000000000Z.js"
    being_made.write_text("")
    write_report(str(output))
    assert [name for name in scripts if (output / "report" / name).exists() and "plotly" not in name] == []
    assert being_made.exists()


def test_the_page_says_what_the_run_came_to(output: Path) -> None:
    page = write_report(str(output), hourly_price=3.6)
    assert page == str(output / "report" / "index.html")
    found = read(page)
    assert "24 ok" in found.text
    assert "29 25 with a picture, 0.2 megapixels" in found.text
    assert "360 rows/h last run: 29 rows in 5 min" in found.text
    assert "5 min 90.0 % of it busy" in found.text
    assert "$0.29" in found.text
    assert "Rows differ in size (2 values) , style_weight (4 values)" in found.text
    assert "cannot read …: it does not exist 1 cannot read s3://photos/IMG_7.jpg: it does not exist" in found.text
    assert "torch 2.15.0" in found.text


@pytest.mark.parametrize("rows", [29, 0])
@pytest.mark.parametrize("counts", [{"ok": 0}, None])
def test_the_summary_says_what_is_known_of_the_last_run(tmp_path: Path, rows: int, counts: object) -> None:
    output = samples.make(tmp_path) if rows else samples.make(tmp_path, good=0, failed=0, diverged=0)
    (output / "run.json").write_text(json.dumps({"counts": counts, "seconds": 1.5} if counts else {"seconds": 1.5}))
    text = read(write_report(str(output))).text
    nothing, unknown = "the last run that ended had nothing to compute", "known once a run has ended"
    assert (nothing in text, unknown in text) == (counts is not None, counts is None)
    assert ("No rows yet." in text) == (not rows and not counts)
    assert (f"No rows yet: {nothing}" in text) == (not rows and bool(counts))


def test_whatever_the_page_needs_lies_beside_it(output: Path) -> None:
    page = write_report(str(output))
    found = read(page)
    named = [a["src"] for a in found.all("script")] + [a["href"] for a in found.all("link") if a["rel"] == "stylesheet"]
    assert named
    for name in [*named, samples.index(page)["plotly"]]:
        assert (output / "report" / str(name)).stat().st_size > 0
    assert not [a for a in found.all("script") if not a.get("src")]
    assert not [value for _, attributes in found.tags for value in attributes.values() if "http" in (value or "")[:4]]


def test_names_and_errors_stay_text(output: Path) -> None:
    hostile = [samples.bad(output, 90, id='"><img src=x onerror=alert(2)>', error_class="<b>", error="</td><script>")]
    result_table.commit(str(output), hostile)
    page = write_report(str(output))
    found = read(page)
    assert {tag for tag, _ in found.tags}.isdisjoint({"b>", "img"})
    assert "</td><script>" in found.text
    assert not [path for path in (output / "report" / "data").iterdir() if b"<" in path.read_bytes()]
    assert samples.HOSTILE in samples.column(page, "id")


def test_the_data_are_the_results(output: Path) -> None:
    page = write_report(str(output))
    table = result_table.read_results(str(output)).to_pylist()
    index = samples.index(page)
    assert list(samples.column(page, "id")) == [row["id"] for row in table]
    assert [index["statuses"][code] for code in samples.column(page, "status")] == [row["status"] for row in table]
    for shown, name in (("loss", "total_loss"), ("content_loss", "content_loss"), ("style_loss", "style_loss")):
        for found, row in zip(samples.column(page, shown), table, strict=True):
            assert found == row[name] or found == pytest.approx(row[name], rel=1e-5)
    [sources] = samples.data(page, "sources")
    assert [sources["uri"][k] for k in samples.column(page, "content")] == [row["content"] for row in table]
    assert [sources["uri"][k] for k in samples.column(page, "style")] == [row["style"] for row in table]
    reasons = [index["reasons"][k] if k >= 0 else None for k in samples.column(page, "reason")]
    assert reasons == [
        None if r["status"] == "ok" else reason(r["status"], r["error_class"], r["error"]) for r in table
    ]
    [weights] = [k for k, d in enumerate(index["dimensions"]) if d["name"] == "style_weight"]
    [part] = samples.data(page, "rows")
    found = [index["dimensions"][weights]["values"][code] for code in part["dimensions"][weights]]
    assert found[0] == 0.5
    assert set(found) == set(samples.WEIGHTS)


def test_doubtful_pictures_are_counted_and_marked(output: Path) -> None:
    page = write_report(str(output))
    assert "What is doubtful" not in read(page).text
    assert set(samples.column(page, "warning")) == {-1}
    result_table.commit(str(output), [samples.ok(output, k, id=f"still {k}", warning="<i>still") for k in (1, 2)])
    page = write_report(str(output))
    assert "What is doubtful" in read(page).text
    assert "<i>still" in read(page).text
    assert samples.index(page)["warnings"] == ["<i>still"]
    marked = zip(samples.column(page, "id"), samples.column(page, "warning"), strict=True)
    assert [name for name, warning in marked if warning == 0] == ["still 1", "still 2"]


def test_a_link_that_leads_out_is_missing_and_says_why(output: Path) -> None:
    private = samples.picture(output.parent / "private.png", 5)
    (output / "images" / "linked.png").symlink_to(private)
    result_table.commit(str(output), [samples.ok(output, 1, id="linked", output_name="linked.png", warning="still")])
    page = write_report(str(output))
    columns = {name: list(samples.column(page, name)) for name in ("id", "href", "thumb", "view", "warning", "status")}
    place = columns["id"].index("linked")
    assert [columns[shown][place] for shown in ("href", "thumb", "view")] == [None] * 3
    warning = samples.index(page)["warnings"][columns["warning"][place]]
    assert warning.startswith("still; its picture is not shown: a link leads out of images/")
    assert all(columns["thumb"][k] for k, status in enumerate(columns["status"]) if status == 0 and k != place)


def test_rows_to_run_again_are_a_manifest(output: Path) -> None:
    page = write_report(str(output))
    failed = rows_of(str(output), ["failed", "quarantined", "diverged"])
    assert "".join(f"{line}\n" for file in samples.data(page, "lines") for line in file) == as_manifest(failed)
    errors = [text for file in samples.data(page, "errors") for text in file["error"]]
    assert len(errors) == len(failed) == 5
    assert max(map(len, errors)) < 2100
    assert samples.data(page, "errors")[0]["place"][0] == "s3://bucket/pairs.csv, line 26"


def test_pictures_are_linked_by_short_ways_and_copied_small(output: Path) -> None:
    big = samples.picture(output / "images" / "made1.png", 5, 600, 900)
    result_table.commit(str(output), [samples.ok(output, 1, width=900, height=600, finished_at=provenance.now())])
    page = write_report(str(output))
    assert set(samples.column(page, "href")) == {None, *(f"../images/made{k}.png" for k in range(4))}
    thumbs = {name for name in samples.column(page, "thumb") if name}
    copies = {path.stem: Image.open(path).size for path in (output / "report" / "thumbs").iterdir()}
    [sources] = samples.data(page, "sources")
    used = thumbs | {*sources["thumb"], *filter(None, sources["view"])}
    assert set(copies) == used
    assert max(max(copies[name]) for name in thumbs) == 256
    # The content of the large one has a view of its own size, since it is smaller than what was made of it.
    assert [copies[name] for name in sources["view"] if name] == [(96, 64)]
    assert big.exists()


def test_a_second_report_makes_only_what_is_new(output: Path) -> None:
    page = write_report(str(output))
    thumbs, data = output / "report" / "thumbs", output / "report" / "data"
    before = {path: path.stat().st_mtime_ns for path in thumbs.iterdir()}
    old_data, old_thumbs = set(data.iterdir()), set(samples.column(page, "thumb"))
    write_report(str(output))
    assert {path: path.stat().st_mtime_ns for path in thumbs.iterdir()} == before
    assert old_data.isdisjoint(data.iterdir())
    assert len(list(data.iterdir())) == len(old_data)
    now = provenance.now()
    result_table.commit(str(output), [samples.ok(output, k, fingerprint="new", finished_at=now) for k in (4, 8)])
    [changed] = set(samples.column(write_report(str(output)), "thumb")) - old_thumbs
    assert {path.stem for path in thumbs.iterdir()} - {path.stem for path in before} == {changed}


def test_a_changed_content_gets_a_new_thumbnail(output: Path) -> None:
    def contents() -> list[Any]:
        [sources] = samples.data(write_report(str(output)), "sources")
        return [thumb for uri, thumb in zip(sources["uri"], sources["thumb"], strict=True) if "scene0" in uri]

    before = contents()
    os.utime(samples.picture(output.parent / "content" / "scene0.png", 77), ns=(1, 1))
    assert contents() != before


def test_what_cannot_be_had_has_no_thumbnail(output: Path) -> None:
    (output.parent / "content" / "scene0.png").unlink()
    (output.parent / "style" / "paint0.png").write_bytes(b"no picture")
    (output / "images" / "made2.png").unlink()
    page = write_report(str(output))
    [sources] = samples.data(page, "sources")
    there = {
        uri.rsplit("/")[-1]: thumb is not None for uri, thumb in zip(sources["uri"], sources["thumb"], strict=True)
    }
    assert there == {"scene0.png": False, "scene1.png": True, "paint0.png": False, "paint1.png": True}
    shown = zip(samples.column(page, "href"), samples.column(page, "thumb"), strict=True)
    assert {href for href, thumb in shown if href and not thumb} == {"../images/made2.png"}


def test_a_lost_server_is_not_asked_for_ever(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def gone(uri: str) -> str:
        asked.append(uri)
        raise storage.StorageError(f"cannot look at {uri}: no answer") from TimeoutError()

    rows = [samples.ok(output, k, id=f"r{k}", content=f"https://gone.example/{k}.jpg", style=None) for k in range(500)]
    result_table.commit(str(output), rows)
    monkeypatch.setattr(storage, "identity", lambda uri, real=storage.identity: (gone if "gone" in uri else real)(uri))
    page = write_report(str(output))
    assert LOST_CAUSE <= len(asked) < 500 / 10
    [sources] = samples.data(page, "sources")
    assert [t for u, t in zip(sources["uri"], sources["thumb"], strict=True) if "gone" in u] == [None] * 500


def test_without_time_pictures_stand_for_themselves(output: Path) -> None:
    page = write_report(str(output), thumbnail_seconds=0)
    assert samples.index(page)["late"] == 8
    assert not any(samples.column(page, "thumb"))
    assert "no time for 8 thumbnails" in read(page).text
    assert samples.index(write_report(str(output)))["late"] == 0


@pytest.mark.parametrize("failed", [0, 3])
def test_a_run_without_pictures_has_a_report(tmp_path: Path, failed: int) -> None:
    output = samples.make(tmp_path, good=0, failed=failed, diverged=0)
    page = write_report(str(output))
    assert list(samples.column(page, "thumb")) == [None] * failed
    assert ("No rows yet" in read(page).text) == (failed == 0)


def test_a_folder_without_a_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(storage.StorageError, match="no results in"):
        write_report(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_moved_run_still_has_its_pictures(output: Path, tmp_path: Path) -> None:
    moved = output.rename(tmp_path / "elsewhere")
    page = write_report(str(moved))
    assert set(samples.column(page, "href")) == {None, *(f"../images/made{k}.png" for k in range(4))}
    assert all(t for t, h in zip(samples.column(page, "thumb"), samples.column(page, "href"), strict=True) if h)


def test_object_storage_holds_a_report_as_well(bucket: str, output: Path, tmp_path: Path) -> None:
    away = f"{bucket}/run"
    rows = result_table.read_results(str(output)).to_pylist()
    result_table.commit(away, [row | {"output": row["output"] and f"{away}/images/made0.png"} for row in rows])
    for k in range(4):
        storage.write_bytes(f"{away}/images/made{k}.png", (output / "images" / f"made{k}.png").read_bytes())
    assert write_report(away) == f"{away}/report/index.html"
    assert "29 rows" in Page(storage.read_bytes(f"{away}/report/index.html").decode()).text
    # Read from elsewhere, a browser cannot follow to the store, so that larger copies stand in for the pictures.
    page = write_report(away, to=str(tmp_path / "here"))
    assert set(samples.column(page, "href")) == {None}
    views = {name for name in samples.column(page, "view") if name}
    assert {path.stem for path in (tmp_path / "here" / "thumbs").iterdir()} >= views
    assert views


def test_two_runs_are_on_the_page(output: Path, tmp_path: Path) -> None:
    older = samples.make(tmp_path / "older")
    page = write_report(str(output), comparison=samples.comparison(output, older))
    [changes] = samples.data(page, "changes")
    assert [change["label"] for change in changes][:2] == [
        "scene1.png, paint0.png, style_weight 0.5",
        "scene0.png, paint1.png, style_weight 0.5",
    ]
    assert changes[0]["worse"] == ["final loss 0.40 instead of 0.33 (+20 %)", "SSIM 0.71 <0.9>"]
    assert [(c["psnr"], c["same"], c["loss_ratio"]) for c in changes] == [
        (21.5, False, 1.2),
        (None, True, 1),
        (None, False, None),
    ]
    thumbs = {path.stem for path in (output / "report" / "thumbs").iterdir()}
    assert {changes[0]["before"]["thumb"], changes[0]["after"]["thumb"]} <= thumbs
    assert changes[0]["before"]["thumb"] != changes[0]["after"]["thumb"]
    assert changes[2]["before"]["thumb"] is None
    text = read(page).text
    assert f"tv_weight 0.5 {samples.HOSTILE} iterations 60 –" in text
    assert "3, of which 1 got worse" in text
    assert "Only before: 1 row gone ok" in text


def test_copies_that_the_page_does_not_show_any_more_are_deleted(output: Path) -> None:
    write_report(str(output))
    thumbs = output / "report" / "thumbs"
    before = set(thumbs.iterdir())
    os.utime(samples.picture(output.parent / "content" / "scene0.png", 77), ns=(1, 1))
    page = write_report(str(output))
    [sources] = samples.data(page, "sources")
    shown = {*samples.column(page, "thumb"), *samples.column(page, "view"), *sources["thumb"], *sources["view"]}
    assert {path.stem for path in thumbs.iterdir()} == shown - {None}
    assert len(before - set(thumbs.iterdir())) > 0


def test_results_that_cannot_be_read_are_not_no_rows(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise storage.StorageError("the store is down")

    monkeypatch.setattr(result_table, "_opened", down)
    with pytest.raises(storage.StorageError, match="the store is down"):
        write_report(str(output))
