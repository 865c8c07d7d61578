"""What a page is made of: data as scripts, links, curves with fewer points, dimensions, figures."""

import io
import json
import math
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from pipeline import images
from pipeline.outputs import schema
from pipeline.report import links
from pipeline.report.changes import label
from pipeline.report.columns import MAX_ERROR, bounded
from pipeline.report.copier import shrink
from pipeline.report.curves import POINTS, curve_files, short, sketch_files, telling
from pipeline.report.dimensions import dimension, split
from pipeline.report.figures import figures
from pipeline.report.reasons import reason
from pipeline.report.scripts import payload, script
from tests.pipeline.report.support import samples
from tests.support import draw

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_data_survive_being_a_script_and_end_none(value: Any) -> None:
    text = script("rows", 3, {"a": value, "b": samples.HOSTILE + "\u2028"}).decode("ascii")
    assert text.startswith('nst.receive("rows",3,')
    assert "<" not in text
    assert payload(text.encode()) == {"a": json.loads(json.dumps(value)), "b": samples.HOSTILE + "\u2028"}


def test_a_script_holds_no_number_that_json_has_not() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script("rows", 0, [math.nan])


schemes = st.sampled_from(
    [
        "file://",
        "file:////",
        "//",
        "local://",
        "javascript:",
        "JavaScript://%0a",
        "data:text/html,",
        "vbscript:",
        "s3://",
        "x://",
        "",
        "/",
    ]
)


@given(st.builds("".join, st.tuples(schemes, st.text(max_size=30))))
def test_what_is_no_place_of_the_web_or_this_machine_is_no_link(uri: str) -> None:
    found = links.href(uri, page="/out/report", output="/out")
    assert found is None or re.match(r"(file:///(?!/)|\.\./)", found)
    assert found is None or not set(found) & set("\"<> '`\n") - {"'"}


@pytest.mark.parametrize(
    ("uri", "page", "output", "found"),
    [
        ("/out/images/a.png", "/out/report", "/out", "../images/a.png"),
        ("/out/images/a b#1?.png", "/out/report", "/out", "../images/a%20b%231%3F.png"),
        ("/out/images/a.png", "/else/where", "/out", "file:///out/images/a.png"),
        ("/outer/images/a.png", "/out/report", "/out", "file:///outer/images/a.png"),
        ("s3://b/out/images/a.png", "s3://b/out/report", "s3://b/out", "../images/a.png"),
        ("s3://b/out/images/a.png", "/here", "s3://b/out", None),
        ("https://x.org/a.jpg?k=1&l=%20", "/out/report", "/out", "https://x.org/a.jpg?k=1&l=%20"),
        ('https://x.org/"onclick="a', "/out/report", "/out", "https://x.org/%22onclick=%22a"),
        ("javascript:alert(1)", "/out/report", "/out", None),
        ("file:///else/a.png", "/out/report", "/out", "file:///else/a.png"),
        ("file:////host/share/a.png", "/out/report", "/out", "file:///host/share/a.png"),
        ("//host/share/a.png", "/out/report", "/out", "file:///host/share/a.png"),
        ("file://host/share/a.png", "/out/report", "/out", None),
        ("file:///\\\\host\\a.png", "/out/report", "/out", None),
        ("local:////host/a.png", "/out/report", "/out", "file:///host/a.png"),
        ("reference://k.png::http://host/x.json", "/out/report", "/out", None),
        (None, "/out/report", "/out", None),
    ],
)
def test_links(uri: str | None, page: str, output: str, found: str | None) -> None:
    assert links.href(uri, page=page, output=output) == found


@pytest.mark.parametrize("link", ["https://x.org/a.png", "HTTP://x.org/a.png", None])
def test_what_needs_another_host_is_not_shown_on_the_page(link: str | None) -> None:
    assert not links.shown_here(link)


def test_a_tiff_is_not_shown_on_the_page_since_browsers_do_not() -> None:
    assert links.shown_here("images/a.avif")
    assert not links.shown_here("images/a.TIF")


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), unique=True, max_size=12))
def test_pictures_have_names_that_tell_them_apart(uris: list[str]) -> None:
    names = links.names(pa.array(uris, pa.string())).to_pylist()
    assert len(set(names)) == len(uris)
    assert all(uri.endswith(name) for uri, name in zip(uris, names, strict=True))


losses = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=600)


@given(losses, st.integers(8, 100))
def test_fewer_points_keep_the_ends_and_the_extremes(found: list[float], points: int) -> None:
    kept = telling(np.array(found), points)
    assert kept == sorted(set(kept))
    assert {0, len(found) - 1} <= set(kept)
    assert len(kept) <= points + 2
    assert {min(found), max(found)} <= {found[k] for k in kept}


@given(st.lists(st.floats(allow_subnormal=False, width=32), max_size=20))
def test_numbers_have_four_digits(found: list[float]) -> None:
    told = short(np.array(found, dtype=np.float64))
    assert [value is None for value in told] == [not math.isfinite(value) for value in found]
    for value, given_ in zip(told, found, strict=True):
        if value is not None:
            assert value == pytest.approx(given_, rel=6e-4)
            assert float(f"{value:.4g}") == pytest.approx(value, rel=1e-12)


def test_curves_come_in_the_order_of_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [samples.ok(tmp_path, k, curve=samples.curve(400, 1 / (k + 2))) for k in range(120)]
    rows[7] = samples.bad(tmp_path, 7)
    table = pa.Table.from_pylist(rows, schema=schema.SCHEMA)
    files = list(curve_files(table["curve"]))
    curves = [found for file in files for found in file["rows"]]
    assert [len(file["rows"]) for file in files] == [50, 50, 20]
    assert curves[7] is None
    for k in (0, 50, 119):
        asked = rows[k]["curve"]
        assert len(curves[k]["i"]) <= POINTS + 2
        for name in ("total", "content", "style"):
            assert curves[k][name] == pytest.approx([asked[name][i] for i in curves[k]["i"]], rel=6e-4)
        assert list(curves[k]["layers"]) == ["conv1_1", "conv2_1"]
    [sketches] = sketch_files(table["curve"])
    length, seen = sketches["rows"][119]
    assert sketches["rows"][7] is None
    assert seen == pytest.approx([rows[119]["curve"]["total"][i] for i in sketches["grids"][length]], rel=6e-4)


@given(st.lists(st.none() | st.floats(-9, 9) | st.integers(-9, 9), max_size=30))
def test_numbers_are_a_dimension_in_their_order(column: list[float | None]) -> None:
    found = dimension("x", pa.array(column, pa.float64()))
    values = found.values.to_pylist()
    assert found.numeric
    assert values == sorted(values)
    assert [None if code < 0 else values[code] for code in found.codes] == column


def test_what_varies_and_what_is_shared(tmp_path: Path) -> None:
    rows = [samples.ok(tmp_path, k, device="cpu" if k else "gpu") for k in range(8)]
    found = samples.rows_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA))
    settings, dimensions = split(found.parameters.items(), found.columns)
    assert {d.name: d.values.to_pylist() for d in dimensions} == {"style_weight": [0.5, 1.0], "device": ["cpu", "gpu"]}
    assert [s.name for s in settings if not s.usual] == ["size", "iterations", "scales"]
    assert "tv_weight" in {s.name for s in settings if s.usual}


def test_figures_add_up(tmp_path: Path) -> None:
    rows = [*(samples.ok(tmp_path, k) for k in range(6)), *(samples.bad(tmp_path, k) for k in range(6, 10))]
    for number, row in enumerate(rows):
        row["started_at"] = samples.BEGAN + timedelta(minutes=number)
        row["finished_at"] = samples.BEGAN + timedelta(hours=1, minutes=number)
    said = {"counts": {"ok": 6, "failed": 4}, "seconds": 100.0}
    found = figures(samples.rows_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA)), said)
    assert (found.rows, found.pictures, found.counts["failed"]) == (10, 6, 4)
    assert [(r.name, r.rows) for r in found.reasons] == [
        ("cannot read …: it does not exist", 2),
        ("the picture is damaged", 1),
        ("took longer than … s and longer and longer and longer and longer and longer and longer and longer an …", 1),
    ]
    assert (found.busy, found.idle, found.per_hour) == (90.0, 10.0, 360.0)
    assert found.dollars(7.2) == pytest.approx(0.2)
    assert found.pixels == 6 * 96 * 64
    assert (found.began, found.ended) == (samples.BEGAN, samples.BEGAN + timedelta(hours=1, minutes=9))
    assert found.encoders == {"embedded, abababababab": 10}
    assert found.warnings == {}
    rows[1]["warning"] = rows[2]["warning"] = "never fell"
    rows[0]["warning"] = "another"
    doubtful = figures(samples.rows_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA)), said)
    assert list(doubtful.warnings.items()) == [("never fell", 2), ("another", 1)]


def test_a_reason_shows_what_most_of_its_rows_have(tmp_path: Path) -> None:
    said = [("quarantined", "x/a.png: gone"), ("failed", "y/b.png: gone"), ("failed", "y/b.png: gone")]
    rows = [samples.bad(tmp_path, k, status=status, error=error) for k, (status, error) in enumerate(said)]
    found = figures(samples.rows_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA)), {})
    assert [(r.name, r.status, r.rows, r.example) for r in found.reasons] == [("gone", "failed", 3, "y/b.png: gone")]


def test_nothing_has_figures_too() -> None:
    found = figures(samples.rows_of(schema.SCHEMA.empty_table()), {})
    assert (found.rows, found.pictures, found.per_hour, found.began, found.busy) == (0, 0, None, None, 0.0)


def test_a_huge_error_is_bounded() -> None:
    assert bounded("short") == "short"
    assert bounded("x" * 10**6) == "x" * MAX_ERROR + "… (1,000,000 characters in all)"


def test_a_large_photo_is_copied_small_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    photo = Image.fromarray(draw(3, 60, 80)).resize((2400, 1800), Image.Resampling.BICUBIC)
    photo.save(buffer, "JPEG", quality=95, exif=exif.tobytes())
    small = Image.open(io.BytesIO(shrink(buffer.getvalue(), 256)))
    assert small.size == (192, 256)
    upright = Image.fromarray(images.decode(buffer.getvalue())).resize((192, 256), Image.Resampling.LANCZOS)
    differences = np.abs(np.asarray(small.convert("RGB"), float) - np.asarray(upright, float))
    assert differences.mean() < 5  # of 255: WebP's own loss


def test_rows_in_common_have_a_label() -> None:
    assert label({"content": "s3://b/cat.jpg", "style": None, "size": 64}) == "cat.jpg, size 64"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ("cannot read s3://b/IMG_7.jpg: it does not exist", "cannot read …: it does not exist"),
        ("cannot read /a/b c/IMG_8.jpg: it does not exist", "cannot read … c/IMG_8.jpg: it does not exist"),
        ("/photos/a.jpg: the picture is damaged; try another", "the picture is damaged"),
        ("a.png is too large: 12,000 x 9,000 px. Expected fewer", "is too large: … x … px"),
        ("", "ImageError"),
        ("7", "ImageError"),
    ],
)
def test_rows_with_the_same_trouble_share_a_reason(error: str, name: str) -> None:
    assert reason("failed", "ImageError", error) == name.replace("… c/IMG_8.jpg", "… …")
    assert reason("diverged", None, None) == "the loss stopped being finite"
