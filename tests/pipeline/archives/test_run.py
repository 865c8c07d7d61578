"""Archives run after run: what is new or changed, and an index that forgets nothing."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.archives import run
from pipeline.archives.index import Known, read_index
from pipeline.archives.run import run_archive
from pipeline.encoder import load_encoder
from pipeline.flow.dataset import RunBroken
from pipeline.manifest.row import Row
from pipeline.options.failure_limit import FailureLimit
from pipeline.options.run_options import RunOptions
from pipeline.outputs import Progress, layout, provenance, summary
from pipeline.outputs import table as result_table
from pipeline.outputs.finished import finished
from pipeline.planning.history import History
from pipeline.planning.plan import plan
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.specs.archive import ArchiveSpec


class Studio:
    """An archive, and runs of it whose pictures are empty files. What is computed is noted in `computed`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder / "photos", str(folder / "out")
        self.computed: list[list[str]] = []
        self.limits: list[FailureLimit] = []
        self.broken: set[str] = set()
        self.dies_at: str | None = None
        for style in "st":
            self.plant(f"../{style}.jpg", style)

    def plant(self, path: str, text: str = "x") -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run_rows(
        self, rows: Sequence[Row], options: RunOptions, *, on_progress: Callable[[Progress], None] | None = None
    ) -> Progress:
        """As the real one, but for Ray and the pictures."""
        encoder, started_at = load_encoder(options.weights), provenance.now()
        sha = encoder.sha256
        done = finished(options.output)
        work = plan(
            rows,
            encoder_sha256=sha,
            history=History({} if options.overwrite else done.fingerprints, done.owners),
            shape_of=lambda rows: [(32, 32)] * len(rows),
        )
        progress = Progress(total=work.rows, done_before=work.done)
        self.computed.append([])
        for planned in [planned for batch in work.batches for planned in batch.rows]:
            name = planned.row.output
            if name == self.dies_at:
                raise RunBroken("the lights went out")
            assert planned.failure is None, planned.failure
            status = "failed" if name in self.broken else "ok"
            uri = storage.join(layout.images_folder(options.output), name)
            if status == "ok":
                storage.write_bytes(uri, b"picture")
            row: dict[str, Any] = {
                "id": planned.row.id,
                "fingerprint": planned.fingerprint,
                "status": status,
                "content": planned.row.content,
            }
            row |= {"output": uri if status == "ok" else None, "output_name": name, "finished_at": provenance.now()}
            result_table.commit(options.output, [{**row, "error": None if status == "ok" else "no picture"}])
            self.computed[-1].append(name)
            progress.add({**row, "error": "no picture", "retries": 0})
            if on_progress:
                on_progress(progress)
        planned_counts = {"rows": work.rows, "batches": len(work.batches), "done": work.done, "quarantined": 0}
        asked = {"max_failures": str(options.max_failures)}
        said = summary.of(asked, planned_counts, progress.counts, retries=1, encoder=encoder, started_at=started_at)
        summary.write(options.output, said)
        self.limits.append(options.max_failures)
        return progress

    def run(self, slice_rows: int = 1000, overwrite: bool = False, defaults: Any = None, **fields: Any) -> Progress:
        given = {"photos": str(self.folder), "styles": [f"{self.folder}/../s.jpg"], **fields}
        self.computed = []
        return run_archive(
            ArchiveSpec.model_validate(given),
            RunOptions(output=self.output, overwrite=overwrite),
            defaults=defaults or {},
            slice_rows=slice_rows,
        )

    @property
    def names(self) -> list[str]:
        return sorted(name for part in self.computed for name in part)

    def index(self) -> dict[str, dict[str, Any]]:
        """By output name."""
        return {row["output_name"]: row for row in read_index(self.output).to_pylist()}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = Studio(tmp_path)
    monkeypatch.setattr(run, "run_rows", studio.run_rows)
    return studio


def test_only_what_is_new_or_changed_is_computed(studio: Studio) -> None:
    for name in ("a.jpg", "b/c.jpg", "b/d.png"):
        studio.plant(name)
    first = studio.run()
    assert (first.total, first.done_before, studio.names) == (3, 0, ["a.jpg", "b/c.jpg", "b/d.png"])
    second = studio.run()
    assert (second.total, second.done_before, studio.names) == (0, 3, [])
    studio.plant("b/new.jpg")
    studio.plant("a.jpg", "another picture")
    (studio.folder / "b/c.jpg").unlink()
    third = studio.run()
    assert (third.total, third.done_before, studio.names) == (2, 1, ["a.jpg", "b/new.jpg"])
    index = studio.index()
    assert sorted(index) == ["a.jpg", "b/c.jpg", "b/d.png", "b/new.jpg"]  # what was deleted is not forgotten
    assert index["a.jpg"]["size"] == len("another picture")
    for name, row in index.items():
        assert (row["status"], row["style"], row["path"]) == ("ok", "s", name)
        assert row["original"] == str(studio.folder / name)
        assert Path(row["output"]).read_bytes() == b"picture"
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
    assert len(studio.computed) == -(-7 // slice_rows)
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
        RunOptions(output=studio.output),
        defaults={},
        slice_rows=2,
        on_progress=lambda progress: told.append((progress.finished, progress.total)),
    )
    assert told == [(1, 2), (2, 2), (3, 4), (4, 4), (5, 5)]


def test_the_summary_and_the_limit_are_of_the_whole(studio: Studio) -> None:
    for n in range(5):
        studio.plant(f"{n}.jpg")
    studio.run()
    for n in range(5, 9):
        studio.plant(f"{n}.jpg")
    studio.broken = {"5.jpg", "8.jpg"}
    studio.limits = []
    spec = ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})
    run_archive(spec, RunOptions(output=studio.output, max_failures=FailureLimit(rows=3)), defaults={}, slice_rows=1)
    assert studio.limits == [FailureLimit(rows=3), FailureLimit(rows=2), FailureLimit(rows=2), FailureLimit(rows=2)]
    said: dict[str, Any] = summary.read(studio.output)
    assert said["plan"] == {"rows": 4, "batches": 4, "done": 5, "quarantined": 0}
    assert said["counts"] == {"ok": 2, "failed": 2, "diverged": 0, "quarantined": 0}
    assert said["retries"] == 4
    assert said["job"]["max_failures"] == "3"
    assert said["started_at"] <= said["finished_at"]


def test_a_run_that_breaks_off_loses_nothing(studio: Studio) -> None:
    for n in range(6):
        studio.plant(f"{n}.jpg")
    studio.dies_at = "3.jpg"
    with pytest.raises(RunBroken):
        studio.run(slice_rows=2)
    states = {name: row["status"] for name, row in studio.index().items()}
    assert states == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "pending", "3.jpg": "pending"}
    studio.dies_at = None
    progress = studio.run(slice_rows=2)
    assert studio.names == ["3.jpg", "4.jpg", "5.jpg"]  # 2.jpg was in the results, though not yet in the index
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
    os.utime(studio.folder / "a.jpg", (1, 1))
    studio.run()
    assert (studio.folder / "a.jpg").read_text() == "mine"
    assert (studio.folder / "a.jpg").stat().st_mtime == 1
    assert [path.name for path in studio.folder.iterdir()] == ["a.jpg"]


def test_an_empty_archive_is_said(studio: Studio) -> None:
    studio.plant("a.txt")
    with pytest.raises(ValueError, match=r"expected at least one photo \(1 files: another name\)"):
        studio.run()
    assert not Path(studio.output, "results").exists()


def test_two_runs_of_an_archive_do_not_meet(studio: Studio) -> None:
    studio.plant("a.jpg")
    with RunLock(layout.ledger_folder(studio.output)), pytest.raises(Locked):
        studio.run()
    assert studio.index() == {}


def test_an_index_knows_what_is_done(studio: Studio) -> None:
    for n in range(50):
        studio.plant(f"{n}.jpg")
    studio.broken = {"7.jpg"}
    styles = [f"{studio.folder}/../{name}.jpg" for name in "st"]
    studio.run(styles=styles, choose="random")
    known = Known(studio.output, styles=True)
    for row in studio.index().values():
        assert known.is_done(row["fingerprint"]) is (row["status"] == "ok")
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
