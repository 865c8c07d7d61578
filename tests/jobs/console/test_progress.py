"""Progress in a log: whole lines, not too many, always the last."""

import io
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from jobs.console import output as console
from jobs.console.progress import LINE_EVERY, IterationBar, LiveProgress, describe
from pipeline.outputs.progress import Progress
from pipeline.process import stage

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (.*)")


def lines(total: int, pauses: list[float], *, columns: int = 80) -> list[str]:
    """What a log has of a run whose rows finish after these seconds each."""
    log, time = io.StringIO(), 0.0
    progress = Progress(total, 0)
    with LiveProgress(Console(file=log, width=columns), at_work=lambda: None, clock=lambda: time) as live:
        live.update(progress)
        for pause in pauses:
            time += pause
            progress.counts["ok"] += 1
            progress.seconds = time
            live.update(progress)
    assert "\x1b" not in log.getvalue()
    assert "\r" not in log.getvalue()
    found = [LINE.fullmatch(line) for line in log.getvalue().splitlines()]
    assert all(found), log.getvalue()
    return [match[1] for match in found if match]


@given(st.integers(1, 400), st.data())
def test_a_log_has_few_whole_lines_and_always_the_last(total: int, data: st.DataObject) -> None:
    pauses = data.draw(st.lists(st.floats(0.001, 100), max_size=total))
    said = lines(total, pauses, columns=data.draw(st.sampled_from([10, 80])))
    assert said[0].startswith("Reading")
    assert said[-1].startswith(f"{len(pauses):,} of {total:,} row" + ("" if total == 1 else "s"))
    assert len(said) <= 1 + 1 + 20 + sum(pauses) / LINE_EVERY + 1
    assert len(set(said)) == len(said)


def test_a_remark_on_parameters_is_shown_once() -> None:
    log = io.StringIO()
    with LiveProgress(Console(file=log, width=200), at_work=lambda: None) as live:
        live.update(Progress(4, 0, remarks=("[b]both",)))
        live.update(Progress(4, 1, remarks=("[b]both", "another")))
    assert log.getvalue().count("Note: [b]both.") == 1
    assert log.getvalue().count("Note: another.") == 1


def test_when_there_is_a_line() -> None:
    assert len(lines(1000, [0.001] * 1000)) == 1 + 1 + 20
    assert len(lines(1000, [LINE_EVERY] * 10)) == 1 + 1 + 10
    assert [line.split(" of")[0] for line in lines(1000, [1.0] * 45)] == [
        "Reading what is asked …",
        "0",
        "30",
        "45",
    ]


def test_a_log_gets_a_line_each_half_minute_also_before_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.progress.AT_WORK_EVERY", 0.01)
    log, now = io.StringIO(), [0.0]
    busy: list[int | None] = [None]
    with LiveProgress(Console(file=log, width=200), clock=lambda: now[0], at_work=lambda: busy[0]) as live:
        stage("starting Ray")
        time.sleep(0.1)
        assert log.getvalue().count("\n") == 1
        now[0] = LINE_EVERY
        wait_for(lambda: "Starting Ray …, 0:30 since the start" in log.getvalue())
        live.update(Progress(4, 0))
        now[0] *= 3
        wait_for(lambda: "0 of 4 rows: starting encoders …, 1:30 since the start" in log.getvalue())
        busy[0], now[0] = 2, 2 * now[0]
        wait_for(lambda: "0 of 4 rows: 2 at work …, 3:00 since the start" in log.getvalue())


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_terminal_shows_the_stage_what_is_at_work_and_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.progress.AT_WORK_EVERY", 0.01)
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    now, progress, busy = [0.0], Progress(4, 0), [0]
    with LiveProgress(console, clock=lambda: now[0], at_work=lambda: busy[0]) as live:

        def shown() -> str:
            return text(live._shown())

        assert "Reading what is asked … 0:00" in shown()
        stage("starting Ray")
        now[0] = 65.0
        assert "Starting Ray … 1:05" in shown()
        live.update(progress)
        assert "0 of 4 rows: starting encoders … 1:05" in shown()
        busy[0] = 2
        wait_for(lambda: "0 of 4 rows: 2 at work … 1:05" in shown())
        progress.add({"id": "a", "status": "ok", "retries": 0})
        live.update(progress)
        wait_for(lambda: "1 of 4 rows" in shown() and "2 at work, 1:05 so far" in shown())


def test_the_time_left_runs_down_between_two_rows() -> None:
    now, progress = [0.0], Progress(2, 0)
    with LiveProgress(Console(file=io.StringIO()), at_work=lambda: None, clock=lambda: now[0]) as live:
        progress.counts["ok"], progress.works.known_left, now[0] = 1, 100.0, 100.0
        live.update(progress)
        assert live._line().endswith("1:40 left")
        now[0] = 160.0
        assert live._line().endswith("0:40 left")
        now[0] = 300.0
        assert live._line().endswith("0:00 left")


@pytest.mark.parametrize(("seconds", "said"), [(0.5, "2.00 rows/s"), (12.0, "300 rows/h"), (840.0, "4.29 rows/h")])
def test_a_rate_has_digits_that_matter(seconds: float, said: str) -> None:
    progress = Progress(6, 0)
    progress.counts["ok"], progress.seconds, progress.works.began = 1, seconds, progress.began
    assert describe(progress).startswith(f"1 of 6 rows, {said}")


def test_one_pair_has_its_loss_on_a_terminal_and_in_a_log() -> None:
    terminal, log, now = io.StringIO(), io.StringIO(), [0.0]
    with IterationBar(Console(file=terminal, force_terminal=True, width=120)) as bar:
        bar.update(3, 10, 1234.5678)
        bar.progress.refresh()
    assert "3/10" in terminal.getvalue()
    assert "loss 1235" in terminal.getvalue()
    with IterationBar(Console(file=log, width=80), clock=lambda: now[0]) as bar:
        for done in range(1, 8):
            now[0] += 10.0
            bar.update(done, 10, 100.0 - done)
    said = [found[1] for line in log.getvalue().splitlines() if (found := LINE.fullmatch(line))]
    assert said == ["3 of 10 iterations, loss 97", "6 of 10 iterations, loss 94"]


def text(shown: RenderableType) -> str:
    log = io.StringIO()
    Console(file=log, width=80).print(shown)
    return " ".join(log.getvalue().split())


def test_lines_are_folded_for_windows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.console().width == console.WIDE
    monkeypatch.setenv("COLUMNS", "70")
    assert console.console().width == 70
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("FORCE_COLOR", "1")  # who asks for colours wants a terminal's output
    assert console.console().width < console.WIDE
