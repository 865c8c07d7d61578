"""How many rows without a picture are tolerated, what a look at pictures says, and how archives are pruned."""

from pathlib import Path

import pytest

from jobs.exit_codes import ExitCode
from jobs.runner import Ending, Terminal, launch
from pipeline.options import NONE, FailureLimit
from pipeline.outputs.progress import Progress
from tests.jobs.test_cli import QUICK, nst, pair
from tests.jobs.test_settings import quick

__all__ = ["pair", "quick"]


@pytest.mark.parametrize(
    ("tolerate", "code"),
    [
        (NONE, ExitCode.PROBLEMS),
        (FailureLimit.parse("2"), ExitCode.PROBLEMS),
        (FailureLimit.parse("3"), ExitCode.OK),
        (FailureLimit.parse("25%"), ExitCode.PROBLEMS),
        (FailureLimit.parse("30%"), ExitCode.OK),
    ],
    ids=str,
)
def test_known_and_new_failures_are_tolerated_up_to_a_limit(
    tolerate: FailureLimit, code: ExitCode, tmp_path: Path
) -> None:
    done = Progress(8, 1, 1, failed_before=1)
    done.counts.update(ok=7, failed=1)
    assert done.problems == 3
    assert launch(lambda _: done, str(tmp_path), terminal=Terminal(), ending=Ending(tolerate=tolerate)) == code


@pytest.mark.usefixtures("quick")
def test_an_archive_every_night(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    Path("photo.png").rename("photos/photo.png")
    Path("photos/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    words = ["archive", "photos", "--style", "painting.png", "-o", "out", "--no-report", *QUICK]
    assert nst(*words) == ExitCode.PROBLEMS
    assert "broken.png × painting.png" in " ".join(capsys.readouterr().out.split())
    assert nst(*words) == ExitCode.PROBLEMS
    assert "1 row failed before and has not changed: nst retry out --failed" in capsys.readouterr().out
    assert nst(*words, "--tolerate", "1") == ExitCode.OK
    Path("photos/photo.png").unlink()
    capsys.readouterr()
    assert nst(*words, "--yes") == ExitCode.NOTHING_STARTED
    assert "--yes: expected --prune with it" in capsys.readouterr().err
    assert nst(*words, "--prune", "--yes", "--dry-run") == ExitCode.OK
    assert Path("out/images/photo.png").exists()
    assert nst(*words, "--prune") == ExitCode.OK
    shown = capsys.readouterr().out
    assert "Nothing is deleted: --prune --yes does it." in shown
    assert Path("out/images/photo.png").exists()
    assert nst(*words, "--prune", "--yes") == ExitCode.OK
    assert "1 result of photos that are gone: 1 deleted." in capsys.readouterr().out
    assert not Path("out/images/photo.png").exists()
    assert Path("photos/broken.png").exists()


def test_a_look_at_pictures_finds_what_is_missing(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.png").write_bytes(b"no picture")
    Path("rows.csv").write_text(
        "content,style\nphoto.png,painting.png\ngone.png,painting.png\ngone.png,photo.png\nbad.png,painting.png\n"
    )
    assert nst("validate", "rows.csv") == ExitCode.OK
    capsys.readouterr()
    assert nst("validate", "rows.csv", "--pictures") == ExitCode.PROBLEMS
    shown = capsys.readouterr().out
    assert "4 rows are valid." in shown
    assert "gone.png: it does not exist (2 rows)" in shown
    assert "bad.png" in shown
    assert "4 pictures: 2 cannot be read." in shown
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    assert nst("validate", "rows.csv", "--pictures") == ExitCode.OK
    assert "2 pictures: all can be read." in capsys.readouterr().out
