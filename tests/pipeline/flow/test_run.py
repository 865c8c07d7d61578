"""A run as it is told, what it refuses, and how it ends; in this process, with a stub in the place of the kernel."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import ExifTags, Image
from ray.util.metrics import Metric

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.encoder import outline_of
from pipeline.flow import RunBroken, TooManyFailures, run_rows
from pipeline.flow.batch_queue import Work
from pipeline.flow.run import run_slices
from pipeline.manifest import ManifestError, Row
from pipeline.options import Encoding, FailureLimit, Resources, RunOptions
from pipeline.outputs import Progress, commit, layout, provenance, read_results, summary
from pipeline.planning import Batch, Batches, Fetched, PlannedRow, fingerprint
from pipeline.recovery import LEASE_SECONDS, Ledger, RunLock, ledger
from pipeline.recovery.holder import this_process
from tests.bench.stub import StubKernel
from tests.pipeline.support.locks import noted_locks
from tests.support import draw
from tests.support.without_ray import flow

Outcomes = Generator[Mapping[str, Any]]


class Studio:
    """A folder with pictures, and runs of rows into an output."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, str(folder / "out")
        for number, name in enumerate(("a", "b", "s")):
            Image.fromarray(draw(number, 32, 32)).save(folder / f"{name}.png")

    def row(self, name: str, output: str = "", **params: Any) -> Row:
        """The row that gives the photo of this name a style."""
        content, style = (str(self.folder / (each if "." in each else f"{each}.png")) for each in (name, "s"))
        return Row(name, content, style, output or f"{name}.png", StyleParams(size=32, **params), "rows.csv", 1)

    def run(self, *rows: Row, kernel: Any = StubKernel, **options: Any) -> Progress:
        """Compute rows."""
        how = RunOptions(output=self.output, resources=Resources(batch_size=1), **options)
        return run_rows(rows, how, kernel=kernel)

    def results(self) -> dict[str, dict[str, Any]]:
        """By id."""
        return {row["id"]: row for row in read_results(self.output).to_pylist()}


@pytest.fixture
def studio(tmp_path: Path, without_ray: None) -> Studio:
    return Studio(tmp_path)


@pytest.fixture
def flow_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Outcomes]], None]:
    """Let runs compute in another way."""
    return lambda way: monkeypatch.setattr(import_module("pipeline.flow.run"), "flow", way)


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> list[RunLock]:
    """The locks of the runs of this test."""
    return noted_locks(monkeypatch, import_module("pipeline.flow.run"))


def test_rows_left_are_those_that_are_planned_so_far(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def note(metric: Metric, value: float, tags: dict[str, str] | None = None) -> None:
        if metric.info["name"] == "nst_rows_left":
            told.append(value)

    monkeypatch.setattr(Metric, "_record", note)
    how = RunOptions(output=studio.output, resources=Resources(batch_size=1))
    slices = [[studio.row("a")], [studio.row("b", style_weight=2.0)]]
    run_slices(slices, how, progress=Progress(0, 0), kernel=StubKernel)
    assert min(told) >= 0
    assert told[-2:] == [0, 0]


def test_the_picture_of_another_row_is_never_written_over(studio: Studio) -> None:
    studio.run(studio.row("a", "mine.png"))
    picture = Path(layout.picture_file(studio.output, "mine.png"))
    before = picture.read_bytes()
    assert studio.run(studio.row("b", "mine.png")).counts == {"failed": 1}
    assert picture.read_bytes() == before
    assert studio.results()["b"]["error_class"] == "OutputTaken"
    assert studio.results()["a"]["status"] == "ok"


def test_a_run_in_which_rows_get_lost_is_broken_off(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None]
) -> None:
    def losing(*work: Any, **how: Any) -> Outcomes:
        _, *others = flow(*work, **how)
        yield from others

    flow_is(losing)
    with pytest.raises(RunBroken, match="1 of 2 rows came to no outcome"):
        studio.run(studio.row("a"), studio.row("b"))
    assert summary.read(studio.output) == {}


def test_who_has_lost_the_lock_writes_nothing_more(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None], locks: list[RunLock]
) -> None:
    studio.run(studio.row("a"))
    before = summary.read(studio.output)

    def robbed(*work: Any, **how: Any) -> Outcomes:
        for outcome in flow(*work, **how):
            locks[-1].lost = True
            yield outcome

    flow_is(robbed)
    with pytest.raises(RunBroken, match="another run has taken"):
        studio.run(studio.row("b"))
    assert summary.read(studio.output) == before
    assert len(list(Path(studio.output, "results").iterdir())) == 2  # not merged


def test_a_lock_that_is_held_is_taken_by_force_alone(studio: Studio) -> None:
    with RunLock(studio.output):
        with pytest.raises(storage.StorageError, match="another run writes to"):
            studio.run(studio.row("a"))
        assert studio.run(studio.row("a"), force=True).counts == {"ok": 1}


def test_the_ledger_and_the_kernel_are_told_what_the_options_say(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None], locks: list[RunLock]
) -> None:
    seen: list[tuple[Ledger, RunOptions]] = []

    def noting(work: Work, options: RunOptions, writer: Any, pool: Any, notes: Ledger, **how: Any) -> Outcomes:
        seen.append((notes, options))
        yield from flow(work, options, writer, pool, notes, **how)

    flow_is(noting)
    studio.run(studio.row("a"), max_attempts=7, stall_timeout=12.5)
    ((notes, options),) = seen
    assert notes == Ledger(studio.output, locks[0].owner, 7, 12.5)
    assert options.weights == f"embedded#sha256={outline_of('embedded').sha256}"


def test_actors_read_the_weights_that_the_run_was_planned_for(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of weights that is replaced while a run goes on is refused by its digest."""
    monkeypatch.setattr(import_module("pipeline.encoder"), "load_encoder", None)  # it would load torch
    read: list[str] = []

    def kernel(weights: str, **options: Any) -> StubKernel:
        read.append(weights)
        return StubKernel(weights, **options)

    studio.run(studio.row("a"), kernel=kernel)
    assert read == [f"embedded#sha256={outline_of('embedded').sha256}"]


def test_a_run_that_is_hopeless_at_planning_computes_nothing(studio: Studio) -> None:
    def kernel(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is to be computed")

    rows = [studio.row("a"), studio.row("gone"), studio.row("lost")]
    with pytest.raises(TooManyFailures, match=r"2 rows failed at planning, more than the 1 of 3"):
        studio.run(*rows, kernel=kernel, max_failures=FailureLimit.parse("1"))
    assert studio.run(*rows, max_failures=FailureLimit.parse("2")).counts == {"ok": 1, "failed": 2}


class Failing(StubKernel):
    """Gives no row a picture."""

    def _result(self, _: Any) -> Any:
        from pipeline.planning import Failure

        return Failure("Oops", "no picture")


def test_a_run_stops_once_more_rows_failed_than_may(studio: Studio) -> None:
    with pytest.raises(TooManyFailures, match="1 row failed of 1 finished, more than the 0 of 2"):
        studio.run(studio.row("a"), studio.row("b"), kernel=Failing, max_failures=FailureLimit.parse("0"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_rows_at_work_when_a_run_is_stopped_are_not_suspected(
    stop: type[BaseException],
    studio: Studio,
    flow_is: Callable[[Callable[..., Outcomes]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(work: Work, _options: Any, _writer: Any, _pool: Any, notes: Ledger, **_: Any) -> Outcomes:
        notes.record("optimise", work.first[0].rows)
        raise stop
        yield

    flow_is(stopped)
    monkeypatch.setattr(ledger, "time", SimpleNamespace(sleep=lambda _: None))
    with pytest.raises(stop):
        studio.run(studio.row("a"))
    assert ledger.read_attempts(studio.output) == []


def planned(row: Row) -> PlannedRow:
    identities = storage.identities(list(row.uris()))
    return PlannedRow(row, fingerprint(row, outline_of("embedded").sha256, identities), (32, 32))


def quarantined(studio: Studio, row: Row) -> None:
    """Leave a quarantined row, with the records of its last attempts."""
    held = {"id": row.id, "fingerprint": planned(row).fingerprint, "status": "quarantined", "output_name": row.output}
    commit(studio.output, [held | {"finished_at": provenance.now()}])
    for _ in range(2):
        Ledger(studio.output, "an earlier run").record("optimise", [planned(row)])


def test_a_quarantined_row_is_left_alone_until_it_is_released(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None]
) -> None:
    row = studio.row("a")
    quarantined(studio, row)
    progress = studio.run(row)
    assert (progress.total, progress.quarantined_before) == (0, 1)
    seen: list[int] = []

    def noting(work: Work, *rest: Any, **how: Any) -> Outcomes:
        seen.append(len(ledger.read_attempts(studio.output)))
        yield from flow(work, *rest, **how)

    flow_is(noting)
    quarantined(studio, row)
    progress = studio.run(row, release=True)
    assert (progress.counts, progress.quarantined_before) == ({"ok": 1}, 0)
    assert seen == [0]  # its crashes are forgotten before it is tried, whatever becomes of this run


def test_crashes_of_earlier_runs_count(studio: Studio) -> None:
    """A row that takes its whole run down each time can only be found by the next run."""
    row = studio.row("a")
    for run in ("first", "second", "third", "fourth"):
        Ledger(studio.output, run).record("optimise", [planned(row)])
    assert studio.run(row).counts == {"quarantined": 1}
    assert ledger.read_attempts(studio.output) == []


@pytest.mark.parametrize("crashed", ["lock", "attempt", ""])
def test_a_run_is_wary_after_one_that_crashed(
    crashed: str, studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None]
) -> None:
    """What was being read or written then is not recorded, and may have taken its machine down."""
    seen: list[Ledger] = []

    def noting(work: Work, options: RunOptions, writer: Any, pool: Any, notes: Ledger, **how: Any) -> Outcomes:
        seen.append(notes)
        yield from flow(work, options, writer, pool, notes, **how)

    flow_is(noting)
    if crashed == "lock":
        dead = subprocess.Popen(["true"])
        dead.wait()
        holder = this_process() | {"owner": "dead", "pid": dead.pid, "expires_at": "2026-01-01T00:00:00+00:00"}
        storage.write_bytes(layout.lock_file(studio.output), json.dumps(holder).encode())
    if crashed == "attempt":
        Ledger(studio.output, "dead").record("optimise", [planned(studio.row("a"))])
    studio.run(studio.row("a"))
    studio.run(studio.row("b"))
    assert [notes.wary for notes in seen] == [bool(crashed), False]


def test_a_run_knows_which_states_others_have_saved(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None]
) -> None:
    seen: list[frozenset[str]] = []

    def noting(work: Work, options: RunOptions, writer: Any, pool: Any, notes: Ledger, **how: Any) -> Outcomes:
        seen.append(notes.saved)
        yield from flow(work, options, writer, pool, notes, **how)

    flow_is(noting)
    name = f"{32 * 'a'}.safetensors"
    storage.write_bytes(layout.saved_state_file(studio.output, 32 * "a"), b"state")
    studio.run(studio.row("a"))
    assert seen == [{name}]


def test_only_uploads_of_this_output_that_are_old_enough_are_swept(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[tuple[str, list[str], float]] = []
    names = ["images/a.png", "results/part-0123456789abcdef.parquet", "notes.txt", "../images/a.png"]

    def sweep(uri: str, *, is_ours: Callable[[str], bool], older: float) -> None:
        swept.append((uri, [name for name in names if is_ours(name)], older))

    monkeypatch.setattr(storage, "sweep", sweep)
    studio.run(studio.row("a"))
    assert swept == [(studio.output, names[:2], LEASE_SECONDS)]


def test_a_finished_run_leaves_nothing_behind_but_results(studio: Studio) -> None:
    studio.run(studio.row("a"))
    left = Path(studio.output, "images", ".0123.part")
    left.write_bytes(b"half")
    os.utime(left, times=(time.time() - 60,) * 2)
    Ledger(studio.output, "an earlier run").record("optimise", [planned(studio.row("a"))])
    studio.run(studio.row("b"))
    files = sorted(str(path.relative_to(studio.output)) for path in Path(studio.output).rglob("*") if path.is_file())
    (part,) = (name for name in files if name.startswith("results/"))
    assert files == ["images/a.png", "images/b.png", part, "run.json"]
    assert sorted(studio.results()) == ["a", "b"]


def test_the_summary_tells_of_this_run(studio: Studio) -> None:
    studio.run(studio.row("a"))
    studio.run(studio.row("a"), studio.row("b"), studio.row("gone"), max_failures=FailureLimit.parse("50%"))
    said: dict[str, Any] = json.loads(Path(layout.summary_file(studio.output)).read_text())
    assert said["plan"] == {"rows": 2, "batches": 2, "done": 1, "quarantined": 0}
    assert said["counts"] == {"ok": 1, "failed": 1, "diverged": 0, "quarantined": 0}
    assert (said["job"]["max_failures"], said["job"]["output"]) == ("50%", studio.output)


def test_rows_are_computed_again_only_on_request(studio: Studio) -> None:
    computed: Counter[str] = Counter()

    class Counting(StubKernel):
        def __call__(self, fetched: Fetched) -> Any:
            computed.update(planned.row.id for planned in fetched.batch.rows)
            return super().__call__(fetched)

    rows: Sequence[Row] = [studio.row("a"), studio.row("b")]
    studio.run(*rows, kernel=Counting)
    assert studio.run(*rows, kernel=Counting).done_before == 2
    studio.run(*rows, kernel=Counting, overwrite=True)
    assert computed == {"a": 2, "b": 2}


@pytest.mark.parametrize("again", ["the same rows", "none", "what fails at planning"])
def test_ray_is_started_only_if_something_is_left_to_compute(
    again: str, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.run(studio.row("a"))
    connected: list[str | None] = []
    monkeypatch.setattr(import_module("pipeline.flow.run"), "connect", connected.append)
    rows = {"the same rows": [studio.row("a")], "none": [], "what fails at planning": [studio.row("gone")]}[again]
    progress = studio.run(*rows)
    assert (connected, {*studio.results()}) == ([], {"a", "gone"} if again == "what fails at planning" else {"a"})
    assert (progress.total, progress.done_before) == {"the same rows": (0, 1), "none": (0, 0)}.get(again, (1, 0))
    assert json.loads(Path(layout.summary_file(studio.output)).read_text())["plan"]["rows"] == progress.total


def test_one_row_is_one_batch_where_that_is_asked(
    studio: Studio, flow_is: Callable[[Callable[..., Outcomes]], None]
) -> None:
    sizes: list[int] = []

    def noting(work: Work, *rest: Any, **how: Any) -> Outcomes:
        batches: Sequence[Batch] = work.first
        assert isinstance(batches, Batches)  # made as they are asked for: a million at once take gigabytes
        sizes.extend(len(batch.rows) for batch in batches)
        yield from flow(work, *rest, **how)

    flow_is(noting)
    studio.run(studio.row("a"), studio.row("b"))
    assert sizes == [1, 1]


def test_pictures_are_written_as_the_options_say(studio: Studio) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    Image.fromarray(draw(7, 64, 64)).save(studio.folder / "photo.jpg", exif=exif)
    made: dict[str, Path] = {}
    for name, encoding in (
        ("plain", Encoding()),
        ("kept", Encoding(keep_exif=True)),
        ("small", Encoding(quality=20, keep_exif=True)),
    ):
        assert studio.run(studio.row("photo.jpg", f"{name}.jpg"), encoding=encoding).counts == {"ok": 1}
        made[name] = Path(layout.picture_file(studio.output, f"{name}.jpg"))
    makes = {name: Image.open(path).getexif().get(ExifTags.Base.Make) for name, path in made.items()}
    assert makes == {"plain": None, "kept": "Canon", "small": "Canon"}
    assert made["small"].stat().st_size < 0.9 * made["kept"].stat().st_size


def test_the_kernel_is_told_the_depth_of_pictures(studio: Studio) -> None:
    told: list[dict[str, Any]] = []

    def kernel(weights: str, *, resumable: object, **options: Any) -> StubKernel:
        told.append(options)
        return StubKernel(weights)

    studio.run(studio.row("a", "a.tif"), kernel=kernel, encoding=Encoding(depth=16))
    studio.run(studio.row("b"), kernel=kernel)
    assert told == [{"depth": 16}, {}]


def test_a_depth_that_a_format_does_not_hold_is_refused_before_anything_starts(studio: Studio) -> None:
    rows = [studio.row("a", "a.png"), studio.row("b", "b.jpg")]
    with pytest.raises(ManifestError, match=r"b\.jpg.*expected a name that ends in .*\.tiff, since depth is 16"):
        studio.run(*rows, encoding=Encoding(depth=16))
    assert not Path(studio.output).exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_picture_that_no_run_wrote_is_not_written_over(studio: Studio, overwrite: bool) -> None:
    owned = Path(layout.picture_file(studio.output, "mine.png"))
    owned.parent.mkdir(parents=True)
    Image.fromarray(draw(9, 32, 32)).save(owned)
    before = owned.read_bytes()
    # An earlier run reads it as `init`, which the next one does not know any more.
    assert studio.run(studio.row("b", "b.png", init=str(owned))).counts == {"ok": 1}
    asked = studio.row("a", "mine.png"), studio.row("s", "s.png")
    assert studio.run(*asked, overwrite=overwrite).counts == {"failed": 1, "ok": 1}
    assert owned.read_bytes() == before
    assert studio.results()["a"]["error_class"] == "OutputTaken"
    # Once it is moved away, the row is computed.
    owned.unlink()
    assert studio.run(*asked, overwrite=overwrite).counts.get("failed", 0) == 0
    assert studio.results()["a"]["status"] == "ok"


def test_pictures_of_runs_are_written_over_by_the_rows_that_own_them(studio: Studio) -> None:
    studio.run(studio.row("a"), studio.row("b"))
    for name in ("a", "b"):  # somebody takes out what they carry
        picture = Path(layout.picture_file(studio.output, f"{name}.png"))
        Image.fromarray(draw(9, 32, 32)).save(picture)
    assert studio.run(studio.row("a"), studio.row("b"), overwrite=True).counts == {"ok": 2}
    assert studio.run(studio.row("a", seed=5), studio.row("b", seed=5)).counts == {"ok": 2}
    # Results that are lost leave pictures that tell whose they are.
    for part in Path(layout.results_folder(studio.output)).iterdir():
        part.unlink()
    assert studio.run(studio.row("a"), studio.row("b")).counts == {"ok": 2}


def test_a_picture_that_rows_read_is_not_written_over(studio: Studio) -> None:
    owned = Path(layout.picture_file(studio.output, "mine.png"))
    owned.parent.mkdir(parents=True)
    Image.fromarray(draw(9, 32, 32)).save(owned)
    before = owned.read_bytes()
    with pytest.raises(ManifestError, match="another name, since"):
        studio.run(studio.row(str(owned), "mine.png"))
    assert owned.read_bytes() == before
