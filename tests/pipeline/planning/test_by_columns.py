"""A plan by columns is the plan that rows come to one by one: the same fingerprints, the same batches, in any order."""

from collections.abc import Iterable
from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import Row, Rows, former_output
from pipeline.manifest.names import default_output
from pipeline.outputs import Pairs
from pipeline.planning import Batch, Crashes, Failure, History, Limits, RowKey, plan
from pipeline.planning.fingerprint import fingerprints
from tests.pipeline.support import row_by_row

PARAMS = [
    StyleParams(),
    StyleParams(seed=1),
    StyleParams(seed=2**63 - 1, size=64),
    StyleParams(iterations=(7,), save_every=2, animation="gif"),
    StyleParams(init="/start.png"),
    StyleParams(content_mask="/m.png|/n.png", style_mask="/o.png|/p.png"),
    StyleParams.of({"preset": "gatys2015", "style_weight": 3}),
]
STYLES = [None, "/s.png", '/t ü".png', "/a.png|/b.png", "/c1.png"]
SHAPES: list[tuple[int, int] | Failure] = [
    (64, 64),
    (48, 64),
    (3000, 2000),
    Failure("StorageError", "gone"),
    Failure("ImageError", "no picture"),
]
LIMITS = st.builds(
    Limits,
    rows=st.integers(1, 9),
    pixels=st.none() | st.sampled_from([4096, 65_536]),
    memory=st.none() | st.floats(1e8, 2e10),
    precision=st.sampled_from(["fp32", "bf16"]),
    workers=st.integers(1, 5),
    work=st.none() | st.floats(1e11, 1e14),
)
RANDOM = st.integers(0, 2**32).map(Random)
"""What is drawn at random, by its seed: `st.randoms` takes as long for each number as for a seed."""


@st.composite
def manifests(draw: st.DrawFn, most: int = 30) -> list[Row]:
    count = draw(st.integers(0, most))
    rows = []
    for number in range(count):
        content = draw(st.sampled_from([None, *(f"/c{n}.png" for n in range(6)), "s3://b/ü?versionId=1"]))
        style, params = draw(st.sampled_from(STYLES)), draw(st.sampled_from(PARAMS))
        shape = draw(st.sampled_from([None, (30, 40)]))
        id = draw(st.sampled_from([f"r{number}", f"{number:016x}"]))
        output = draw(st.sampled_from([f"o/{number}.png", default_output(id, content, style)]))
        rows.append(Row(id, content, style, output, params, "rows.csv", number, shape))
    return rows


def identities(random: Random) -> dict[str, str | storage.StorageError]:
    """Of every picture there may be; some have none."""
    named = [
        *(f"/c{n}.png" for n in range(6)), "s3://b/ü?versionId=1", "/s.png", "/t ü\".png", "/a.png", "/b.png",
        *(f"/{name}.png" for name in ("start", "m", "n", "o", "p")),
    ]  # fmt: skip
    return {uri: storage.StorageError("gone") if random.random() < 0.2 else f'"{random.random()}' for uri in named}


def history_of(rows: Iterable[Row], marks: dict[str, str], random: Random) -> History:
    """What some earlier run may have left of these rows: done, changed since, taken, held, crashed."""
    finished: dict[str, str] = {}
    owners: dict[str, str] = {}
    held: dict[str, str] = {}
    framed: dict[str, str] = {}
    crashes: dict[RowKey, Crashes] = {}
    for row in rows:
        mark = random.choice([marks[row.id], marks[row.id][:8] + "00000000", "0" * 16])
        for kept, value in ((finished, mark), (held, mark), (framed, random.choice(["gif", ""]))):
            if random.random() < 0.3:
                kept[row.id] = value
        if random.random() < 0.4:
            owners[random.choice([row.output, former_output(row.id)])] = random.choice([row.id, "other"])
        if random.random() < 0.3:
            crashes[row.id, mark] = Crashes(*(random.choice([0, 0, 1, 3]) for _ in range(3)))
    return History(finished, owners, held, crashes, framed)


def as_columns(history: History) -> History:
    """The same, with mappings in columns."""
    return History(
        Pairs.of(history.finished), Pairs.of(history.owners), history.quarantined, history.crashes, history.framed
    )


@given(manifests(), RANDOM)
def test_fingerprints_by_columns_are_those_of_each_row(rows: list[Row], random: Random) -> None:
    known = identities(random)
    expected = [row_by_row.fingerprint(row, "e", known) for row in rows]
    assert fingerprints(Rows.of(rows, "e"), lambda _: known).texts.to_pylist() == expected


@given(manifests(), LIMITS, RANDOM)
def test_a_plan_by_columns_is_that_of_rows_one_by_one(rows: list[Row], limits: Limits, random: Random) -> None:
    known, shapes = identities(random), {row.id: random.choice(SHAPES) for row in rows}
    history = history_of(rows, {row.id: row_by_row.fingerprint(row, "e", known) for row in rows}, random)
    asked: dict[str, Any] = {
        "encoder_sha256": "e",
        "limits": limits,
        "shape_of": lambda some: [shapes[row.id] for row in some],
        "identify": lambda _: known,
    }
    batches, done, quarantined = row_by_row.plan_row_by_row(rows, history=history, **asked)
    for one in (rows, random.sample(rows, len(rows)), Rows.of(rows, "e").at(np.arange(len(rows))[::-1])):
        work = plan(one, history=random.choice([history, as_columns(history)]), **asked)
        assert list(work.batches) == batches
        assert (work.done, work.quarantined, work.rows) == (done, quarantined, sum(len(b.rows) for b in batches))


@given(manifests(), LIMITS, st.integers(0, 40), st.integers(0, 40))
def test_some_of_the_batches_are_those_of_the_whole(rows: list[Row], limits: Limits, start: int, end: int) -> None:
    work = plan(
        rows,
        encoder_sha256="e",
        limits=limits,
        shape_of=lambda some: [(64, 48) for _ in some],
        identify=lambda uris: dict.fromkeys(uris, "1"),
    )
    whole: list[Batch] = list(work.batches)
    assert list(work.batches[start:end]) == whole[start:end]
    assert list(work.batches[start:][:end]) == whole[start:][:end]
    assert [work.batches[place] for place in range(-len(whole), 0)] == whole
