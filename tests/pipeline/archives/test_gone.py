"""Results of photos that are gone, and photos that no run can read: found, said, and never taken for each other."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pipeline import storage
from pipeline.archives import leftovers, prune, run
from pipeline.archives.index import read_index
from pipeline.flow import run_slices
from pipeline.options import Decoding, RunOptions
from pipeline.outputs import layout, read_results
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.specs.archive import ArchiveSpec
from tests.bench.stub import StubKernel
from tests.pipeline.archives.test_run import Studio
from tests.support import draw


@pytest.fixture
def studio(tmp_path: Path, without_ray: None, monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = Studio(tmp_path)
    monkeypatch.setattr(run, "run_slices", studio.run_slices)
    return studio


def spec(studio: Studio) -> ArchiveSpec:
    return ArchiveSpec.model_validate({"photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]})


def test_results_of_deleted_and_renamed_photos_are_found_and_deleted_on_request(studio: Studio) -> None:
    for path in ("a.png", "deep/b.png", "c.png"):
        studio.plant(path, path)
    studio.run()
    options = RunOptions(output=studio.output)
    assert leftovers(spec(studio), options) == []
    (studio.folder / "a.png").unlink()
    (studio.folder / "deep/b.png").rename(studio.folder / "deep/new.png")
    gone = leftovers(spec(studio), options)
    assert sorted(one.output_name for one in gone) == ["a.png", "deep/b.png"]
    before = sorted(path for path in studio.folder.rglob("*") if path.is_file())
    assert prune(spec(studio), options, gone) == 2
    assert sorted(path for path in studio.folder.rglob("*") if path.is_file()) == before
    left = [Path(uri).name for uri in storage.list_files(layout.images_folder(studio.output))]
    assert left == ["c.png"]
    assert [row["output_name"] for row in read_index(studio.output).to_pylist()] == ["c.png"]
    assert read_results(studio.output)["output_name"].to_pylist() == ["c.png"]
    assert leftovers(spec(studio), options) == []
    studio.run()
    assert studio.names == ["deep/new.png"]


def test_a_photo_that_filters_leave_out_is_not_gone(studio: Studio) -> None:
    studio.plant("a.png")
    studio.run()
    small = ArchiveSpec.model_validate({**spec(studio).model_dump(), "max_bytes": 1})
    assert leftovers(small, RunOptions(output=studio.output)) == []


def test_what_came_back_meanwhile_stays(studio: Studio) -> None:
    studio.plant("a.png")
    studio.plant("b.png", "b")
    studio.run()
    (studio.folder / "a.png").unlink()
    gone = leftovers(spec(studio), RunOptions(output=studio.output))
    assert len(gone) == 1
    studio.plant("a.png")
    assert prune(spec(studio), RunOptions(output=studio.output), gone) == 0
    assert Path(layout.picture_file(studio.output, "a.png")).exists()


def test_an_archive_of_which_no_photo_is_there_is_not_mounted(studio: Studio) -> None:
    for name in ("a.png", "b.png"):
        studio.plant(name, name)
    studio.run()
    for name in ("a.png", "b.png"):
        (studio.folder / name).unlink()
    with pytest.raises(ValueError, match=r"no photo of .*index.parquet is there: .* Is the disk mounted"):
        leftovers(spec(studio), RunOptions(output=studio.output))
    assert len(storage.list_files(layout.images_folder(studio.output))) == 2


def test_a_photo_whose_storage_does_not_answer_is_not_known_to_be_gone(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        studio.plant(name, name)
    studio.run()
    down = storage.StorageError("it does not answer")
    answers = {str(studio.folder / "a.png"): down, str(studio.folder / "b.png"): "1-1"}
    monkeypatch.setattr(storage, "identities", lambda uris: {uri: answers[uri] for uri in uris})
    with pytest.raises(storage.StorageError, match="does not answer"):
        leftovers(spec(studio), RunOptions(output=studio.output))


def test_nothing_is_pruned_while_a_run_is_at_work(studio: Studio) -> None:
    studio.plant("a.png")
    studio.plant("b.png", "b")
    studio.run()
    (studio.folder / "a.png").unlink()
    options = RunOptions(output=studio.output)
    gone = leftovers(spec(studio), options)
    with RunLock(studio.output), pytest.raises(Locked):
        prune(spec(studio), options, gone)
    assert Path(layout.picture_file(studio.output, "a.png")).exists()


def test_a_photo_that_cannot_be_read_is_tried_again_once_it_changes(studio: Studio) -> None:
    studio.plant("good.png")
    (studio.folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture at all")
    first = studio.run()
    assert (first.counts["failed"], first.counts["ok"], first.left_alone) == (1, 1, 1)
    second = studio.run()
    assert (second.total, second.failed_before, second.done_before, second.problems) == (0, 1, 1, 1)
    third = studio.run(overwrite=True)
    assert third.counts["failed"] == 1
    studio.plant("bad.png", "mended")
    last = studio.run()
    assert (last.counts["ok"], last.failed_before, last.problems) == (1, 0, 0)


def test_a_failure_of_another_kind_is_tried_again(studio: Studio) -> None:
    studio.plant("a.png")
    studio.broken = {"a.png"}
    assert studio.run().counts["failed"] == 1
    studio.broken = set()
    assert studio.run().counts["ok"] == 1


@pytest.mark.usefixtures("without_ray")
def test_what_a_run_did_not_allow_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class of the error decides, which comes from where pictures are really decoded."""
    monkeypatch.setattr(run, "run_slices", partial(run_slices, kernel=StubKernel))
    (tmp_path / "photos").mkdir()
    for name in ("photos/a.png", "s.png"):
        Image.fromarray(draw(1, 48, 48)).save(tmp_path / name)
    job = ArchiveSpec.model_validate({"photos": str(tmp_path / "photos"), "styles": [str(tmp_path / "s.png")]})

    def run_with(**decoding: float) -> Counter[str]:
        options = RunOptions(output=str(tmp_path / "out"), decoding=Decoding(**decoding))
        return Counter(run.run_archive(job, options, defaults={"size": 32}).counts)

    assert run_with(max_megapixels=0.001) == {"failed": 1}
    assert run_with(decode_timeout=1e-6) == {"failed": 1}
    assert run_with() == {"ok": 1}
