"""What each kind of process of a run imports: a package that takes long to load is paid for in every one of them."""

import subprocess
import sys

import pytest

from pipeline.encoder import PIN, outline_of
from tests.support import REPOSITORY

pytestmark = pytest.mark.xdist_group("processes")  # that begin once

HEAVY = (
    *("torch", "torchvision", "triton", "sympy", "ray", "pandas", "scipy", "matplotlib", "plotly", "sklearn"),
    *("skimage", "pyarrow", "fsspec", "s3fs", "botocore", "jinja2", "IPython", "asyncio"),
)
"""Packages that take from a tenth of a second of CPU to two."""

PLUMBING = {"pyarrow", "fsspec", "asyncio"}

KINDS = {
    "child": "import pipeline.process._child, pipeline.images",
    "planner": "import pipeline.execute, pipeline.encoder\nfor name in PINNED: pipeline.encoder.outline_of(name)",
    "task": "import pipeline.flow.dataset, tests.bench.stub",
    "driver": "import jobs.runner, jobs.console, pipeline.flow",
    "actor": "import pipeline.flow.dataset\npipeline.flow.dataset.style_actor('embedded', threads=1)",
}
"""What each kind of process begins with, in an order in which each loads what those before it have, and more."""


SEARCHES = "searches"
"""What stands in front of how often reference cycles were searched for while the actor was made."""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The heavy packages that are there once a kind of process has begun: one after the other in one process."""
    pinned = ["embedded", f"embedded{PIN}{outline_of('embedded').sha256}"]
    lines = ["import gc, sys", f"PINNED, HEAVY = {pinned!r}, {set(HEAVY)!r}"]
    lines += ["def searches(): return sum(each['collections'] for each in gc.get_stats())"]
    for kind, begins in KINDS.items():
        lines += ["before = searches()", begins, f"print({kind!r}, *HEAVY & sys.modules.keys())"]
    lines += [f"print({SEARCHES!r}, searches() - before)"]
    command = [sys.executable, "-c", "\n".join(lines)]
    said = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return {kind: set(found) for kind, *found in map(str.split, said.splitlines())}


def test_a_child_that_decodes_loads_neither_tables_nor_torch(loaded: dict[str, set[str]]) -> None:
    """Planning and fetching wait for it, and it is started anew after each picture that ends it."""
    assert loaded["child"] == {"fsspec", "asyncio"}


def test_what_is_known_of_the_embedded_encoder_is_read_without_torch(loaded: dict[str, set[str]]) -> None:
    assert loaded["planner"] == PLUMBING


def test_tasks_that_fetch_and_write_load_no_torch(loaded: dict[str, set[str]]) -> None:
    """It would cost each 2 s of CPU and 200 MB."""
    assert loaded["task"] == PLUMBING | {"ray", "pandas"}


def test_a_driver_loads_no_torch(loaded: dict[str, set[str]]) -> None:
    """It took a third of the time until the first batch of a run is at work."""
    assert loaded["driver"] == PLUMBING | {"ray", "pandas"}


def test_an_actor_loads_torch_and_nothing_that_torch_could_do_without(loaded: dict[str, set[str]]) -> None:
    assert loaded["actor"] == PLUMBING | {"ray", "pandas", "torch"}


def test_while_an_actor_loads_torch_python_searches_for_no_reference_cycles(loaded: dict[str, set[str]]) -> None:
    """It would do so some thousand times, a fifth of the CPU that an actor takes to start."""
    (searches,) = map(int, loaded[SEARCHES])
    assert searches < 100
