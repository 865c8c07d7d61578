"""What a plan comes to, before anything runs."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_kernel import PARAMETERS, StyleParams
from nst_kernel.cost import macs_of_statistics, macs_per_pixel
from pipeline.cluster.actor_pool import CPU_BATCH_PIXELS, ActorPool
from pipeline.encoder import outline_of
from pipeline.flow.estimate import SHARED_SETTINGS, Rate, estimate, measure_rate, summarise
from pipeline.manifest.row import Row
from pipeline.manifest.validate import validate
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from pipeline.planning import cost
from pipeline.planning.batch import Failure, PlannedRow
from pipeline.planning.plan import plan
from tests.support import draw, encoder

POOL = ActorPool(2, num_cpus=1, num_gpus=0, threads=1, memory=8e9)
ALONE = StyleParams(size=64, scales=(), iterations=(10,))


def row(number: int, params: StyleParams, style: str = "/s.png") -> Row:
    return Row(f"row{number}", f"/c{number}.png", style, f"row{number}.png", params, "rows.csv", number)


def test_work_is_counted_scale_by_scale() -> None:
    once = StyleParams(size=64, scales=(), iterations=(1,))
    forward_and_back = 2 * 48 * 64 * macs_per_pixel(once)
    assert cost.multiply_adds(once, (48, 64)) == pytest.approx(forward_and_back)
    assert cost.evaluations(ALONE, (48, 64)) == 10
    assert cost.multiply_adds(ALONE, (48, 64)) == pytest.approx(10 * forward_and_back)
    coarse_first = StyleParams(size=64, scales=(32,), iterations=(8, 10))
    assert cost.evaluations(coarse_first, (48, 64)) == 18
    assert cost.multiply_adds(coarse_first, (48, 64)) == pytest.approx((10 + 8 / 4) * forward_and_back)
    rooted = dataclasses.replace(coarse_first, statistics="w2")
    expected = (10 + 8 / 4) * forward_and_back + 18 * macs_of_statistics(rooted)
    assert cost.multiply_adds(rooted, (48, 64)) == pytest.approx(expected)


def test_a_plan_in_numbers() -> None:
    rows = [row(n, ALONE, f"/s{n % 2}.png") for n in range(5)]
    rows += [row(5, StyleParams(size=64, scales=(), iterations=(10,), pooling="max")), row(6, ALONE)]
    shapes = {r.id: (48, 64) for r in rows}
    broken = Failure("StorageError", "gone")
    work = plan(
        rows,
        encoder_sha256="e",
        limits=POOL.limits(2),
        shape_of=lambda todo: [broken if r.id == "row6" else shapes[r.id] for r in todo],
    )
    a_row = cost.multiply_adds(ALONE, (48, 64))
    found = summarise(work, POOL, Rate(a_row, "as given"), duplicates=3)
    first, second = found.buckets
    assert (first.rows, first.styles, first.batches, first.rows_per_batch) == (5, 2, 3, 2)
    assert (second.rows, second.styles, second.batches, second.rows_per_batch) == (1, 1, 1, 1)
    assert (first.settings, second.settings) == ({"pooling": "avg"}, {"pooling": "max"})
    assert first.memory == 2 * cost.memory(ALONE, (48, 64), precision="fp32")
    assert found.failures == (("row6", broken),)
    assert (found.rows, found.batches, found.evaluations, found.duplicates) == (6, 4, 60, 3)
    assert found.multiply_adds == pytest.approx(6 * a_row)
    assert found.device_seconds == pytest.approx(6)
    assert found.seconds == pytest.approx(3)  # batches of 2, 2, 1 and 1 rows on two actors
    assert found.dollars(3600) == pytest.approx(6)
    assert json.loads(json.dumps(found.to_json()))["buckets"][0]["shape"] == [48, 64]


@given(st.integers(1, 40), st.integers(1, 6))
def test_time_is_between_even_shares_and_all_in_a_row(count: int, workers: int) -> None:
    pool = ActorPool(workers, num_cpus=1, num_gpus=0, threads=1)
    work = plan(
        [row(n, ALONE) for n in range(count)],
        encoder_sha256="e",
        limits=pool.limits(),
        shape_of=lambda todo: [(16 + int(r.id[3:]) % 3, 64) for r in todo],
    )
    found = summarise(work, pool, Rate(1e9, "as given"))
    assert found.device_seconds / workers <= found.seconds * (1 + 1e-9)
    assert found.seconds <= found.device_seconds * (1 + 1e-9)


def test_every_shared_setting_has_its_name() -> None:
    for name, value in zip(SHARED_SETTINGS, ALONE.graph, strict=True):
        assert name in PARAMETERS
        assert value in (getattr(ALONE, name), 0)


def test_a_rate_is_measured_on_this_machine() -> None:
    assert 1e7 < measure_rate(encoder(), StyleParams(), threads=1) < 1e16


def test_from_a_manifest_and_without_what_is_done(tmp_path: Path) -> None:
    for name in ("a", "b", "s"):
        Image.fromarray(draw(1, 96, 128)).save(tmp_path / f"{name}.png")
    manifest, output = tmp_path / "rows.csv", tmp_path / "out"
    manifest.write_text("id,content,style\na,a.png,s.png\nb,b.png,s.png\nlost,gone.png,s.png\n")
    before = sorted(tmp_path.rglob("*"))

    def found(*, overwrite: bool = False) -> tuple[int, int, int]:
        of = estimate(
            str(manifest),
            RunOptions(output=str(output), resources=Resources(num_actors=1), overwrite=overwrite),
            rate=1e9,
        )
        return of.rows, of.done, len(of.failures)

    assert found() == (2, 0, 1)
    assert sorted(tmp_path.rglob("*")) == before
    of = estimate(str(manifest), RunOptions(resources=Resources(num_actors=1)), rate=1e9)
    assert (of.actors, of.rate) == (1, Rate(1e9, "as given"))
    assert of.buckets[0].shape == (96, 128)
    assert 128 * 96 * of.buckets[0].rows_per_batch <= CPU_BATCH_PIXELS
    done = [
        {"id": planned.row.id, "fingerprint": planned.fingerprint, "status": "ok", "output": f"{planned.row.id}.png"}
        for planned in _sound_rows(str(manifest))
    ]
    result_table.commit(str(output), [{**each, "finished_at": provenance.now()} for each in done])
    assert found() == (0, 2, 1)
    assert found(overwrite=True) == (2, 0, 1)


def _sound_rows(manifest: str) -> list[PlannedRow]:
    asked = validate(manifest)
    work = plan(asked.rows, encoder_sha256=outline_of("embedded").sha256)
    return [planned for batch in work.batches for planned in batch.rows if not planned.failure]


def test_rows_that_a_run_leaves_alone_or_refuses_are_not_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "s"):
        Image.fromarray(draw(1, 96, 128)).save(tmp_path / f"{name}.png")
    manifest, output = tmp_path / "rows.csv", tmp_path / "out"
    manifest.write_text("id,content,style,output\na,a.png,s.png,\nheld,b.png,s.png,\ntaken,c.png,s.png,mine.png\n")
    (held,) = (planned for planned in _sound_rows(str(manifest)) if planned.row.id == "held")
    rows = [
        {"id": "held", "fingerprint": held.fingerprint, "status": "quarantined", "output_name": "held.png"},
        {"id": "another", "fingerprint": "f", "status": "ok", "output_name": "mine.png"},
    ]
    result_table.commit(str(output), [{**row, "finished_at": provenance.now()} for row in rows])
    options = RunOptions(output=str(output), resources=Resources(num_actors=1))
    of = estimate(str(manifest), options, rate=1e9)
    assert of.rows == 1
    assert [(name, failure.error_class) for name, failure in of.failures] == [("taken", "OutputTaken")]
