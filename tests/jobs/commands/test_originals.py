"""Commands refuse to write over a picture that they read, before anything starts; they do so without Ray."""

import importlib
import json
from pathlib import Path

import pytest
from PIL import Image

from jobs.exit_codes import ExitCode
from nst_kernel import StyleParams
from pipeline import layout, outputs, storage
from pipeline.recovery.holder import this_process
from tests.jobs.test_cli import QUICK, nst, pair
from tests.support import draw

assert pair


@pytest.fixture
def photos(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos in images/, and a manifest whose first row writes a picture of the name of one of them."""
    (pair / "images").mkdir()
    for number, name in enumerate(("cat.png", "dog.png")):
        Image.fromarray(draw(number, 32, 32)).save(pair / "images" / name)
    lines = ["content,style,output", "images/cat.png,painting.png,x.png", "photo.png,painting.png,cat.png"]
    (pair / "pairs.csv").write_text("\n".join(lines))
    flow = importlib.import_module("pipeline.flow.run")
    monkeypatch.setattr(flow, "connect", lambda _: pytest.fail("something was started"))
    return pair


def untouched(folder: Path) -> dict[str, bytes]:
    """The files of a folder and of those below, but for what a run may write."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize("command", [["run"], ["plan"]])
@pytest.mark.parametrize("output", [".", "file://{0}", "local://{0}", "link"])
def test_a_manifest_does_not_replace_what_it_reads(
    photos: Path, capsys: pytest.CaptureFixture[str], command: list[str], output: str
) -> None:
    (photos / "link").symlink_to(photos)
    before = untouched(photos)
    assert nst(*command, "pairs.csv", "-o", output.format(photos)) == ExitCode.NOTHING_STARTED
    said = " ".join(capsys.readouterr().err.split())
    assert "pairs.csv, line 3, column output: 'cat.png': expected another name" in said
    assert "is the content of" in said
    assert "pairs.csv, line 2" in said
    assert untouched(photos) == before


def test_a_job_file_is_validated_likewise(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "job.yaml").write_text("kind: manifest\nname: n\nmanifest: pairs.csv\noutput: .\n")
    assert nst("validate", "job.yaml") == ExitCode.NOTHING_STARTED
    assert "is the content of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "original"),
    [
        ("photo.png", "photo.png"),
        ("./painting.png", "painting.png"),
        ("file://{0}/photo.png", "photo.png"),
        ("local://{0}/painting.png", "painting.png"),
        ("here/photo.png", "photo.png"),
        ("images/dog.png", "dog.png"),
    ],
)
def test_stylize_does_not_replace_what_it_reads(
    photos: Path, capsys: pytest.CaptureFixture[str], output: str, original: str
) -> None:
    (photos / "here").symlink_to(photos)
    before = untouched(photos)
    words = ["photo.png", "painting.png", "-o", output.format(photos), *QUICK, "--set", "init=images/dog.png"]
    assert nst("stylize", *words) == ExitCode.NOTHING_STARTED
    assert f"{original}, which would be written over" in capsys.readouterr().err
    assert untouched(photos) == before


@pytest.mark.parametrize("output", ["local://{0}", "file://{0}/", "{0}/images/..", "link"])
def test_an_archive_does_not_replace_its_photos(photos: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    (photos / "link").symlink_to(photos)
    before = untouched(photos)
    words = ["images", "--style", "painting.png", "-o", output.format(photos)]
    assert nst("archive", *words) == ExitCode.NOTHING_STARTED
    assert "would take the place of the originals" in capsys.readouterr().err
    assert untouched(photos) == before


def results_with(output: str, **changed: object) -> None:
    """Results of one failed row, as anybody may write them."""
    params = StyleParams.of({"size": 32, "iterations": 2, "scales": ()})
    row: dict[str, object] = {
        "id": "a",
        "content": f"{Path.cwd()}/photo.png",
        "style": f"{Path.cwd()}/painting.png",
        "status": "failed",
    }
    row |= {"params": json.dumps(params.to_json()), "finished_at": outputs.provenance.now(), **changed}
    outputs.commit(output, [row])


@pytest.mark.parametrize("name", ["../../../outside.png", "/outside.png", "a\\b.png", "x.txt"])
def test_retry_refuses_names_that_no_manifest_could_give(
    photos: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    results_with(str(photos / "out"), output_name=name)
    assert nst("retry", "out", "--failed") == ExitCode.NOTHING_STARTED
    said = capsys.readouterr().err
    assert "column output_name of row 'a'" in said
    assert repr(name) in said


def test_retry_does_not_replace_what_it_reads(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results_with(str(photos), content=f"{photos}/images/dog.png", output_name="dog.png")
    assert nst("retry", ".", "--failed") == ExitCode.NOTHING_STARTED
    assert "is the content of" in capsys.readouterr().err


def test_a_photo_that_an_earlier_run_read_is_not_replaced(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results_with(str(photos), content=f"{photos}/images/dog.png", output_name="a.png", status="ok")
    (photos / "other.csv").write_text("content,style,output\nphoto.png,painting.png,dog.png\n")
    for command in ("run", "plan"):
        assert nst(command, "other.csv", "-o", ".") == ExitCode.NOTHING_STARTED
        assert "is a picture that rows of earlier runs into" in " ".join(capsys.readouterr().err.split())


def test_a_grid_does_not_write_through_a_link(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = "kind: grid\nname: g\ncontents: photo.png\nstyles: painting.png\nparameters: {size: [32]}\noutput: grid\n"
    (photos / "grid.yaml").write_text(job)
    (photos / "outside").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "run_folder", lambda output, _: f"{output}/runs/planted")
        (photos / "grid" / "runs").mkdir(parents=True)
        (photos / "grid" / "runs" / "planted").symlink_to(photos / "outside")
        assert nst("grid", "run", "grid.yaml") == ExitCode.NOTHING_STARTED
    assert "expected a place below" in capsys.readouterr().err
    assert list((photos / "outside").iterdir()) == []


def test_results_print_nothing_that_commands_the_terminal(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "x\x1b]0;title\x07\x1b[2J\x9b\r.png"
    results_with(
        str(photos / "out"), id=hostile, content=hostile, output_name=f"../{hostile}", error=f"{hostile}\nfake line"
    )
    (photos / "job.yaml").write_text('kind: manifest\n"\\e[2J": 1\nname: "\\e[2J"\n')
    (photos / hostile).write_bytes(b"no picture")
    ends = "2999-01-01T00:00:00+00:00"
    lock = {**this_process(), "owner": hostile, "host": hostile, "began_at": hostile, "expires_at": ends}
    storage.write_bytes(layout.lock_file("locked"), json.dumps(lock).encode())
    for words in (
        ["results", "out"],
        ["results", "out", "--json"],
        ["retry", "out", "--failed"],
        ["validate", "job.yaml"],
        ["archive", hostile, "--style", "painting.png", "-o", "new", "--plan"],
        ["run", "pairs.csv", "-o", "locked"],
    ):
        nst(*words)
        shown = capsys.readouterr()
        assert shown.out or shown.err
        assert not {"\x1b", "\x07", "\x9b", "\r"} & {*shown.out, *shown.err}
