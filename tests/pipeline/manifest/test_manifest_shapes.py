"""Widths and heights in a manifest: read from every format, believed at planning, checked where the picture is read."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_kernel import StyleParams
from nst_kernel.pictures.sizes import fit
from pipeline.manifest import former_output
from pipeline.manifest.reader import iter_rows
from pipeline.manifest.row import Duplicate, Row, RowProblem
from pipeline.planning import headers
from pipeline.planning.batch import Failure
from pipeline.planning.plan import plan
from pipeline.planning.shapes import output_shapes
from pipeline.stages.fetch import fetch
from tests.pipeline.manifest.test_manifest import read, write
from tests.support import draw

SIDES = st.integers(1, 1_000_000)


@given(st.lists(st.none() | st.tuples(SIDES, SIDES), min_size=1, max_size=6))
def test_shapes_are_read_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int] | None]
) -> None:
    folder = tmp_path_factory.mktemp("shapes")
    rows: list[dict[str, Any]] = [
        {"content": f"{number}.jpg", "style": "s.jpg", "height": shape and shape[0], "width": shape and shape[1]}
        for number, shape in enumerate(shapes)
    ]
    floats = (
        pa.array([shape and float(shape[0]) for shape in shapes]),
        pa.array([shape and 1.0 * shape[1] for shape in shapes]),
    )
    table = pa.Table.from_pylist(rows).set_column(2, "height", floats[0]).set_column(3, "width", floats[1])
    pq.write_table(table, folder / "as pandas has it.parquet")
    table.to_pandas().to_csv(folder / "as pandas has it.csv", index=False)
    written = [write(folder / f"rows.{extension}", rows) for extension in ("csv", "jsonl", "parquet")]
    plain = [{name: row[name] for name in ("content", "style")} for row in rows]
    without = read(write(folder / "without.csv", plain)).rows
    for path in (*written, folder / "as pandas has it.parquet", folder / "as pandas has it.csv"):
        found = read(path).rows
        assert [row.content_shape for row in found] == shapes
        assert [row.id for row in found] == [row.id for row in without]  # what a row means does not depend on it


def test_what_is_known_is_not_looked_at(tmp_path: Path) -> None:
    Image.fromarray(draw(1, 30, 40)).save(tmp_path / "there.png")
    known = Row("a", "/nowhere.jpg", "/s.png", "a.png", StyleParams(size=200), "rows.csv", 1, (3000, 4000))
    other = Row("b", str(tmp_path / "there.png"), "/s.png", "b.png", StyleParams(size=200), "rows.csv", 2)
    looked_at: list[str] = []

    def probe(uris: Any, _: Any) -> dict[str, headers.Shape]:
        looked_at.extend(uris)
        return headers.probe_here(uris)

    assert output_shapes([known, other], probe=probe) == [
        fit(3000, 4000, size=200, aspect_tolerance=known.params.aspect_tolerance),
        fit(30, 40, size=200, aspect_tolerance=known.params.aspect_tolerance),
    ]
    assert looked_at == [other.content]


def test_a_shape_that_is_wrong_fails_its_row(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: it is shown 30 wide and 40 high
    path = tmp_path / "turned.jpg"
    Image.fromarray(draw(1, 30, 40)).save(path, exif=exif)
    rows = [
        Row(name, str(path), str(path), f"{name}.png", StyleParams(size=32), "rows.csv", 1, shape)
        for name, shape in (("right", (40, 30)), ("wrong", (30, 40)), ("unsaid", None))
    ]
    outcomes = {
        planned.row.id: pictures
        for batch in plan(rows, encoder_sha256="e").batches
        for planned, pictures in zip(batch.rows, fetch(batch).pictures, strict=True)
    }
    failure = outcomes.pop("wrong")
    assert isinstance(failure, Failure)
    assert "30 x 40 px as it is shown, the manifest's columns width and height say 40 x 30" in failure.error
    assert not any(isinstance(pictures, Failure) for pictures in outcomes.values())


def test_a_cluster_reads_the_same_headers(tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "WORTH_A_CLUSTER", 1)
    monkeypatch.setattr(headers, "PER_TASK", 4)
    for number in range(6):
        Image.fromarray(draw(number, 20 + number, 30)).save(tmp_path / f"{number}.png")
    (tmp_path / "6.png").write_text("<html>")
    uris = [str(tmp_path / f"{number}.png") for number in range(8)]
    found = headers.probe(uris)
    assert found == headers.probe_here(uris)
    assert found[uris[5]] == (25, 30)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "é"]), st.sampled_from(["", "a.png", "b.png", "%C3%A9.png"])),
        max_size=8,
    )
)
def test_no_two_pictures_share_a_name(tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, str]]) -> None:
    """As with a table of every name that was given so far, which a million rows had better not need."""
    rows = [{"content": f"{id}.jpg", "style": "s.jpg", "id": id, "output": name} for id, name in asked]
    manifest = write(tmp_path_factory.mktemp("names") / "rows.jsonl", rows)
    expected: list[type] = []
    by_id: dict[str, str] = {}
    owners: dict[str, str] = {}
    for id, given_name in asked:
        name = given_name or former_output(id)
        if id in by_id:
            expected.append(Duplicate if by_id[id] == name else RowProblem)
            continue
        by_id[id] = name
        expected.append(Row if owners.setdefault(name, id) == id else RowProblem)
    if rows:
        assert [type(item) for item in iter_rows(str(manifest), encoder_sha256="e")] == expected
