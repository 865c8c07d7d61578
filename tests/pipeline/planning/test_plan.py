"""Rows in batches: every row in exactly one, equal shapes together, what is done left out."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import derive_id
from pipeline.manifest.names import default_output
from pipeline.manifest.row import Row
from pipeline.planning import cost
from pipeline.planning.batch import Failure
from pipeline.planning.cutting import evenly
from pipeline.planning.fingerprint import fingerprint
from pipeline.planning.history import History
from pipeline.planning.limits import ASSUMED_MEMORY, Limits
from pipeline.planning.plan import Plan, plan
from pipeline.planning.shapes import output_shapes
from tests.support import draw

SHAPES = st.sampled_from([(64, 64), (48, 64), (3000, 2000)])
PARAMS = st.sampled_from(
    [
        StyleParams(),
        StyleParams(seed=1),
        StyleParams(style_weight=3),
        StyleParams(iterations=(7,)),
        StyleParams(pooling="max"),
    ]
)


def row(number: int, params: StyleParams, style: str = "/s.png", content: str | None = None) -> Row:
    name = f"row{number}"
    return Row(name, content or f"/c{number}.png", style, f"{name}.png", params, "rows.csv", number)


Asked = Sequence[tuple[Row, tuple[int, int] | Failure]]

STYLES = st.sampled_from(["/a.png", "/b.png", "/c.png"])

LIMITS = st.builds(
    Limits,
    rows=st.integers(1, 9),
    pixels=st.none() | st.sampled_from([4096, 65_536]),
    memory=st.none() | st.floats(1e7, 2e10),
    precision=st.sampled_from(["fp32", "bf16"]),
    workers=st.integers(1, 5),
    work=st.none() | st.floats(1e11, 1e14),
)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    params = draw(st.lists(PARAMS, max_size=40))
    outcome = SHAPES | st.just(Failure("StorageError", "gone"))
    return [
        (row(number, p, draw(STYLES), f"/c{draw(st.integers(0, 9))}.png"), draw(outcome))
        for number, p in enumerate(params)
    ]


def unchanged(uris: Iterable[str]) -> dict[str, str | storage.StorageError]:
    """Pictures that stay as they are."""
    return dict.fromkeys(uris, "1")


def planned(rows: Asked, limits: Limits | None = None) -> Plan:
    known = {r.id: shape for r, shape in rows}
    return plan(
        [r for r, _ in rows],
        encoder_sha256="e",
        limits=limits,
        shape_of=lambda todo: [known[r.id] for r in todo],
        identify=unchanged,
    )


def same(count: int, limits: Limits, shape: tuple[int, int] = (64, 64)) -> list[int]:
    """Rows of each batch where all rows are alike."""
    return [
        len(batch.rows) for batch in planned([(row(n, StyleParams()), shape) for n in range(count)], limits).batches
    ]


@given(asked(), LIMITS)
def test_every_row_is_in_exactly_one_batch_of_its_kind(rows: Asked, limits: Limits) -> None:
    work = planned(rows, limits)
    assert work.rows == len(rows)
    assert Counter(p.row.id for batch in work.batches for p in batch.rows) == Counter(r.id for r, _ in rows)
    for batch in work.batches:
        if batch.rows[0].failure:
            assert all(p.failure and p.shape is None for p in batch.rows)
        else:
            assert len({(p.shape, p.row.params.graph) for p in batch.rows}) == 1


@given(asked(), LIMITS)
def test_no_batch_is_above_its_limits(rows: Asked, limits: Limits) -> None:
    for batch in planned(rows, limits).batches:
        shape, params = batch.rows[0].shape, batch.rows[0].row.params
        if shape is None:
            continue
        needed = len(batch.rows) * cost.memory(params, shape, precision=limits.precision, saving=batch.saving)
        assert needed <= (limits.memory or max(ASSUMED_MEMORY, needed / len(batch.rows)))
        assert len(batch.rows) <= limits.rows
        assert len(batch.rows) == 1 or not limits.work or cost.work(batch.rows) <= limits.work * (1 + 1e-9)
        assert len(batch.rows) == 1 or not limits.pixels or len(batch.rows) * shape[0] * shape[1] <= limits.pixels
        assert batch.saving == "nothing" or len(batch.rows) == 1


@given(asked(), LIMITS, st.integers(0, 2**32).map(Random))
def test_the_order_of_the_manifest_has_no_say(rows: Asked, limits: Limits, random: Random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert planned(shuffled, limits) == planned(rows, limits) == planned(rows, limits)


@given(asked(), LIMITS)
def test_a_bucket_goes_through_its_styles_one_by_one(rows: Asked, limits: Limits) -> None:
    seen: defaultdict[object, list[tuple[str | None, str | None]]] = defaultdict(list)
    for batch in planned(rows, limits).batches:
        key = (batch.rows[0].shape, batch.rows[0].row.params.graph)
        seen[key if batch.rows[0].shape else "failed"] += [(p.row.style, p.row.content) for p in batch.rows]
    for pairs in seen.values():
        assert pairs == sorted(pairs, key=lambda pair: (pair[0] or "", pair[1] or ""))


@given(st.integers(0, 60), st.integers(1, 20))
def test_the_longer_parts_come_first(count: int, parts: int) -> None:
    """Batches with more work are computed first: a shorter one between them would leave the order of styles."""
    lengths = [length for length, times in evenly(count, parts) for _ in range(times)]
    assert sum(lengths) == count
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) == min(count, parts)
    assert not lengths or lengths[0] - lengths[-1] <= 1


@given(asked(), LIMITS)
def test_most_work_comes_first_and_is_shared(rows: Asked, limits: Limits) -> None:
    batches = [batch for batch in planned(rows, limits).batches if batch.rows[0].shape]
    lengths = [cost.work(batch.rows) for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    for batch, length in zip(batches, lengths, strict=True):
        a_row = length / len(batch.rows)
        assert length <= sum(lengths) / limits.workers + a_row * (1 + 1e-6)


@given(st.integers(1, 30), st.integers(1, 8))
def test_no_actor_stays_idle_while_another_has_two_rows_to_do(count: int, workers: int) -> None:
    sizes = same(count, Limits(rows=100, workers=workers))
    assert len(sizes) == min(workers, count)
    assert max(sizes) == -(-count // workers)


def test_rows_are_spread_evenly_over_the_batches_that_are_needed() -> None:
    assert same(33, Limits()) == [17, 16]
    assert same(9, Limits(pixels=65_536), shape=(128, 128)) == [3, 3, 3]
    assert same(3, Limits(pixels=65_536), shape=(512, 512)) == [1, 1, 1]
    row_work = cost.multiply_adds(StyleParams(), (64, 64))
    assert same(10, Limits(work=3.5 * row_work)) == [3, 3, 2, 2]
    assert same(2, Limits(work=0.5 * row_work)) == [1, 1]
    assert same(250, Limits(rows=100)) == [84, 83, 83]


def test_a_small_bucket_is_not_cut_for_the_sake_of_workers_that_have_others() -> None:
    rows = [(row(n, StyleParams()), (16 + 16 * (n % 8), 128)) for n in range(64)]
    assert len(planned(rows, Limits(workers=2)).batches) == 8


@given(asked(), st.data())
def test_what_is_done_is_left_out_by_id_and_fingerprint(
    rows: list[tuple[Row, tuple[int, int] | Failure]], data: st.DataObject
) -> None:
    states = [data.draw(st.sampled_from(["new", "done", "stale"])) for _ in rows]
    finished = {
        r.id: fingerprint(r, "e", unchanged(r.uris())) if state == "done" else "another"
        for (r, _), state in zip(rows, states, strict=True)
        if state != "new"
    }
    work = plan(
        [r for r, _ in rows],
        encoder_sha256="e",
        history=History(finished),
        shape_of=lambda todo: [(64, 64) for _ in todo],
        identify=unchanged,
    )
    assert work.done == states.count("done")
    todo = {p.row.id for batch in work.batches for p in batch.rows}
    assert todo == {r.id for (r, _), state in zip(rows, states, strict=True) if state != "done"}


def test_a_fingerprint_changes_with_whatever_decides_the_picture() -> None:
    first = row(1, StyleParams(init="/i.png"))
    now = unchanged(first.uris())
    assert set(now) == {"/c1.png", "/s.png", "/i.png"}

    def mark(asked: Row, encoder: str = "e", **replaced: str | storage.StorageError) -> str:
        return fingerprint(asked, encoder, {**unchanged(asked.uris()), **{f"/{n}.png": v for n, v in replaced.items()}})

    marks = [
        mark(first),
        mark(first, "another encoder"),
        mark(row(2, StyleParams())),
        mark(row(1, StyleParams(seed=1))),
        mark(row(1, StyleParams(), style="/other.png")),
        mark(first, c1="2"),
        mark(first, s="2"),
        mark(first, i="2"),
        mark(first, c1=storage.StorageError("gone")),
    ]
    assert len(set(marks)) == len(marks)
    assert fingerprint(first, "e", now) == marks[0] == mark(first, unrelated="2")


@given(st.lists(st.sampled_from(["same", "replaced", "gone"]), min_size=1, max_size=12))
def test_rows_whose_pictures_changed_are_done_again_and_no_others(fates: list[str]) -> None:
    rows = [row(n, StyleParams()) for n in range(len(fates))]
    done = {r.id: fingerprint(r, "e", unchanged(r.uris())) for r in rows}
    now: dict[str, str | storage.StorageError] = {"/s.png": "1"}
    for r, fate in zip(rows, fates, strict=True):
        said = {"same": "1", "replaced": "2"}
        now[str(r.content)] = said.get(fate) or storage.StorageError("cannot look at it: it does not exist")

    def planned(asked: list[Row]) -> set[str]:
        work = plan(
            asked,
            encoder_sha256="e",
            history=History(done),
            shape_of=lambda todo: [(64, 64) for _ in todo],
            identify=lambda _: now,
        )
        return {p.row.id for batch in work.batches for p in batch.rows}

    assert planned(rows) == {r.id for r, fate in zip(rows, fates, strict=True) if fate == "replaced"}
    other = [dataclasses.replace(r, params=StyleParams(seed=7)) for r in rows]  # what is asked otherwise is tried
    assert planned(other) == {r.id for r in rows}


def test_shapes_come_from_headers(tmp_path: Path) -> None:
    picture = Image.fromarray(draw(1, 300, 400))
    picture.save(tmp_path / "wide.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    picture.save(tmp_path / "late.webp")  # its header alone does not do
    (tmp_path / "page.jpg").write_text("<html>")

    def asked(content: str | None, style: str = "wide.png", **parameters: object) -> Row:
        path = str(tmp_path / content) if content else None
        return Row("x", path, str(tmp_path / style), "x.png", StyleParams.of(parameters), "rows.csv", 1)

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


def test_a_picture_of_another_id_is_not_overwritten() -> None:
    first, other = row(1, StyleParams()), row(2, StyleParams())
    owners = {first.output: first.id, other.output: "someone else"}
    work = plan(
        [first, other],
        encoder_sha256="e",
        history=History(owners=owners),
        shape_of=lambda todo: [(64, 64) for _ in todo],
        identify=unchanged,
    )
    failures = {p.row.id: p.failure for batch in work.batches for p in batch.rows}
    assert failures["row1"] is None
    assert failures["row2"] is not None
    assert "someone else" in failures["row2"].error


@pytest.mark.parametrize(("known", "again"), [(True, False), (True, True), (False, True)])
def test_a_run_that_an_earlier_version_began_goes_on(known: bool, again: bool) -> None:
    """What it computed is done, and what is computed again takes the place of the picture that is there."""
    params, pictures = StyleParams(), ("/cat.png", "/night.png")
    id = derive_id(*pictures, params, "e")
    before = Row(id, *pictures, f"{id}.png", params, "rows.csv", 1)
    now = dataclasses.replace(before, output=default_output(id, *pictures))
    assert now.output == f"cat-night-{id}.png"
    finished = {} if again else {id: fingerprint(before, "e", unchanged(pictures))}
    work = plan(
        [now],
        encoder_sha256="e",
        history=History(finished=finished, owners={before.output: id} if known else {}),
        shape_of=lambda todo: [(64, 64) for _ in todo],
        identify=unchanged,
    )
    assert work.done == (not again)
    planned = [(p.row.output, p.owned) for batch in work.batches for p in batch.rows]
    assert planned == ([(before.output if known else now.output, known)] if again else [])


def test_what_an_actor_cannot_hold_fails_and_the_rest_is_cut_to_fit() -> None:
    million = cost.memory(StyleParams(), (1000, 1000), precision="fp32")
    twice = cost.memory(StyleParams(), (1000, 1000), precision="fp32", saving="checkpoint")
    assert twice < million
    just_too_large = (1000, int(1000 * 2.5 * million / twice) - 10)
    rows = [(row(n, StyleParams()), (1000, 1000)) for n in range(5)]
    rows += [(row(5, StyleParams()), (4000, 4000)), (row(6, StyleParams()), just_too_large)]
    work = planned(rows, Limits(memory=2.5 * million))
    alone, *fitting, refused = work.batches
    assert ([p.row.id for p in alone.rows], alone.saving) == (["row6"], "checkpoint")
    assert [(len(batch.rows), batch.saving) for batch in fitting] == [(2, "nothing"), (2, "nothing"), (1, "nothing")]
    assert refused.rows[0].failure is not None
    assert "4000 x 4000 px need about" in refused.rows[0].failure.error


def test_what_only_tiles_make_fit_is_computed_in_tiles() -> None:
    shape = (8192, 6144)
    at_once, in_tiles = (
        cost.memory(StyleParams(), shape, precision="bf16", saving=saving) for saving in ("checkpoint", "tiles")
    )
    assert in_tiles < 0.9 * at_once
    memory = (at_once + in_tiles) / 2
    (batch,) = planned([(row(1, StyleParams()), shape)], Limits(memory=memory, precision="bf16")).batches
    assert (batch.rows[0].failure, batch.saving) == (None, "tiles")


@given(shape=st.tuples(st.integers(64, 20_000), st.integers(64, 20_000)), memory=st.floats(1e8, 5e10))
def test_what_is_too_large_is_told_what_would_fit(shape: tuple[int, int], memory: float) -> None:
    """The largest side that the message names fits, one that is 16 px longer does not."""
    (batch,) = planned([(row(1, StyleParams()), shape)], Limits(memory=memory)).batches
    failure = batch.rows[0].failure

    def fits(side: int) -> bool:
        height, width = (max(1, round(each * side / max(shape))) for each in shape)
        fitting = cost.saving_that_fits(StyleParams(), (height, width), precision="fp32", available=memory)
        return fitting is not None

    if failure is None:
        assert cost.saving_that_fits(StyleParams(), shape, precision="fp32", available=memory) == batch.saving
        return
    assert failure.error_class == "TooLarge"
    side = cost.largest_side(StyleParams(), shape, precision="fp32", available=memory)
    assert f"at most {side}" in failure.error or not side
    assert side < max(shape)
    assert not side or fits(side)
    assert side + 16 >= max(shape) or not fits(side + 16)


def test_what_memory_holds_depends_on_the_precision() -> None:
    million = cost.memory(StyleParams(), (1000, 1000), precision="fp32")
    sizes = {
        precision: same(20, Limits(memory=4 * million, precision=precision), shape=(1000, 1000))[0]
        for precision in ("fp32", "bf16")
    }
    assert sizes["bf16"] > sizes["fp32"] == 4
    asked_for = [(row(n, StyleParams(precision="fp32")), (1000, 1000)) for n in range(20)]
    assert len(planned(asked_for, Limits(memory=4 * million, precision="bf16")).batches[0].rows) == 4


def test_shapes_snap_unless_the_row_forbids_it_or_has_no_content(tmp_path: Path) -> None:
    Image.fromarray(draw(1, 301, 403)).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")

    def shape(content: str | None, **parameters: object) -> object:
        params = StyleParams.of({"size": 256, **parameters})
        (found,) = output_shapes([Row("x", content, path, "x.png", params, "rows.csv", 1)])
        return found

    assert shape(path) == (192, 256)
    assert shape(path, aspect_tolerance=0) == (191, 256)
    assert shape(path, aspect_tolerance=0, size=512) == (301, 403)
    assert shape(path, size=512) == (300, 400)
    assert shape(None, content_weight=0, init="noise") == (191, 256)


def test_a_panorama_that_would_be_squeezed_fails_in_planning(tmp_path: Path) -> None:
    path = str(tmp_path / "pano.png")
    Image.fromarray(draw(1, 20, 800)).save(path)

    def shape(size: int) -> object:
        (found,) = output_shapes([Row("x", path, path, "x.png", StyleParams(size=size), "rows.csv", 1)])
        return found

    assert shape(800) == (20, 800)
    narrow = shape(256)
    assert isinstance(narrow, Failure)
    assert narrow.error_class == "ImageError"
    assert path in narrow.error
    assert "set size to 640 or more" in narrow.error


@pytest.mark.parametrize(
    ("params", "framed", "is_done"),
    [
        ({}, None, True),
        ({"save_every": 5}, None, False),
        ({"save_every": 5}, "", True),
        ({"save_every": 5}, "gif", True),
        ({"save_every": 5, "animation": "webp"}, "", False),
        ({"save_every": 5, "animation": "webp"}, "gif", False),
        ({"save_every": 5, "animation": "webp"}, "webp", True),
        ({}, "webp", True),
    ],
)
def test_a_row_that_is_done_is_computed_again_only_for_pictures_on_the_way_that_it_lacks(
    params: dict[str, object], framed: str | None, is_done: bool
) -> None:
    """Which of them there are is no part of its fingerprint."""
    wanted = row(1, StyleParams.of(params))
    print_of = {wanted.id: fingerprint(row(1, StyleParams()), "e", dict.fromkeys(wanted.uris(), "x"))}
    history = History(print_of, framed={} if framed is None else {wanted.id: framed})
    made = plan(
        [wanted],
        encoder_sha256="e",
        history=history,
        shape_of=lambda rows: [(64, 64)] * len(rows),
        identify=lambda uris: dict.fromkeys(uris, "x"),
    )
    assert (made.done, made.rows) == ((1, 0) if is_done else (0, 1))
