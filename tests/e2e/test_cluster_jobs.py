"""The commands against a real cluster: submit, attach, status, metrics, cancel mid-run, submit again, finish."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.layout import lock_file
from pipeline.outputs import layout, progress
from pipeline.outputs.finished import finished
from tests.e2e.conftest import Studio, as_csv, furnish
from tests.e2e.support.real_cluster import RealCluster, real_cluster

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ROWS = 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealCluster]:
    with real_cluster(workers=1) as running:
        yield running


@pytest.fixture
def job(tmp_path: Path) -> tuple[Path, Studio]:
    """A job whose rows take seconds each, and the studio of its results."""
    studio = furnish(tmp_path)
    pictures = [studio.picture(f"content/{n}.png", n) for n in range(ROWS)]
    rows = [{"id": f"row{n}", "content": name, "style": "painting.png"} for n, name in enumerate(pictures)]
    said = {
        "kind": "manifest",
        "name": "night",
        "manifest": studio.write("rows.csv", as_csv([dict(row) for row in rows])),
        "output": studio.output,
        "defaults": {"size": 64, "iterations": 60, "min_improvement": 0, "scales": "", "precision": "fp32"},
        "resources": {"batch_size": 1},
        "cluster": {"upload": True, "env": {"GREETING": "hello"}},
    }
    return Path(studio.write("night.yaml", yaml.safe_dump(said))), studio


def wait_for(what: Callable[[], bool], *, seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, what
        time.sleep(0.5)


def rows_done(output: str) -> int:
    report = progress.read(layout.progress_file(output))
    return report.progress.finished if report else 0


METRICS = {
    "finished rows": r'ray_nst_rows_total\{.*status="ok".*\} [1-9]',
    "how busy devices are": r"ray_nst_device_busy_share\{",
    **{f"seconds of {stage}": f'nst_seconds_total.*stage="{stage}"' for stage in ("fetch", "optimise", "write")},
    "batches of one row": r'ray_nst_batch_size_bucket\{.*le="1.0".*\} [1-9]',
    "losses": r"ray_nst_loss_count\{.*\} [1-9]",
}


def missing_metrics(cluster: RealCluster) -> list[str]:
    """Return what the nodes of a cluster do not export."""
    seen = "\n".join(urllib.request.urlopen(url, timeout=5).read().decode() for url in cluster.metrics)
    return [name for name, line in METRICS.items() if not re.search(line, seen)]


def test_submitted_attached_cancelled_resubmitted_finished(cluster: RealCluster, job: tuple[Path, Studio]) -> None:
    file, studio = job
    at = ("--address", cluster.address)
    first = cluster.nst("submit", str(file), *at)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    found = re.match(r"(night-[0-9a-f]{8}): submitted to", first.stdout)
    assert found, first.stdout
    id = found[1]
    second = cluster.nst("submit", str(file), *at)
    assert re.match(rf"{id} is (PENDING|RUNNING) already: attached", second.stdout), second.stdout

    wait_for(lambda: rows_done(studio.output) >= 2)
    status = json.loads(cluster.nst("status", str(file), "--json", *at).stdout)
    assert (status["id"], status["status"], status["progress"]["total"]) == (id, "RUNNING", ROWS)
    wait_for(lambda: not missing_metrics(cluster), seconds=30)

    cancelled = cluster.nst("cancel", "night", *at)
    assert f"{id}: STOPPED" in cancelled.stdout, cancelled
    report = progress.read(layout.progress_file(studio.output))
    assert report
    assert report.state == "stopped"
    assert not Path(lock_file(studio.output)).exists()
    assert list((Path(studio.output) / "ledger").iterdir()) == []
    kept = studio.results()
    assert 0 < len(kept) < ROWS
    assert {row["status"] for row in kept.values()} == {"ok"}

    followed = cluster.nst("submit", str(file), "--follow", *at)
    assert followed.returncode == 0, followed
    assert f"{id}.2: attempt 2" in followed.stdout
    assert f"{len(kept)} done before" in followed.stdout
    assert f"{id}.2: SUCCEEDED" in followed.stdout
    assert "\x1b" not in followed.stdout
    done = studio.results()
    assert {row["status"] for row in done.values()} == {"ok"}
    assert len(done) == ROWS
    assert all(done[name]["finished_at"] == row["finished_at"] for name, row in kept.items())

    listed = [json.loads(line) for line in cluster.nst("jobs", "--json", *at).stdout.splitlines()]
    assert [(one["id"], one["status"]) for one in listed] == [(f"{id}.2", "SUCCEEDED"), (id, "STOPPED")]
    assert f"{ROWS - len(kept)} of {ROWS - len(kept)} rows" in cluster.nst("logs", "night", *at).stdout
    unknown = cluster.nst("logs", "nigth", *at)
    assert unknown.returncode == 2
    assert "did you mean night?" in unknown.stderr
    assert finished(studio.output).fingerprints.keys() == done.keys()


def test_a_folder_that_is_too_large_to_travel(cluster: RealCluster, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "{kind: manifest, name: large, manifest: rows.csv, output: /nowhere, cluster: {working_dir: .}}"
    )
    (tmp_path / "film.mp4").write_bytes(os.urandom(101 * 2**20))
    refused = cluster.nst("submit", str(tmp_path / "job.yaml"), "--address", cluster.address)
    (tmp_path / "film.mp4").unlink()
    assert refused.returncode == 2, refused
    assert "too large to travel" in refused.stderr


def test_a_job_that_cannot_start_says_why(cluster: RealCluster, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        f"{{kind: manifest, name: lost, manifest: /nowhere.csv, output: {tmp_path}/out, cluster: {{upload: true}}}}"
    )
    ended = cluster.nst("submit", str(tmp_path / "job.yaml"), "--follow", "--address", cluster.address)
    assert ended.returncode == 2, ended
    assert "/nowhere.csv" in ended.stdout
    assert "nothing was started" in ended.stdout


def test_what_travels_is_done_once_whatever_else_is_in_the_folder(cluster: RealCluster, tmp_path: Path) -> None:
    studio = furnish(tmp_path / "sent")
    names = [studio.picture(f"content/{n}.png", n) for n in range(3)]
    said = {
        "kind": "manifest",
        "name": "travels",
        "manifest": "rows.csv",
        "output": str(tmp_path / "out"),
        "defaults": {"size": 32, "iterations": 3, "scales": "", "precision": "fp32"},
        "cluster": {"upload": True, "working_dir": "."},
    }
    studio.write("rows.csv", as_csv([{"content": name, "style": "painting.png"} for name in names]))
    file = studio.write("job.yaml", yaml.safe_dump(said))
    submit = ("submit", file, "--follow", "--address", cluster.address)
    first = cluster.nst(*submit)
    assert first.returncode == 0, first.stdout
    studio.write("README.md", "what a run of the day before has left here")
    again = cluster.nst(*submit)
    assert again.returncode == 0, again
    assert "Nothing to do; 3 were done before" in again.stdout
    studio.picture("content/1.png", 99)
    changed = cluster.nst(*submit)
    assert "1 ok; 2 were done before" in changed.stdout, changed
