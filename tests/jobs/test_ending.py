"""A process that was interrupted ends with its exit code, whatever Ray's threads are at."""

import os
import sys
from types import SimpleNamespace

import pytest

from jobs import cli, ending
from jobs.ending import leave
from jobs.exit_codes import ExitCode

is_connected = ending.is_connected  # what tests have in its place elsewhere does not hold here


class Ended(BaseException):
    """In the place of the end of this process."""


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What happened to Ray and to this process, in order."""
    found: list[object] = []

    def end(code: int) -> None:
        found.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(ending, "is_connected", is_connected)
    ray = SimpleNamespace(is_initialized=lambda: True, shutdown=lambda: found.append("shutdown"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    return found


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_an_interrupted_run_ends_at_once_after_it_has_left_ray(code: ExitCode, order: list[object]) -> None:
    with pytest.raises(Ended):
        leave(code)
    assert order == ["shutdown", code]


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_command_ends_so(code: ExitCode, order: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "in_front", lambda words: words)  # it looks at the commands of the app
    monkeypatch.setattr(cli, "app", lambda words: sys.exit(code))
    monkeypatch.setattr(sys, "argv", ["nst", "run", "rows.csv"])
    with pytest.raises(Ended):
        cli.main()
    assert order == ["shutdown", code]


@pytest.mark.parametrize("code", [None, *set(ExitCode) - {ExitCode.INTERRUPTED, ExitCode.TERMINATED}])
def test_all_else_ends_as_usual(code: ExitCode | None, order: list[object]) -> None:
    with pytest.raises(SystemExit) as end:
        leave(code)
    assert (end.value.code, order) == (code, [])


@pytest.mark.parametrize("is_loaded", [False, True])
def test_without_a_cluster_there_is_nothing_to_leave(
    is_loaded: bool, order: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nst logs --follow` has the exit code of the job that it follows."""
    monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False)
    if not is_loaded:
        monkeypatch.delitem(sys.modules, "ray")
    with pytest.raises(SystemExit):
        leave(ExitCode.INTERRUPTED)
    assert order == []
