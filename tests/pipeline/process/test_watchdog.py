"""A process that stands still is ended, whatever it stands still at; one that shows life, or is done, is not."""

import contextlib
import faulthandler
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.process import watchdog
from tests.support import REPOSITORY

HANGS = {
    "loop": "while True: pass",
    "sleep": "time.sleep(600)",
    "never gives up the interpreter's lock": "re.match('(a|a)*b', 'a' * 60)",
    "catches all it can": "while True:\n        try: time.sleep(600)\n        except BaseException: pass",
}


def run(body: str) -> subprocess.CompletedProcess[str]:
    script = f"import re, time\nfrom pipeline.process.watchdog import alive, watching\n{body}\nprint('done')"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_process_that_stands_still_is_ended_and_says_where(hang: str) -> None:
    ended = run(f"with watching(0.3):\n    {hang}")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert 'File "<string>", line' in ended.stderr


class Timer:
    """The timer of faulthandler and the clock, in numbers: no test of when it is set waits for it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.ends_at = 100.0, float("inf")
        self.set_at: list[float] = []
        patch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(faulthandler, "dump_traceback_later", self.start)
        patch.setattr(faulthandler, "cancel_dump_traceback_later", self.cancel)

    def start(self, seconds: float, *, exit: bool, file: int) -> None:
        assert exit
        assert file == 2
        self.ends_at = self.now + seconds
        self.set_at.append(self.now)

    def cancel(self) -> None:
        self.ends_at = float("inf")


def test_signs_of_life_keep_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer(monkeypatch)
    with watchdog.watching(8):
        assert timer.ends_at == 108
        for _ in range(40):
            timer.now += 0.5
            watchdog.alive()
            assert timer.ends_at - timer.now > 7  # a sign within a tenth of the time is not worth a system call
    assert timer.set_at[:3] == [100, 101, 102]


def test_an_end_in_time_keeps_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer(monkeypatch)
    with watchdog.watching(8):
        pass
    assert timer.ends_at == float("inf")
    with contextlib.suppress(ZeroDivisionError), watchdog.watching(8):
        raise ZeroDivisionError
    assert timer.ends_at == float("inf")
    timer.now += 100
    watchdog.alive()  # outside of `watching` it sets nothing
    assert timer.ends_at == float("inf")


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_watch_needs_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected seconds, more than 0"), watchdog.watching(seconds):
        pass
