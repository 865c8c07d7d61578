"""How a run ends as a command: its exit code, and what it leaves to be read about it."""

import io
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from jobs import runner as launching
from jobs.console import print_summary
from jobs.exit_codes import ExitCode
from jobs.runner import Ending, Page, Terminal, launch
from pipeline.flow.dataset import RunBroken, TooManyFailures
from pipeline.outputs import layout, progress
from pipeline.outputs.progress import Progress


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def told_to_go(done: Progress) -> Progress:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
    return done


def interrupted(done: Progress) -> Progress:
    raise KeyboardInterrupt


def broken(done: Progress) -> Progress:
    raise RunBroken("the cluster is gone")


def finished(done: Progress) -> Progress:
    return done


@pytest.mark.parametrize(
    ("end", "code", "state", "said"),
    [
        (told_to_go, ExitCode.TERMINATED, "stopped", "Finished rows are kept"),
        (interrupted, ExitCode.INTERRUPTED, "stopped", "Finished rows are kept"),
        (broken, ExitCode.BROKEN_OFF, "broken off", "the cluster is gone"),
        (finished, ExitCode.PROBLEMS, "finished", "1 failed, 2 ok"),
    ],
)
@pytest.mark.parametrize("submitted", [False, True])
def test_how_a_run_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Progress], Progress],
    code: int,
    state: str,
    said: str,
    submitted: bool,
) -> None:
    uri = layout.progress_file(str(tmp_path / ("base" if submitted else "output")))
    if submitted:
        monkeypatch.setenv(launching.PROGRESS_VARIABLE, uri)
        monkeypatch.setenv(launching.SUBMISSION_VARIABLE, "night-1")

    def work(on_progress: Callable[[Progress], None]) -> Progress:
        done = Progress(3, 0)
        done.add({"id": "a", "status": "ok", "error": None, "retries": 0})
        done.add({"id": "b", "status": "ok", "error": None, "retries": 0})
        done.add({"id": "c", "status": "failed", "error": "why", "retries": 0})
        on_progress(done)
        return end(done)

    log = io.StringIO()
    shown = Console(file=log, width=200)
    assert launch(work, str(tmp_path / "output"), terminal=Terminal(shown, shown), ending=Ending(page=Page())) == code
    assert said in log.getvalue()
    assert "3 of 3 rows, 1 failed" in log.getvalue()
    report = progress.read(uri)
    assert report
    assert (report.state, report.progress.counts) == (state, {"ok": 2, "failed": 1})
    assert report.submission == ("night-1" if submitted else "")
    assert report.error == ("the cluster is gone" if state == "broken off" else "")


def test_a_doubtful_picture_is_named_and_no_problem(tmp_path: Path) -> None:
    def work(on_progress: Callable[[Progress], None]) -> Progress:
        done = Progress(31, 0)
        done.add({"id": "good", "status": "ok", "warning": None, "retries": 0})
        for k in range(30):
            done.add({"id": f"still {k}", "status": "ok", "warning": "[b]never fell", "retries": 0})
        on_progress(done)
        return done

    log = io.StringIO()
    shown = Console(file=log, width=200)
    assert launch(work, str(tmp_path), terminal=Terminal(shown, shown)) == ExitCode.OK
    assert "31 of 31 rows, 30 with a warning" in log.getvalue()
    assert log.getvalue().count("[b]never fell") == 20
    assert "still 19" in log.getvalue()
    assert f"… and 10 more: nst results {tmp_path} --columns id,warning" in log.getvalue()


@pytest.mark.parametrize(
    ("failed", "left_alone", "quarantined", "said"),
    [
        (3, 0, 0, ["The same command tries failed rows again and repeats nothing that is done."]),
        (3, 2, 0, ["The same command tries 1 failed row again", "2 rows with a picture that cannot be read: tried"]),
        (2, 2, 0, ["2 rows with a picture that cannot be read: tried again once the picture has changed"]),
        (0, 0, 1, ["Quarantined rows are left alone from now on: nst retry"]),
    ],
)
def test_what_the_same_command_tries_again_is_true(
    tmp_path: Path, failed: int, left_alone: int, quarantined: int, said: list[str]
) -> None:
    log = io.StringIO()
    counts = Counter({"failed": failed, "quarantined": quarantined})
    progress = Progress(3, 0, counts=counts, failures=[("a", "why")], left_alone=left_alone)
    print_summary(Console(file=log, width=300), progress, str(tmp_path))
    lines = [line for line in log.getvalue().splitlines() if re.search("same command|tried again|left alone", line)]
    assert len(lines) == len(said)
    assert all(line.startswith(words) for line, words in zip(lines, said, strict=True))


@pytest.mark.parametrize(("error", "reported"), [(TooManyFailures("hopeless"), True), (RunBroken("lost"), False)])
def test_a_run_that_stops_by_itself_has_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RunBroken, reported: bool
) -> None:
    made: list[str] = []
    monkeypatch.setattr(launching, "report_at_end", lambda output, *_, **__: made.append(output))

    def work(_: Callable[[Progress], None]) -> Progress:
        raise error

    nowhere = Console(file=io.StringIO())
    output = str(tmp_path)
    assert launch(work, output, terminal=Terminal(nowhere, nowhere), ending=Ending(page=Page())) == ExitCode.BROKEN_OFF
    assert made == [output] * reported


@pytest.mark.parametrize(
    ("counts", "quarantined_before", "code"),
    [
        ({"ok": 2}, 0, ExitCode.OK),
        ({}, 0, ExitCode.OK),
        ({"ok": 2}, 1, ExitCode.PROBLEMS),
        ({}, 1, ExitCode.PROBLEMS),
        ({"ok": 1, "diverged": 1}, 0, ExitCode.PROBLEMS),
        ({"ok": 1, "failed": 1}, 0, ExitCode.PROBLEMS),
    ],
)
def test_a_row_without_a_good_picture_is_in_the_exit_code(
    tmp_path: Path, counts: dict[str, int], quarantined_before: int, code: ExitCode
) -> None:
    done = Progress(sum(counts.values()), 0, quarantined_before, Counter(counts))
    nowhere = Console(file=io.StringIO())
    assert launch(lambda _: done, str(tmp_path), terminal=Terminal(nowhere, nowhere)) == code
