"""A process that stands still is ended, whatever it stands still at; one that shows life, or is done, is not."""

import subprocess
import sys

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


def test_signs_of_life_and_an_end_in_time_keep_a_process() -> None:
    alive = "for _ in range(20):\n        time.sleep(0.1)\n        alive()"
    assert run(f"with watching(1.5):\n    {alive}").stdout == "done\n"
    assert run("with watching(0.3): pass\nalive()\ntime.sleep(1)").stdout == "done\n"
    raised = "try:\n    with watching(0.3): 1 / 0\nexcept ZeroDivisionError: time.sleep(1)"
    assert run(raised).stdout == "done\n"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_watch_needs_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected seconds, more than 0"), watchdog.watching(seconds):
        pass
