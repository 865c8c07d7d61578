"""Tests of copies of the repository, each in a forked process that has the large packages imported already.

Importing torch, Ray Data and the like takes longer than most tests. Our own packages are imported anew in each process,
from the copy.
"""

import contextlib
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY

PASSED, FAILED = 0, 1
"""Exit codes of pytest."""

OURS = ("nst_kernel", "pipeline", "jobs", "tests")

LARGE = (
    *("torch", "ray.data", "ray.util.metrics", "pyarrow.parquet", "pyarrow.compute", "fsspec", "s3fs", "boto3"),
    *(
        "moto.server",
        "moto.s3.models",
        "pytest",
        "hypothesis",
        "PIL.Image",
        "pydantic",
        "typer.testing",
        "rich.console",
    ),
    *("yaml", "jinja2", "tenacity", "skimage.metrics", "safetensors.torch", "playwright.sync_api"),
)
"""Packages of others that many tests import."""

QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""What is imported already is not rewritten, and need not be."""

_POLL = 0.02


@dataclass(frozen=True)
class Trial:
    """Tests to run in one process.

    Attributes:
        id: of what is tried.
        tests: node ids.
        limit: seconds that they may take; tests that hang have failed.
    """

    id: str
    tests: Sequence[str]
    limit: float


@dataclass(frozen=True)
class Ended:
    """The end of a trial.

    Attributes:
        id: of what was tried.
        applied: whether there was something to try.
        code: pytest's exit code.
        seconds: that it took.
        output: what pytest printed, its last lines.
    """

    id: str
    applied: bool
    code: int
    seconds: float
    output: str


def run_all(
    trials: Sequence[Trial],
    copies: Sequence[Path],
    *,
    before: Callable[[str, Path], bool] = lambda *_: True,
    after: Callable[[str, Path], None] = lambda *_: None,
) -> Iterator[Ended]:
    """Run trials, as many at a time as there are copies, and yield each as it ends.

    Args:
        trials: in the order in which they begin.
        copies: of the repository; each serves one trial at a time.
        before: prepares a copy for a trial, and returns whether there is something to try.
        after: undoes what `before` did.
    """
    for name in LARGE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    waiting, free = list(trials), list(copies)
    running: dict[int, tuple[Trial, Path, float]] = {}
    while waiting or running:
        while waiting and free:
            trial, copy = waiting.pop(0), free.pop(0)
            if before(trial.id, copy):
                running[_start(trial, copy)] = trial, copy, time.monotonic()
            else:
                free.append(copy)
                yield Ended(trial.id, False, PASSED, 0.0, "")
        for pid, (trial, copy, began) in list(running.items()):
            code, seconds = _code_of(pid), time.monotonic() - began
            if code is None and seconds > trial.limit:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                code = FAILED
            if code is not None:
                del running[pid]
                after(trial.id, copy)
                free.append(copy)
                yield Ended(trial.id, True, code, seconds, _output(copy).read_text("utf-8", "replace")[-8000:])
        time.sleep(_POLL)


def _output(copy: Path) -> Path:
    """Return where pytest's output goes."""
    return copy / "pytest.log"


def _code_of(pid: int) -> int | None:
    """Return the exit code of a process; None while it runs, -9 and the like if a signal ended it."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _start(trial: Trial, copy: Path) -> int:
    """Fork a process that runs the tests of a trial in a copy, in a process group of its own; return its id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 70
    try:
        os.setsid()
        code = _run_tests(trial.tests, copy)
    finally:
        os._exit(code)


def _run_tests(tests: Sequence[str], copy: Path) -> int:
    """Run tests in this process, with our packages from a copy; return pytest's exit code."""
    log = os.open(_output(copy), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(copy)
    # Nothing compiled is written: of a broken file it would outlast the breakage.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    here = {"", str(REPOSITORY)}
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in here)]
    importlib.invalidate_caches()
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=1", *QUIET, *tests]))
