"""Runs of a grid: ids, what is continued, the pointer to the last complete one, what is kept."""

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nst_kernel import LayerMissing, StyleParams
from pipeline import storage
from pipeline.flow import RunBroken, run_rows
from pipeline.grids import history
from pipeline.grids.expand import combination_id
from pipeline.manifest.row import ManifestError, Row
from pipeline.options import Encoding, FailureLimit, Resources, RunOptions
from pipeline.outputs import Progress, grid_runs, layout, provenance
from pipeline.planning import Fetched, Optimised
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.specs.grid import Keep
from tests.bench.stub import StubKernel
from tests.support import draw, random_weights
from tests.support.without_ray import without_ray

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)


def row(size: int) -> Row:
    given = {"size": size}
    return Row(combination_id("c", "s", given), "c.jpg", "s.jpg", f"{size}.png", StyleParams(size=size), "grid", 1)


ROWS = [row(64), row(96)]


class Dying(StubKernel):
    """Ends its run after the first row."""

    rows = 0

    def __call__(self, fetched: Fetched) -> Optimised:
        if self.rows:
            raise RunBroken("the lights went out")
        self.rows += 1
        return super().__call__(fetched)


compute = partial(run_rows, kernel=StubKernel)
die = partial(run_rows, kernel=Dying)


class Output:
    """A grid's output, and runs of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uri = str(folder / "out")
        self.monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for seed, name in enumerate(("c.jpg", "s.jpg")):
            Image.fromarray(draw(seed, 24, 32)).save(name)

    def run(
        self,
        now: datetime = NOW,
        rows: Sequence[Row] = ROWS,
        keep: Keep | None = None,
        compute: Callable[..., Progress] = compute,
    ) -> str:
        """The id of the run that it was."""
        self.monkeypatch.setattr(provenance, "now", lambda: now)
        with without_ray(), contextlib.suppress(RunBroken):
            self.monkeypatch.setattr(history, "run_rows", compute)
            options = RunOptions(output=self.uri, resources=Resources(batch_size=1))
            history.run_grid(rows, options, name="g", keep=keep, now=now)
        return grid_runs.all_runs(self.uri)[0].id

    @property
    def folders(self) -> set[str]:
        return {path.name for path in Path(self.uri, "runs").iterdir()}


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Output:
    return Output(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an output of one run, to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        Output(folder, patch).run()
    return folder


@pytest.fixture
def done(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Output:
    """An output of one run, which is complete."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return Output(tmp_path, monkeypatch)


def test_a_run_has_an_id_and_a_date_and_is_pointed_to(output: Output) -> None:
    assert grid_runs.latest(output.uri) is None
    assert grid_runs.all_runs(output.uri) == []
    id = output.run()
    assert id.startswith("2026-11-21T021500Z-")
    assert grid_runs.latest(output.uri) == f"{output.uri}/runs/{id}"
    (grid_run,) = grid_runs.all_runs(output.uri)
    assert grid_run.is_complete
    assert (grid_run.rows, grid_run.counts, grid_run.name, grid_run.began_at) == (2, {"ok": 2}, "g", NOW)
    said = json.loads(Path(output.uri, "latest.json").read_text())
    assert (said["run"], said["folder"], said["counts"]) == (id, f"runs/{id}", {"ok": 2})
    assert not Path(output.uri, "run.lock").exists()


def test_each_run_is_a_run_of_its_own(output: Output) -> None:
    first, second = output.run(), output.run(NOW + timedelta(days=1))
    assert first != second
    assert first[-8:] == second[-8:]
    assert [grid_run.id for grid_run in grid_runs.all_runs(output.uri)] == [second, first]
    assert grid_runs.latest(output.uri) == layout.run_folder(output.uri, second)
    assert output.run(NOW + timedelta(days=1)) not in (first, second)


def test_a_run_that_broke_off_is_continued_and_not_pointed_to(output: Output) -> None:
    before = output.run(NOW - timedelta(days=1))
    broken = output.run(NOW, compute=die)
    assert not grid_runs.all_runs(output.uri)[0].is_complete
    assert grid_runs.latest(output.uri) == layout.run_folder(output.uri, before)
    later = NOW + timedelta(hours=6)
    assert output.run(later) == broken
    assert len(grid_runs.all_runs(output.uri)) == 2
    assert grid_runs.all_runs(output.uri)[0].finished_at == later
    assert grid_runs.all_runs(output.uri)[0].counts == {"ok": 2}  # of the whole run, both its parts
    assert grid_runs.latest(output.uri) == layout.run_folder(output.uri, broken)


def test_another_grid_or_another_day_is_another_run(output: Output) -> None:
    broken = output.run(NOW, compute=die)
    other = output.run(NOW + timedelta(hours=1), rows=[row(64), row(128)])
    assert other[-8:] != broken[-8:]
    assert output.run(NOW + timedelta(hours=25)) not in (broken, other)
    assert {grid_run.id for grid_run in grid_runs.all_runs(output.uri) if not grid_run.is_complete} == {broken}


def test_the_run_at_work_is_of_its_own_grid_and_of_now(output: Output) -> None:
    others = [row(64), row(128)]
    broken = output.run(NOW - timedelta(hours=30), compute=die)
    output.run(NOW, rows=others, compute=die)
    grid = broken[-8:]

    def at_work() -> str | None:
        return history.run_at_work(output.uri, grid, started_at=NOW)

    assert at_work() is None, "neither another grid's nor one that broke off on another day"
    seen = []

    def looking(rows: Sequence[Row], options: RunOptions, **words: Any) -> Progress:
        seen.append((at_work(), options.output))
        return compute(rows, options, **words)

    output.run(NOW + timedelta(minutes=1), compute=looking)
    assert seen[0][0] == seen[0][1]
    assert at_work() is None, "it has come to its end"


def test_the_order_of_rows_has_no_say() -> None:
    assert history.grid_of(ROWS, "e") == history.grid_of(ROWS[::-1], "e")
    assert history.grid_of(ROWS, "e") != history.grid_of(ROWS, "f")
    assert history.grid_of(ROWS, "e") != history.grid_of(ROWS[:1], "e")


@settings(max_examples=5)
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 4))
def test_so_many_runs_are_kept(tmp_path_factory: pytest.TempPathFactory, whole: list[bool], count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        output = Output(tmp_path_factory.mktemp("runs"), patch)
        ids = []
        for day, complete in enumerate(whole):
            now = NOW + timedelta(days=2 * day)
            ids.append((output.run(now, keep=Keep(runs=count), compute=compute if complete else die), complete))
        kept = [id for id, complete in ids if complete][-count:] + [id for id, complete in ids if not complete]
        assert {grid_run.id for grid_run in grid_runs.all_runs(output.uri)} == output.folders == set(kept)


def test_so_many_days_are_kept_and_always_the_latest(output: Output) -> None:
    keep = Keep(days=3)
    first = output.run(NOW, keep=keep)
    second = output.run(NOW + timedelta(days=2), keep=keep)
    assert output.folders == {first, second}
    third = output.run(NOW + timedelta(days=4), keep=keep)
    assert output.folders == {second, third}
    assert history.clear(output.uri, keep, now=NOW + timedelta(days=90)) == [second]
    assert output.folders == {third}
    assert [grid_run.id for grid_run in grid_runs.all_runs(output.uri)] == [third]


def test_a_run_that_either_rule_names_is_kept(output: Output) -> None:
    ids = [output.run(NOW + timedelta(days=day)) for day in range(5)]
    assert history.clear(output.uri, Keep(runs=1, days=2.5), now=NOW + timedelta(days=4)) == [ids[1], ids[0]]


def test_what_is_worked_on_stays(done: Output) -> None:
    (first,) = done.folders
    with RunLock(layout.run_folder(done.uri, first), lease=1e6):  # days pass in this test
        second = done.run(NOW + timedelta(days=1), keep=Keep(runs=1))
        assert {grid_run.id for grid_run in grid_runs.all_runs(done.uri)} == {first, second}
        assert Path(done.uri, "runs", first, "images", "64.png").exists()
    done.run(NOW + timedelta(days=2), keep=Keep(runs=1))
    assert len(grid_runs.all_runs(done.uri)) == 1


def test_a_deletion_that_died_is_no_complete_run_and_is_finished_later(
    done: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = done.folders
    with monkeypatch.context() as patch:

        def refuse(_: str, *, inside: str) -> None:
            raise storage.StorageError("the disk is gone")

        patch.setattr(storage, "remove_folder", refuse)
        with pytest.raises(storage.StorageError, match="the disk is gone"):
            done.run(NOW + timedelta(days=1), keep=Keep(runs=1))
    states = {grid_run.id: grid_run.is_complete for grid_run in grid_runs.all_runs(done.uri)}
    assert states.pop(first) is False
    assert list(states.values()) == [True]
    done.run(NOW + timedelta(days=2), keep=Keep(runs=5))
    assert first not in {grid_run.id for grid_run in grid_runs.all_runs(done.uri)}


def test_one_run_at_a_time(output: Output) -> None:
    def meanwhile(rows: Sequence[Row], options: RunOptions, **_: object) -> Progress:
        with pytest.raises(Locked):
            history.run_grid(ROWS, RunOptions(output=output.uri), name="g")
        return compute(rows, options)

    output.run(compute=meanwhile)
    assert len(grid_runs.all_runs(output.uri)) == 1


def test_layers_that_the_encoder_lacks_start_nothing(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "outline_of", lambda _: random_weights(deepest="conv1_1").outline)
    with pytest.raises(LayerMissing):
        random_weights(deepest="conv1_1").check_covers(ROWS[0].params.layers)
    with pytest.raises(ManifestError, match="have no layer"):
        history.run_grid(ROWS, RunOptions(output=output.uri), name="g")
    assert not Path(output.uri).exists()


def test_a_history_that_cannot_be_read_is_said(output: Output) -> None:
    storage.write_bytes(f"{output.uri}/history/x.json", b"{}")
    with pytest.raises(storage.StorageError, match=r"x\.json.*Delete it"):
        grid_runs.all_runs(output.uri)


def planted(output: Output, name: str, **changed: object) -> None:
    """A record that somebody else has written into the history."""
    (real, *_) = grid_runs.all_runs(output.uri)
    record = json.loads(storage.read_bytes(layout.history_file(output.uri, real.id)))
    storage.write_bytes(f"{output.uri}/history/{name}.json", json.dumps(record | changed).encode())


OTHER = "2026-11-20T021500Z-0123abcd"


@pytest.mark.parametrize("name", ["x", OTHER])
@pytest.mark.parametrize(
    "id", ["", ".", "..", "x", "../victim", "../../victim", "/victim", f"{OTHER}/../..", f"{OTHER}x", 7, None, [OTHER]]
)
def test_a_record_with_an_id_of_its_own_deletes_nothing(done: Output, id: object, name: str) -> None:
    (first,) = done.folders
    victim = Path(done.uri).parent / "victim"
    for folder in (victim, Path(done.uri) / "victim"):
        folder.mkdir()
        (folder / "a.png").write_bytes(b"mine")
    planted(done, name, id=id, leaving=True)
    with pytest.raises(storage.StorageError, match=rf"{name}\.json: id .*Delete it"):
        history.clear(done.uri, Keep(runs=1), now=NOW)
    assert (victim / "a.png").exists()
    assert (Path(done.uri) / "victim" / "a.png").exists()
    assert done.folders == {first}


def test_a_record_speaks_for_no_other_run(output: Output) -> None:
    ids = {output.run(), output.run(NOW + timedelta(days=1))}
    planted(output, OTHER, id=max(ids), leaving=True)
    with pytest.raises(storage.StorageError, match="expected that of the file's name"):
        history.clear(output.uri, Keep(runs=5), now=NOW)
    assert output.folders == ids


@pytest.mark.parametrize(
    "changed", [{"id": OTHER, "rows": "many"}, {"id": OTHER, "counts": []}, {"id": OTHER, "counts": {"ok": "x"}},
                {"id": OTHER, "leaving": "no"}, {"id": OTHER, "began_at": "2026-11-20T02:15:00"}, {"id": OTHER, "x": 1},
                {"id": OTHER, "finished_at": 7}],
)  # fmt: skip
def test_a_record_of_another_shape_is_said(done: Output, changed: dict[str, object]) -> None:
    planted(done, OTHER, **changed)
    with pytest.raises(storage.StorageError, match=rf"{OTHER}\.json.*Delete it"):
        grid_runs.all_runs(done.uri)


def test_a_run_that_is_a_link_is_deleted_as_a_link(done: Output) -> None:
    (first,) = done.folders
    victim = Path(done.uri).parent / "victim"
    victim.mkdir()
    (victim / "a.png").write_bytes(b"mine")
    planted(done, OTHER, id=OTHER, leaving=True)
    Path(layout.run_folder(done.uri, OTHER)).symlink_to(victim)
    assert history.clear(done.uri, Keep(runs=1), now=NOW) == [OTHER]
    assert [path.name for path in victim.iterdir()] == ["a.png"]
    assert done.folders == {first}


def test_a_bucket_keeps_its_runs(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(tmp_path, monkeypatch)
    output.uri = f"{bucket}/{tmp_path.name}/grid"
    output.run()
    before = storage.list_files(layout.runs_folder(output.uri))
    planted(output, "x", id="", leaving=True)
    with pytest.raises(storage.StorageError, match="Delete it"):
        history.clear(output.uri, Keep(runs=1), now=NOW)
    for folder in ("", ".", "..", "../history"):
        with pytest.raises(storage.StorageError, match="expected a place below"):
            storage.remove_folder(layout.run_folder(output.uri, folder), inside=layout.runs_folder(output.uri))
    assert storage.list_files(layout.runs_folder(output.uri)) == before


def test_keep_says_what() -> None:
    with pytest.raises(ValueError, match="how many"):
        Keep()


def test_a_long_run_is_kept_from_its_end_on(output: Output) -> None:
    """One that took 30 hours is two days old when it ended two days ago."""

    def slow(rows: Sequence[Row], options: RunOptions, **how: Any) -> Progress:
        output.monkeypatch.setattr(provenance, "now", lambda: NOW + timedelta(hours=30))
        return compute(rows, options, **how)

    long = output.run(NOW, compute=slow)
    after = NOW + timedelta(hours=30)
    output.run(after + timedelta(hours=1))
    assert history.clear(output.uri, Keep(days=2), now=after + timedelta(days=2)) == []
    assert history.clear(output.uri, Keep(days=2), now=after + timedelta(days=2, hours=1)) == [long]


def test_who_has_lost_the_lock_of_a_grid_points_to_nothing_and_deletes_nothing(done: Output) -> None:
    (first,) = done.folders
    held: list[RunLock] = []

    class Noted(RunLock):
        def __init__(self, *where: Any, **how: Any) -> None:
            super().__init__(*where, **how)
            held.append(self)

    def robbed(rows: Sequence[Row], options: RunOptions, **how: Any) -> Progress:
        progress = compute(rows, options, **how)
        held[0].lost = True
        return progress

    done.monkeypatch.setattr(history, "RunLock", Noted)
    with pytest.raises(Locked):
        done.run(NOW + timedelta(days=1), keep=Keep(runs=1), compute=robbed)
    assert grid_runs.latest(done.uri) == layout.run_folder(done.uri, first)
    assert first in done.folders


def test_options_reach_the_run_of_a_grid(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunOptions] = []

    def noting(rows: Sequence[Row], options: RunOptions, **how: Any) -> Progress:
        seen.append(options)
        return compute(rows, options, **how)

    monkeypatch.setattr(history, "run_rows", noting)
    how = RunOptions(
        output=output.uri,
        force=True,
        max_failures=FailureLimit(rows=3),
        stall_timeout=12.5,
        encoding=Encoding(quality=50),
    )
    with without_ray(), RunLock(output.uri):
        history.run_grid(ROWS, how, name="g")
    (grid_run,) = grid_runs.all_runs(output.uri)
    assert seen == [how.model_copy(update={"output": layout.run_folder(output.uri, grid_run.id)})]
