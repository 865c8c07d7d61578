"""`nst report`, and the report at the end of a run."""

import io
import webbrowser
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from jobs.runner import Ending, Page, Terminal, launch
from pipeline import storage
from pipeline.outputs import Progress
from tests.jobs.test_cli import nst
from tests.pipeline.report.support import samples


def test_a_report_is_made_and_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    output = samples.make(tmp_path)
    assert nst("report", str(output), "--to", str(tmp_path / "page"), "--price", "3.6", "--open") == 0
    page = tmp_path / "page" / "index.html"
    assert "$0.29" in page.read_text("utf-8")
    assert opened == [f"file://{page}"]
    assert f"Report: {page}" in " ".join(capsys.readouterr().out.split())
    assert not (output / "report").exists()


def test_a_run_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("report", str(tmp_path / "nowhere")) == 2
    assert "no results in" in capsys.readouterr().err


def end(output: Path, *, report: bool = True) -> tuple[int, str, str]:
    """The end of a run in which every row was ok: exit code, and what was said."""
    said, complained = io.StringIO(), io.StringIO()
    progress = Progress(total=2, done_before=0, counts=Counter(ok=2))
    out, err = Console(file=said, width=300), Console(file=complained, width=300)
    code = launch(
        lambda _: progress, str(output), terminal=Terminal(out, err), ending=Ending(page=Page() if report else None)
    )
    return code, said.getvalue(), complained.getvalue()


def test_a_run_ends_with_its_report(tmp_path: Path) -> None:
    output = samples.make(tmp_path)
    code, said, _ = end(output)
    assert code == 0
    assert f"{output}/report/index.html" in said
    assert (output / "report" / "index.html").exists()


def test_a_run_ends_without_one_if_asked(tmp_path: Path) -> None:
    output = samples.make(tmp_path)
    assert end(output, report=False)[0] == 0
    assert not (output / "report").exists()


def test_a_report_that_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = samples.make(tmp_path)

    def full(uri: str, data: bytes) -> None:
        raise storage.StorageError(f"cannot write {uri}: the disk is full")

    monkeypatch.setattr(storage, "write_bytes", full)
    code, said, complained = end(output)
    assert code == 0
    assert "Report:" not in said
    assert complained.startswith("Warning: no report: StorageError: cannot write")
    assert f"nst report {output}" in complained
