"""Pools of actors on real clusters, in processes of their own: short of CPUs, growing, waiting, mixed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import REPOSITORY

pytestmark = pytest.mark.ray


def ended(home: Path, case: str, *, rows: int, seconds: float, **options: object) -> dict[str, Any]:
    """What `pool_run` says at its end. A deadlock is an error: it has five minutes."""
    words = [case, str(home), str(rows), str(seconds), json.dumps({"batch_size": 1, **options})]
    run = [sys.executable, "-m", "tests.e2e.support.pool_run", *words]
    done = subprocess.run(run, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return said  # Ray's warnings may come after it


@pytest.mark.slow
def test_one_cpu_is_enough_for_all_stages(tmp_path: Path) -> None:
    assert ended(tmp_path, "1", rows=6, seconds=0.05)["statuses"] == {"ok": 6}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpus", "options"),
    [
        ("1", {"num_actors": 3}),
        ("1", {"max_actors": 4}),
        ("2", {}),
        ("2", {"num_actors": 1}),
        ("2", {"num_actors": 5}),
        ("2", {"min_actors": 1, "max_actors": 2}),
        ("2", {"min_actors": 2, "max_actors": 8}),
    ],
)
def test_few_cpus_are_enough_for_any_pool(tmp_path: Path, cpus: str, options: dict[str, object]) -> None:
    assert ended(tmp_path, cpus, rows=30, seconds=0.2, **options)["statuses"] == {"ok": 30}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["cpus grow", "gpus grow"])
def test_a_node_that_joins_gets_work(tmp_path: Path, case: str) -> None:
    said = ended(tmp_path, case, rows=60, seconds=1.0, max_actors=2)
    assert said["statuses"] == {"ok": 60}
    assert len(said["nodes"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("case", "options"), [("waits for a cpu", {}), ("waits for a gpu", {"device": "gpu"})])
def test_a_pool_waits_for_a_node(tmp_path: Path, case: str, options: dict[str, object]) -> None:
    said = ended(tmp_path, case, rows=12, seconds=0.05, num_actors=1, **options)
    assert said["statuses"] == {"ok": 12}
    assert list(said["nodes"]) == said["gpu"] or not options


@pytest.mark.slow
@pytest.mark.parametrize(("device", "on_gpu_node"), [("auto", True), ("gpu", True), ("cpu", False)])
def test_a_mixed_cluster_computes_where_it_is_told(tmp_path: Path, device: str, on_gpu_node: bool) -> None:
    said = ended(tmp_path, "mixed", rows=30, seconds=0.2, device=device)
    assert said["statuses"] == {"ok": 30}
    if on_gpu_node:
        assert list(said["nodes"]) == said["gpu"]
    else:
        assert len(said["nodes"]) == 2
