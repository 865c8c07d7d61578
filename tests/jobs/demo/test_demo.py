"""What `make demo` shows while it runs."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from jobs.demo import __main__ as demo
from pipeline.outputs import Progress
from pipeline.recovery import Attempt
from tests.jobs.console.test_progress import wait_for

ROWS = (("a", "f"), ("b", "f"), ("c", "f"))


class Seen(Exception):
    """Ends the stand-in for a run."""


def test_a_log_says_how_many_rows_are_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()

    def work(manifest: str, options: object, *, on_progress: Callable[[Progress], None], **_: object) -> None:
        record = f"{tmp_path}/output/ledger/optimise-1-{'0' * 32}.json"
        Attempt(record, ROWS, "optimise", "run", "host", 7, "2026-01-01T00:00:00+00:00").put()
        on_progress(Progress(6, 0))
        wait_for(lambda: "0 of 6 rows: 3 at work …" in log.getvalue())
        raise Seen

    monkeypatch.setattr("jobs.console.progress.AT_WORK_EVERY", 0.01)
    monkeypatch.setattr("jobs.console.progress.LINE_EVERY", 0.01)
    monkeypatch.setattr(demo, "console", Console(file=log, width=200))
    monkeypatch.setattr(demo, "prepare", lambda folder: folder / "pairs.csv")
    monkeypatch.setattr(demo, "run", work)
    with pytest.raises(Seen):
        demo.main(tmp_path)
