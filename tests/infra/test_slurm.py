"""The script for Slurm under a genuine controller of two nodes, each a host with an address of its own."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from pipeline.outputs.table import read_results
from tests.infra.support import slurm
from tests.infra.support.slurm import Slurm
from tests.support import REPOSITORY, draw

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    home = tmp_path_factory.mktemp("slurm")
    for name, seed in (("a", 1), ("s", 2)):
        Image.fromarray(draw(seed, 64, 64)).save(home / f"{name}.png")
    with slurm.running(home) as found:
        yield found


def manifest(there: Slurm, rows: int, *more: str) -> str:
    """Write a manifest, and return its path."""
    lines = [f"{there.home}/a.png,{there.home}/s.png,{seed}" for seed in range(rows)]
    file = there.home / f"{rows}.csv"
    file.write_text("content,style,seed\n" + "\n".join([*lines, *more]) + "\n")
    return str(file)


def submit(there: Slurm, output: str, rows: str, *options: str, sbatch: tuple[str, ...] = ()) -> str:
    """Submit the script, and return the number of its job."""
    words = [rows, "--output", str(there.home / output), "--batch-size", "1", "--set", "size=48", "--no-report"]
    log = f"--output={there.home}/{output}.log"
    script = str(REPOSITORY / "infra" / "slurm" / "nst.sbatch")
    code, said = there.call("sbatch", "--parsable", *sbatch, log, script, *words, *options)
    assert code == 0, said
    return said.strip().splitlines()[-1]


def wait_until(is_so: Callable[[], bool], there: Slurm, output: str, seconds: float = 1200) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        log = there.home / f"{output}.log"
        assert time.monotonic() < until, log.read_text() if log.exists() else output
        time.sleep(1)


def ended(there: Slurm, job: str, output: str) -> tuple[str, str]:
    """Wait for the end of a job; return its state and exit code."""
    wait_until(lambda: there.job(job)["JobState"] not in ("PENDING", "RUNNING", "COMPLETING"), there, output)
    found = there.job(job)
    return found["JobState"], found["ExitCode"]


def results(there: Slurm, output: str) -> list[dict[str, Any]]:
    """What became of the rows of a run so far."""
    place = there.home / output
    if not any((place / "results").glob("*.parquet")):
        return []
    return list(read_results(str(place)).to_pylist())


def test_a_run_has_all_nodes_and_gives_the_job_its_exit_code(there: Slurm) -> None:
    job = submit(there, "whole", manifest(there, 4), "--set", "iterations=20", sbatch=("--nodes=2",))
    assert ended(there, job, "whole") == ("COMPLETED", "0:0"), (there.home / "whole.log").read_text()
    rows = results(there, "whole")
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert {row["host"] for row in rows} <= {"host0", "host1"}
    bad = manifest(there, 1, f"{there.home}/none.png,{there.home}/s.png,0")
    job = submit(there, "bad", bad, "--set", "iterations=20", sbatch=("--nodes=1",))
    assert ended(there, job, "bad") == ("FAILED", "1:0")
    for host in ("host0", "host1"):
        assert not [*(there.home / f"tmp-{host}").glob("nst-*")]


@pytest.mark.parametrize("partition", ["all", "graceful"])
def test_a_job_that_is_preempted_goes_on_with_the_rest(partition: str, there: Slurm) -> None:
    """Without a grace time Slurm kills all processes and queues the job again; with one, it tells the script."""
    output, rows = f"preempted-{partition}", 6
    options = ("--nodes=1", f"--partition={partition}", "--export=ALL,NST_REQUEUE=1")
    words = ("--set", "iterations=150", "--set", "min_improvement=0", "--set", "scales=")
    job = submit(there, output, manifest(there, rows), *words, sbatch=options)
    wait_until(lambda: len(results(there, output)) >= 2, there, output)
    code, said = there.call("sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--wrap", "sleep 5")
    assert code == 0, said
    wait_until(lambda: there.job(job)["Restarts"] == "1", there, output)
    before = results(there, output)
    assert len(before) < rows
    assert ended(there, job, output) == ("COMPLETED", "0:0"), (there.home / f"{output}.log").read_text()
    after = {row["id"]: row for row in results(there, output)}
    assert [row["status"] for row in after.values()] == ["ok"] * rows
    assert all(after[row["id"]]["run"] == row["run"] for row in before)  # what was done has not been done again
    assert len({row["run"] for row in after.values()}) == 2
