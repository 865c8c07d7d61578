"""Rows in batches: every row in exactly one, equal shapes together, what is done left out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_kernel import StyleParams
from pipeline.items import Failure
from pipeline.manifest import Row
from pipeline.plan import BYTES_PER_PIXEL, MAX_BATCH_PIXELS, Plan, fingerprint, output_shapes, plan
from tests.support import draw

SHAPES = st.sampled_from([(64, 64), (48, 64), (3000, 2000)])
PARAMS = st.sampled_from(
    [
        StyleParams(),
        StyleParams(seed=1),
        StyleParams(style_weight=3),
        StyleParams(iterations=7),
        StyleParams(pooling="max"),
    ]
)


def row(number: int, params: StyleParams, style: str = "/s.png") -> Row:
    return Row(f"row{number}", f"/c{number}.png", style, f"row{number}.png", params, "rows.csv", number)


@st.composite
def asked(draw: st.DrawFn) -> list[tuple[Row, tuple[int, int] | Failure]]:
    params = draw(st.lists(PARAMS, max_size=40))
    outcome = SHAPES | st.just(Failure("StorageError", "gone"))
    return [(row(number, p), draw(outcome)) for number, p in enumerate(params)]


def planned(rows: Sequence[tuple[Row, tuple[int, int] | Failure]], *, batch_size: int = 4, workers: int = 1) -> Plan:
    known = {r.id: shape for r, shape in rows}
    return plan(
        [r for r, _ in rows],
        encoder_sha256="e",
        finished={},
        batch_size=batch_size,
        workers=workers,
        shape_of=lambda todo: [known[r.id] for r in todo],
    )


@given(asked(), st.integers(1, 9), st.integers(1, 5))
def test_every_row_is_in_exactly_one_batch_of_its_kind(
    rows: list[tuple[Row, tuple[int, int] | Failure]], batch_size: int, workers: int
) -> None:
    work = planned(rows, batch_size=batch_size, workers=workers)
    assert work.rows == len(rows)
    assert Counter(p.row.id for batch in work.batches for p in batch.rows) == Counter(r.id for r, _ in rows)
    for batch in work.batches:
        if batch.rows[0].failure:
            assert all(p.failure and p.shape is None for p in batch.rows)
            continue
        assert len({(p.shape, p.row.params.graph) for p in batch.rows}) == 1
        shape = batch.rows[0].shape
        assert shape is not None
        assert len(batch.rows) <= batch_size
        assert len(batch.rows) == 1 or len(batch.rows) * shape[0] * shape[1] <= MAX_BATCH_PIXELS
    assert planned(rows, batch_size=batch_size, workers=workers) == work


@given(st.integers(1, 30), st.integers(1, 8))
def test_no_actor_stays_idle_while_another_has_two_rows_to_do(count: int, workers: int) -> None:
    work = planned([(row(n, StyleParams()), (64, 64)) for n in range(count)], batch_size=100, workers=workers)
    assert len(work.batches) >= min(workers, count) or max(len(b.rows) for b in work.batches) <= -(-count // workers)


@given(asked(), st.data())
def test_what_is_done_is_left_out_by_id_and_fingerprint(
    rows: list[tuple[Row, tuple[int, int] | Failure]], data: st.DataObject
) -> None:
    states = [data.draw(st.sampled_from(["new", "done", "stale"])) for _ in rows]
    finished = {
        r.id: fingerprint(r, "e") if state == "done" else "another"
        for (r, _), state in zip(rows, states, strict=True)
        if state != "new"
    }
    work = plan(
        [r for r, _ in rows],
        encoder_sha256="e",
        finished=finished,
        batch_size=4,
        shape_of=lambda todo: [(64, 64) for _ in todo],
    )
    assert work.done == states.count("done")
    todo = {p.row.id for batch in work.batches for p in batch.rows}
    assert todo == {r.id for (r, _), state in zip(rows, states, strict=True) if state != "done"}


def test_a_fingerprint_changes_with_whatever_decides_the_picture() -> None:
    first = row(1, StyleParams())
    marks = [
        fingerprint(first, "e"),
        fingerprint(first, "another encoder"),
        fingerprint(row(2, StyleParams()), "e"),
        fingerprint(row(1, StyleParams(seed=1)), "e"),
        fingerprint(row(1, StyleParams(), style="/other.png"), "e"),
    ]
    assert len(set(marks)) == len(marks)
    assert fingerprint(row(1, StyleParams()), "e") == marks[0]


def test_shapes_come_from_headers(tmp_path: Path) -> None:
    picture = Image.fromarray(draw(1, 300, 400))
    picture.save(tmp_path / "wide.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    picture.save(tmp_path / "late.webp")  # its header alone does not do
    (tmp_path / "page.jpg").write_text("<html>")

    def asked(content: str | None, style: str = "wide.png", **knobs: object) -> Row:
        path = str(tmp_path / content) if content else None
        return Row("x", path, str(tmp_path / style), "x.png", StyleParams.of(knobs), "rows.csv", 1)

    texture = {"content_weight": 0, "init": "noise"}
    shapes = output_shapes(
        [
            asked("wide.png", size=200),
            asked("turned.jpg", size=200),
            asked("late.webp", size=200),
            asked("wide.png", size=800),
            asked("wide.png", size=800, upscale=True),
            asked(None, "turned.jpg", size=100, **texture),
            asked("page.jpg"),
            asked("gone.jpg"),
        ]
    )
    assert shapes[:6] == [(150, 200), (200, 150), (150, 200), (300, 400), (600, 800), (100, 75)]
    for failure, name in zip(shapes[6:], ("page.jpg", "gone.jpg"), strict=True):
        assert isinstance(failure, Failure)
        assert name in failure.error


def test_a_long_header_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(draw(1, 300, 400)).save(tmp_path / "a.webp")
    monkeypatch.setattr("pipeline.plan.HEADER_BYTES", 64)
    asked = Row("x", str(tmp_path / "a.webp"), "/s.png", "x.png", StyleParams(size=200), "rows.csv", 1)
    assert output_shapes([asked]) == [(150, 200)]


def test_a_picture_of_another_id_is_not_overwritten() -> None:
    first, other = row(1, StyleParams()), row(2, StyleParams())
    owners = {first.output: first.id, other.output: "someone else"}
    work = plan(
        [first, other],
        encoder_sha256="e",
        finished={},
        owners=owners,
        batch_size=4,
        shape_of=lambda todo: [(64, 64) for _ in todo],
    )
    failures = {p.row.id: p.failure for batch in work.batches for p in batch.rows}
    assert failures["row1"] is None
    assert failures["row2"] is not None
    assert "someone else" in failures["row2"].error


def test_what_an_actor_cannot_hold_fails_and_the_rest_is_cut_to_fit() -> None:
    shapes = [(1000, 1000)] * 5 + [(4000, 4000)]
    work = plan(
        [row(n, StyleParams()) for n in range(6)],
        encoder_sha256="e",
        finished={},
        batch_size=10,
        memory=2.5e6 * BYTES_PER_PIXEL,
        shape_of=lambda todo: list(shapes),
    )
    *fitting, refused = work.batches
    assert [len(batch.rows) for batch in fitting] == [2, 2, 1]
    assert refused.rows[0].failure is not None
    assert "4000 x 4000 px need about" in refused.rows[0].failure.error
