"""Archives run after run: what is new or changed, and an index that forgets nothing."""

import dataclasses
import itertools
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nst_kernel import StylizeResult
from pipeline import images, storage
from pipeline.archives import run, todo
from pipeline.archives.index import Known, read_index
from pipeline.archives.run import run_archive
from pipeline.flow import RunBroken, TooManyFailures, run_slices
from pipeline.manifest.row import Row
from pipeline.options import Encoding, FailureLimit, Resources, RunOptions
from pipeline.outputs import Progress, layout, summary
from pipeline.outputs import table as result_table
from pipeline.planning import Failure, Fetched, Optimised
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.specs.archive import ArchiveSpec
from tests.bench.stub import StubKernel
from tests.pipeline.support.locks import noted_locks
from tests.support import draw


class Studio:
    """An archive, and runs of it that compute in this process, with a stub in the place of the kernel.

    What is computed is noted in `computed`, the rows of each slice in `slices`, the options of each run in `options`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder / "photos", str(folder / "out")
        self.computed: list[list[str]] = []
        self.slices: list[int] = []
        self.options: list[RunOptions] = []
        self.broken: set[str] = set()
        self.diverging: set[str] = set()
        self.dies_at: str | None = None
        for style in "st":
            self.plant(f"../{style}.jpg", style)

    def plant(self, path: str, look: str = "x") -> None:
        """Put a picture there; another look is another picture."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(zlib.crc32(look.encode()), 16, 16 + len(look))).save(file, "PNG")

    def run_slices(self, slices: Iterable[Sequence[Row]], options: RunOptions, **how: Any) -> Progress:
        """Compute rows as any run does."""
        self.computed.append([])
        self.options.append(options)

        def counted() -> Iterator[Sequence[Row]]:
            for rows in slices:
                self.slices.append(len(rows))
                yield rows

        return run_slices(counted(), options, kernel=partial(Kernel, studio=self), **how)

    def run(self, slice_rows: int = 1000, overwrite: bool = False, defaults: Any = None, **fields: Any) -> Progress:
        given = {"photos": str(self.folder), "styles": [f"{self.folder}/../s.jpg"], **fields}
        self.computed, self.slices = [], []
        return run_archive(
            ArchiveSpec.model_validate(given),
            self.how(overwrite=overwrite),
            defaults=defaults or {},
            slice_rows=slice_rows,
        )

    def how(self, **options: Any) -> RunOptions:
        """Options of a run that computes one photo after the other."""
        return RunOptions(output=self.output, resources=Resources(batch_size=1), **options)

    @property
    def names(self) -> list[str]:
        return sorted(name for part in self.computed for name in part)

    def index(self) -> dict[str, dict[str, Any]]:
        """By output name."""
        return {row["output_name"]: row for row in read_index(self.output).to_pylist()}


class Kernel(StubKernel):
    """Gives each photo its own pixels back, unless the studio has other plans for it."""

    def __init__(self, weights: str, *, studio: Studio, **options: Any) -> None:
        super().__init__(weights, **options)
        self.studio = studio

    def __call__(self, fetched: Fetched) -> Optimised:
        (planned,) = fetched.batch.rows
        name, optimised = planned.row.output, super().__call__(fetched)
        if name == self.studio.dies_at:
            raise RunBroken("the lights went out")
        self.studio.computed[-1].append(name)
        (outcome,) = optimised.outcomes
        if name in self.studio.broken:
            outcome = Failure("Oops", "no picture")
        if name in self.studio.diverging and isinstance(outcome, StylizeResult):
            outcome = dataclasses.replace(outcome, diverged=True)
        return dataclasses.replace(optimised, outcomes=(outcome,))


@pytest.fixture
def studio(tmp_path: Path, without_ray: None, monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = Studio(tmp_path)
    monkeypatch.setattr(run, "run_slices", studio.run_slices)
    return studio


def test_only_what_is_new_or_changed_is_computed(studio: Studio) -> None:
    for name in ("a.jpg", "b/c.jpg", "b/d.png"):
        studio.plant(name)
    first = studio.run()
    assert (first.total, first.done_before, studio.names) == (3, 0, ["a.jpg", "b/c.jpg", "b/d.png"])
    assert first.counts == {"ok": 3}, first.failures
    second = studio.run()
    assert (second.total, second.done_before, studio.names) == (0, 3, [])
    studio.plant("b/new.jpg")
    studio.plant("a.jpg", "another picture")
    (studio.folder / "b/c.jpg").unlink()
    third = studio.run()
    assert (third.total, third.done_before, studio.names) == (2, 1, ["a.jpg", "b/new.jpg"])
    index = studio.index()
    assert sorted(index) == ["a.jpg", "b/c.jpg", "b/d.png", "b/new.jpg"]  # what was deleted is not forgotten
    assert index["a.jpg"]["size"] == (studio.folder / "a.jpg").stat().st_size
    for name, row in index.items():
        assert (row["status"], row["style"], row["path"]) == ("ok", "s", name)
        assert row["original"] == str(studio.folder / name)
        assert images.decode(Path(row["output"]).read_bytes()).shape[:2] == (16, 31 if name == "a.jpg" else 17)
        assert row["output"] == f"{studio.output}/images/{name}"


def test_a_changed_style_or_parameter_is_another_picture_in_the_same_place(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.run()
    assert studio.run(defaults={"size": 64}).total == 1
    studio.plant("../s.jpg", "another style")
    assert studio.run(defaults={"size": 64}).total == 1
    assert studio.run(defaults={"size": 64}).total == 0
    assert len(studio.index()) == len(result_table.read_results(studio.output)) == 1


def test_what_failed_is_tried_again(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.plant("bad.jpg")
    studio.broken = {"bad.jpg"}
    assert studio.run().counts == {"ok": 1, "failed": 1}
    row = studio.index()["bad.jpg"]
    assert (row["status"], row["error"], row["output"]) == ("failed", "no picture", None)
    assert studio.run().counts == {"failed": 1}
    studio.broken = set()
    assert studio.run().counts == {"ok": 1}
    assert {row["status"] for row in studio.index().values()} == {"ok"}


@pytest.mark.parametrize("slice_rows", [1, 2, 3, 100])
def test_slices_make_no_difference(studio: Studio, slice_rows: int) -> None:
    for n in range(7):
        studio.plant(f"{n % 2}/{n}.jpg")
    progress = studio.run(slice_rows=slice_rows)
    assert (progress.total, progress.counts) == (7, {"ok": 7})
    assert (len(studio.computed), len(studio.slices)) == (1, -(-7 // slice_rows))  # one run, whatever its slices
    studio.plant("0/new.jpg")
    progress = studio.run(slice_rows=slice_rows)
    assert (progress.total, progress.done_before) == (1, 7)
    assert len(studio.index()) == 8


def test_progress_is_of_the_whole(studio: Studio) -> None:
    for n in range(5):
        studio.plant(f"{n}.jpg")
    told: list[tuple[int, int]] = []
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    run_archive(
        spec,
        studio.how(),
        defaults={},
        slice_rows=2,
        on_progress=lambda progress: told.append((progress.finished, progress.total)),
    )
    assert told == [(0, 2), (1, 2), (2, 2), (3, 4), (4, 4), (5, 5)]


def test_the_summary_and_the_limit_are_of_the_whole(studio: Studio) -> None:
    for n in range(5):
        studio.plant(f"{n}.jpg")
    studio.run()
    for n in range(5, 9):
        studio.plant(f"{n}.jpg")
    studio.broken = {"5.jpg", "8.jpg"}
    studio.options = []
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    run_archive(spec, studio.how(max_failures=FailureLimit(rows=3)), defaults={}, slice_rows=1)
    said: dict[str, Any] = summary.read(studio.output)
    assert said["plan"] == {"rows": 4, "batches": 4, "done": 5, "quarantined": 0}
    assert said["counts"] == {"ok": 2, "failed": 2, "diverged": 0, "quarantined": 0}
    assert said["retries"] == 0
    assert said["job"]["max_failures"] == "3"
    assert said["started_at"] <= said["finished_at"]


def test_failures_of_all_slices_are_counted_together(studio: Studio) -> None:
    for n in range(5):
        studio.plant(f"{n}.jpg")
    studio.broken = {"1.jpg", "3.jpg"}
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    with pytest.raises(TooManyFailures, match=r"2 rows failed of 4 finished, more than the 1 of 4"):
        run_archive(spec, studio.how(max_failures=FailureLimit(rows=1)), defaults={}, slice_rows=2)


def test_a_slice_of_which_too_many_cannot_be_planned_ends_the_run(studio: Studio) -> None:
    for n in range(4):
        studio.plant(f"{n}.jpg")
    for n in (2, 3):
        (studio.folder / f"{n}.jpg").write_bytes(b"no picture")
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    with pytest.raises(TooManyFailures, match=r"^2 rows failed at planning, more than the 1 of 4"):
        run_archive(spec, studio.how(max_failures=FailureLimit(rows=1)), defaults={}, slice_rows=2)
    assert studio.names == ["0.jpg", "1.jpg"]
    assert {one["output_name"] for one in result_table.read_results(studio.output).to_pylist()} == {"0.jpg", "1.jpg"}


def test_an_archive_that_cannot_be_listed_to_its_end_keeps_what_is_computed(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        studio.plant(f"{n}.jpg")

    def cut_off(*where: Any, **how: Any) -> Iterator[Any]:
        rows = todo.rows_to_do(*where, **how)
        yield from itertools.islice(rows, 3)
        raise storage.StorageError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(run, "rows_to_do", cut_off)
        with pytest.raises(RunBroken, match="the disk is gone"):
            studio.run(slice_rows=2)
    assert summary.read(studio.output) == {}
    assert studio.run().counts == {"ok": 2}  # the first two are done


def test_a_run_that_breaks_off_loses_nothing(studio: Studio) -> None:
    for n in range(6):
        studio.plant(f"{n}.jpg")
    studio.dies_at = "3.jpg"
    with pytest.raises(RunBroken):
        studio.run(slice_rows=2)
    states = {name: row["status"] for name, row in studio.index().items()}
    assert states == dict.fromkeys(["0.jpg", "1.jpg", "2.jpg", "3.jpg"], "pending")
    studio.dies_at = None
    progress = studio.run(slice_rows=2)
    assert studio.names == ["3.jpg", "4.jpg", "5.jpg"]  # the others were in the results, though not yet in the index
    assert not storage.list_files(layout.index_folder(studio.output))
    assert (progress.total, progress.done_before) == (3, 3)
    assert {row["status"] for row in studio.index().values()} == {"ok"}


def test_turns_survive_a_run_that_breaks_off(studio: Studio) -> None:
    styles = [f"{studio.folder}/../{name}.jpg" for name in "st"]
    for n in range(4):
        studio.plant(f"{n}.jpg")
    studio.dies_at = "2.jpg"
    with pytest.raises(RunBroken):
        studio.run(styles=styles, choose="round-robin")
    before = {name: row["style"] for name, row in studio.index().items()}
    assert Counter(before.values()) == {"s": 2, "t": 2}
    studio.dies_at = None
    studio.plant("0-first.jpg")  # would move every turn, if turns were counted from the beginning
    studio.run(styles=styles, choose="round-robin")
    after = {name: row["style"] for name, row in studio.index().items()}
    assert {name: after[name] for name in before} == before


def test_a_lost_index_costs_nothing_but_a_look(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.run()
    before = studio.index()
    Path(studio.output, "index.parquet").unlink()
    progress = studio.run()
    assert (progress.total, progress.done_before) == (0, 1)
    assert studio.index() == before
    Path(studio.output, "index.parquet").write_bytes(b"not parquet")
    with pytest.raises(storage.StorageError, match="delete it to have it made anew"):
        studio.run()


def test_overwriting_computes_all(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.run()
    assert studio.run(overwrite=True).total == 1


def test_all_styles_have_folders(studio: Studio) -> None:
    studio.plant("b/a.jpg")
    styles = {name: f"{studio.folder}/../{name}.jpg" for name in "st"}
    studio.run(styles=styles)
    assert sorted(studio.index()) == ["s/b/a.jpg", "t/b/a.jpg"]


def test_originals_are_as_they_were(studio: Studio) -> None:
    studio.plant("a.jpg", "mine")
    before = (studio.folder / "a.jpg").read_bytes()
    os.utime(studio.folder / "a.jpg", (1, 1))
    studio.run()
    assert (studio.folder / "a.jpg").read_bytes() == before
    assert (studio.folder / "a.jpg").stat().st_mtime == 1
    assert [path.name for path in studio.folder.iterdir()] == ["a.jpg"]


def test_an_empty_archive_is_said(studio: Studio) -> None:
    studio.plant("a.txt")
    with pytest.raises(ValueError, match=r"expected at least one photo \(passed over: another name: 1 .txt\)"):
        studio.run()
    assert not Path(studio.output, "results").exists()


def test_two_runs_of_an_archive_do_not_meet(studio: Studio) -> None:
    studio.plant("a.jpg")
    with RunLock(layout.ledger_folder(studio.output)), pytest.raises(Locked):
        studio.run()
    assert studio.index() == {}


def test_an_index_knows_what_is_done(studio: Studio) -> None:
    for n in range(20):
        studio.plant(f"{n}.jpg")
    studio.broken, studio.diverging = {"7.jpg"}, {"8.jpg"}
    styles = [f"{studio.folder}/../{name}.jpg" for name in "st"]
    studio.run(styles=styles, choose="random")
    known = Known(studio.output, styles=True)
    for row in studio.index().values():
        assert row["status"] == {"7.jpg": "failed", "8.jpg": "diverged"}.get(row["path"], "ok")
        assert known.is_done(row["fingerprint"]) is (row["status"] != "failed")
        assert known.style_of(row["path"]) == row["style"]
    assert not known.is_done("0" * 16)
    assert known.style_of("nowhere.jpg") is None
    assert known.given == Counter(row["style"] for row in studio.index().values())


def test_another_style_takes_the_place_of_the_one_before(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.run()
    progress = studio.run(styles=[f"{studio.folder}/../t.jpg"])
    assert (progress.counts, studio.names) == ({"ok": 1}, ["a.jpg"])
    (row,) = studio.index().values()
    assert row["style"] == "t"


def test_all_styles_of_a_pattern_have_results(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.run(styles=[f"{studio.folder}/../[st].jpg"])
    assert studio.names == ["s/a.jpg", "t/a.jpg"]
    with pytest.raises(ValueError, match="2 styles for each photo, which would take each other's place"):
        studio.run(styles=[f"{studio.folder}/../[st].jpg"], style_folders=False)


def test_another_archive_needs_another_output(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.plant("../b/a.jpg", "another photo")
    studio.run()
    with pytest.raises(ValueError, match=r"in the place of .*/b/a\.jpg's: expected another output"):
        studio.run(photos=f"{studio.folder}/../b")
    (studio.folder / "a.jpg").unlink()  # an archive that has moved goes on
    assert studio.run(photos=f"{studio.folder}/../b").counts == {"ok": 1}


def test_pixels_to_start_from_are_part_of_what_is_asked(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.plant("../start.png")
    defaults = {"init": f"{studio.folder}/../start.png"}
    assert studio.run(defaults=defaults).total == 1
    assert studio.run(defaults=defaults).total == 0
    studio.plant("../start.png", "another")
    assert studio.run(defaults=defaults).total == 1


def test_a_diverged_photo_is_not_computed_every_night(studio: Studio) -> None:
    studio.plant("a.jpg")
    studio.diverging = {"a.jpg"}
    assert studio.run().counts == {"diverged": 1}
    second = studio.run()
    assert (second.total, second.done_before, studio.computed) == (0, 1, [])


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> list[RunLock]:
    """The locks that runs of archives hold from slice to slice."""
    return noted_locks(monkeypatch, run)


@pytest.mark.parametrize("slices", [1, 2])
def test_who_has_lost_the_lock_of_an_archive_writes_nothing_more(
    slices: int, studio: Studio, locks: list[RunLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last slice there are the outcomes of the whole run, after any other one the next slice."""
    for n in range(4):
        studio.plant(f"{n}.jpg")

    def robbed(rows: Iterable[Sequence[Row]], options: RunOptions, **how: Any) -> Progress:
        def taken() -> Iterator[Sequence[Row]]:
            for each in rows:
                yield each
                locks[-1].lost = True

        return studio.run_slices(taken(), options, **how)

    monkeypatch.setattr(run, "run_slices", robbed)
    with pytest.raises(Locked if slices == 1 else RunBroken, match="another run has taken"):
        studio.run(slice_rows=4 // slices)
    assert len(studio.names) == 4 // slices
    assert {name: row["status"] for name, row in studio.index().items()} == dict.fromkeys(studio.names, "pending")


def test_a_lock_of_an_archive_that_is_held_is_taken_by_force_alone(studio: Studio) -> None:
    studio.plant("a.jpg")
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    with RunLock(layout.ledger_folder(studio.output)):
        with pytest.raises(Locked):
            run_archive(spec, studio.how(), defaults={})
        assert run_archive(spec, studio.how(force=True), defaults={}).counts == {"ok": 1}


def test_options_reach_the_run(studio: Studio) -> None:
    for name in ("a.jpg", "b.jpg"):
        studio.plant(name)
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    how = studio.how(
        overwrite=True, force=True, max_attempts=7, stall_timeout=12.5, encoding=Encoding(quality=50, keep_exif=True)
    )
    run_archive(spec, how, defaults={}, slice_rows=1)
    assert studio.options == [how]


def test_an_output_inside_the_archive_is_refused_for_a_plan_too(studio: Studio) -> None:
    studio.plant("a.jpg")
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    with pytest.raises(ValueError, match="is inside the archive"):
        todo.rows_to_do(spec, str(studio.folder / "out"), defaults={}, weights="embedded")
