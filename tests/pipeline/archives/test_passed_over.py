"""Nothing of an archive is left out without a word, and what cannot be read costs itself alone."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from jobs.cli import app
from jobs.console.estimate import print_estimate
from jobs.console.output import console
from jobs.console.progress import describe
from jobs.console.results import print_summary
from pipeline import execute, images, storage
from pipeline.archives.photos import Selection, photos
from pipeline.notebook.api import Run
from pipeline.notebook.html import of_estimate
from pipeline.options.run_options import RunOptions
from pipeline.outputs import PassedOver, Progress, ProgressFile, progress, summary
from pipeline.outputs.schema import SCHEMA
from pipeline.report.figures import figures
from pipeline.specs import job_of
from tests.pipeline.archives.test_photos import plant, spec
from tests.pipeline.archives.test_run import Studio, studio
from tests.pipeline.report.support import samples
from tests.support import draw

__all__ = ["studio"]


def selected(folder: Path | str, **fields: Any) -> tuple[set[str], dict[str, Any]]:
    """Return the paths of the photos of an archive, and what is passed over as JSON."""
    selection = Selection()
    paths = {photo.path for photo in photos(spec(photos=str(folder), **fields), selection)}
    assert selection.taken == len(paths)
    return paths, selection.passed_over.to_json()


def of(files: dict[str, int], *named: str, folders: int = 0) -> dict[str, Any]:
    return {"files": files, "folders": folders, "named": list(named)}


def test_a_phones_folder(tmp_path: Path) -> None:
    plant(tmp_path, "1.JPG", "2.jpeg", "3.jfif", "4.JPE", "5.DNG", "6.MOV", "7.mov", "noext", "8.CR3", "x.averylongone")
    paths, passed_over = selected(tmp_path)
    assert paths == {"1.JPG", "2.jpeg", "3.jfif", "4.JPE"}
    assert passed_over == {
        "raw": of({".dng": 1, ".cr3": 1}),
        "another name": of({".mov": 2, "no extension": 1, "other": 1}),
    }


def test_what_cannot_be_listed_costs_itself_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a.jpg", "private/b.jpg", "real/c.jpg", "real/private/d.jpg")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    real = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("private"):  # tests may run as root, whom no mode stops
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    paths, passed_over = selected(tmp_path)
    assert paths == {"a.jpg", "real/c.jpg"}
    assert passed_over == {
        "broken link": of({".jpg": 1}, "gone.jpg"),
        "linked folder": of({}, "again", "real/up", folders=2),
        "looping link": of({".jpg": 1}, "self.jpg"),
        "no plain file": of({".jpg": 1}, "pipe.jpg"),
        "unreadable": of({}, "private", "real/private", folders=2),
    }
    with pytest.raises(storage.StorageError, match=r"cannot list .*private: no permission"):
        list(storage.walk(str(tmp_path)))  # what other callers list must be whole
    with pytest.raises(storage.StorageError, match="no permission"):
        selected(tmp_path / "private")


def test_a_transient_error_of_a_folder_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/b.jpg")
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")
    real, refused = os.scandir, list[str]()

    def refusing(path: Any) -> Any:
        if str(path).endswith("/a") and not refused:
            refused.append(str(path))
            raise OSError(116, "Stale file handle")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert selected(tmp_path) == ({"a/b.jpg"}, {})
    assert refused


@pytest.mark.parametrize("scheme", ["file", "memory", "s3"])
def test_folders_that_are_left_out_are_not_listed(
    scheme: str, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = {"file": str(tmp_path), "memory": "memory://left_out", "s3": f"{bucket}/left_out"}[scheme]
    names = ["a.jpg", ".Trash/1.jpg", "@eaDir/a.jpg/t.jpg", "lost+found/2.jpg", "old/b.jpg", "old/deep/c.jpg", "z.jpg"]
    for name in [*names, *(f"drafts/{number:02}.jpg" for number in range(20))]:
        storage.write_bytes(storage.join(folder, *name.split("/")), b"x")
    listed: list[str] = []
    if scheme == "s3":
        monkeypatch.setattr("pipeline.storage._s3.S3Store._list", pages_of(3, listed))
    else:
        monkeypatch.setattr("os.scandir", noting(os.scandir, listed))
    paths, passed_over = selected(folder, exclude=["drafts/**", "old/**"])
    assert paths == {"a.jpg", "z.jpg"}
    assert passed_over == {
        "a folder of the system": of({}, "@eaDir", "lost+found", folders=2),
        "excluded": of({}, "drafts", "old", folders=2),
        "hidden": of({}, ".Trash", folders=1),
    }
    assert not any("drafts/03" in name or name.endswith(("/drafts", "/.Trash")) for name in listed)


def noting(real: Any, listed: list[str]) -> Any:
    def scandir(path: Any) -> Any:
        listed.append(str(path))
        return real(path)

    return scandir


def pages_of(keys: int, listed: list[str], *, ignoring: bool = False) -> Any:
    """Answers of S3 with few keys each; `ignoring`: of a store that knows no StartAfter."""
    from pipeline.storage._s3 import S3Store

    real = S3Store._list

    def answer(self: Any, path: str, **options: Any) -> Any:
        if ignoring:
            options.pop("StartAfter", None)
        found = real(self, path, **options, MaxKeys=keys)
        listed.extend(info["Key"] for info in found.get("Contents", []))
        return found

    return answer


def test_a_store_that_cannot_skip_is_listed_in_whole(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a.jpg", *(f"drafts/{number:02}.jpg" for number in range(7)), "drafts0.jpg", "z.jpg"]
    for name in names:
        storage.write_bytes(f"{bucket}/cannot_skip/{name}", b"x")
    listed: list[str] = []
    monkeypatch.setattr("pipeline.storage._s3.S3Store._list", pages_of(2, listed, ignoring=True))
    paths, _ = selected(f"{bucket}/cannot_skip", exclude=["drafts/**"])
    assert paths == {"a.jpg", "drafts0.jpg", "z.jpg"}
    assert len(listed) < 4 * len(names)


def test_a_folder_of_the_system_may_be_asked_for(tmp_path: Path) -> None:
    plant(tmp_path, "@eaDir/a.jpg", "b.jpg")
    assert selected(tmp_path)[0] == {"b.jpg"}
    assert selected(tmp_path, include=["@eaDir/*"])[0] == {"@eaDir/a.jpg"}
    assert selected(tmp_path / "@eaDir")[0] == {"a.jpg"}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "QOI", "AVIF", "JPEG2000"])
def test_pictures_without_an_extension_are_taken_on_request(tmp_path: Path, format: str) -> None:
    plant(tmp_path, "a.jpg")
    Image.fromarray(draw(0, 20, 20)).save(tmp_path / "picture", format=format)
    for name, text in {"LICENSE": b"MIT", "BMI": b"BM" + b"I" * 99, "Pipfile": b"P1pfile", "empty": b""}.items():
        (tmp_path / name).write_bytes(text)
    assert selected(tmp_path)[0] == {"a.jpg"}
    paths, passed_over = selected(tmp_path, extensionless=True)
    assert paths == {"a.jpg", "picture"}
    assert passed_over == {"begins like no picture": of({"no extension": 4})}


def test_a_file_whose_beginning_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a.jpg", "secret")
    monkeypatch.setattr(storage, "read_bytes", lambda *_, **__: (_ for _ in ()).throw(storage.StorageError("no")))
    assert selected(tmp_path, extensionless=True) == ({"a.jpg"}, {"unreadable": of({"no extension": 1}, "secret")})


def test_beginnings_are_those_of_what_is_decoded() -> None:
    assert not images.begins_like_picture(b"%PDF-1.7")
    assert not images.begins_like_picture(b"")


def test_words() -> None:
    over = PassedOver()
    assert (str(over), over.count, bool(over)) == ("", "", False)
    for number in range(7):
        over.folder("unreadable", f"folder {number}")
    over.file("another name", "a.txt")
    over.file("another name", "b.MOV")
    over.file("another name", "c.mov")
    over.file("looping link", "a\x1b[2J.jpg", named=True)
    assert str(over) == (
        "another name: 2 .mov, 1 .txt; looping link: 1 .jpg ('a\\x1b[2J.jpg'); "
        "unreadable: 7 folders (folder 0, folder 1, folder 2, folder 3, folder 4, …)"
    )
    assert over.count == "4 files and 7 folders"
    assert PassedOver.of(json.loads(json.dumps(over.to_json()))) == over
    others: list[object] = [None, [], {"a": {"b": 1}}, {"a": 3}]
    for other in others:
        assert not PassedOver.of(other)


def test_a_run_says_it_everywhere(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.plant("a.jpg")
    studio.plant("b.mov")
    studio.plant(".Trash/c.jpg")
    whole = studio.run()
    told = "another name: 1 .mov; hidden: 1 folder (.Trash)"
    assert str(whole.passed_over) == told
    assert "1 file and 1 folder passed over" in describe(whole)
    print_summary(console(), whole, studio.output)
    assert f"Passed over: {told}\n" in capsys.readouterr().out
    said = summary.read(studio.output)
    assert str(PassedOver.of(said["passed_over"])) == told
    assert str(figures(samples.rows_of(SCHEMA.empty_table()), said).passed_over) == told
    studio.plant("d.txt")
    told = "another name: 1 .mov, 1 .txt; hidden: 1 folder (.Trash)"
    assert str(studio.run().passed_over) == told  # where all is done too
    assert str(PassedOver.of(summary.read(studio.output)["passed_over"])) == told
    assert not describe(Progress(total=1, done_before=0)).count("passed over")


def test_the_progress_file_has_it(tmp_path: Path) -> None:
    over = PassedOver()
    over.file("raw", "a.dng")
    uri = str(tmp_path / "progress.json")
    with ProgressFile(uri) as file:
        file.update(Progress(total=1, done_before=0, passed_over=over))
    report = progress.read(uri)
    assert report is not None
    assert report.progress.passed_over == over


def test_a_plan_says_it(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png", "c.dng"):
        studio.plant(name)
    for name in ("a.png", "../s.jpg"):
        Image.fromarray(draw(0, 32, 32)).save(studio.folder / name)
    studio.run(include=["b.png"], defaults={"size": 32})
    fields = {"kind": "archive", "name": "n", "photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]}
    job = job_of({**fields, "output": studio.output, "defaults": {"size": 32}})
    estimate = execute.estimate_job(job, RunOptions(output=studio.output), rate=1e9)
    assert (str(estimate.passed_over), estimate.rows, estimate.done) == ("raw: 1 .dng", 1, 1)
    print_estimate(console(), estimate)
    print_estimate(console(), estimate, as_json=True)
    *lines, last = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["passed", "over", "raw:", "1", ".dng"] for line in lines)
    assert json.loads(last)["passed_over"] == {"raw": of({".dng": 1})}
    assert "passed over: raw: 1 .dng" in of_estimate(estimate)


def test_validation_and_a_notebook_say_it(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "c.dng"):
        studio.plant(name)
    Image.fromarray(draw(0, 32, 32)).save(studio.folder / "a.png")
    Image.fromarray(draw(0, 32, 32)).save(studio.folder / "../s.jpg")
    fields = {"kind": "archive", "name": "n", "photos": str(studio.folder), "styles": [f"{studio.folder}/../s.jpg"]}
    job = studio.folder.parent / "job.yaml"
    job.write_text(json.dumps({**fields, "output": studio.output, "defaults": {"size": 32}}))
    ended = CliRunner().invoke(app, ["validate", str(job)], catch_exceptions=False)
    assert (ended.exit_code, "Passed over: raw: 1 .dng" in ended.output + capsys.readouterr().out) == (0, True)
    over = PassedOver()
    over.file("raw", "c.dng")
    run = Run("out", Progress(total=1, done_before=0, passed_over=over))
    assert repr(run).endswith("1 file passed over, 0 s")
