"""The commands of clusters, over a job server that is made up."""

import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from jobs.submit import client as clusters
from jobs.submit.client import Cluster, ClusterError, find_address
from jobs.submit.request import Request, request
from jobs.submit.status import Status
from pipeline.outputs import layout, progress, provenance
from tests.jobs.test_cli import nst


@dataclass
class FakeServer:
    """Keeps jobs as Ray's job server does, and runs none. `ends` is what becomes of a job once it is looked at."""

    jobs: dict[str, SimpleNamespace] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    rivals: list[Request] = field(default_factory=list)
    given: dict[str, dict[str, Any]] = field(default_factory=dict)

    def submit_job(self, **given: Any) -> str:
        for rival in self.rivals:  # that are quicker
            self.rivals.remove(rival)
            Cluster(self, "").submit(rival)
        id: str = given["submission_id"]
        if id in self.jobs:
            raise RuntimeError(f"Request failed with status code 500: Job with submission_id {id} already exists.")
        self.given[id] = given
        self.jobs[id] = details(id, given["metadata"], began=len(self.jobs))
        return id

    def list_jobs(self) -> Sequence[Any]:
        return list(self.jobs.values())

    def stop_job(self, job_id: str) -> bool:
        self.jobs[job_id].status = "STOPPED"
        return True

    def get_job_logs(self, job_id: str) -> str:
        return f"log of {job_id}\x1b[2J\n"

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        for word in ("one\n", "two\nthree\n"):
            yield word
        self.jobs[job_id].status = self.ends.get(job_id, "SUCCEEDED")
        self.jobs[job_id].driver_exit_code = 1 if job_id in self.ends else 0


def details(id: str | None, metadata: dict[str, str] | None, *, began: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        submission_id=id,
        metadata=metadata,
        status="RUNNING",
        message="",
        driver_exit_code=None,
        start_time=1_000_000 + began,
        end_time=None,
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    fake.jobs["raysubmit_x"] = details("raysubmit_x", {"job_name": "of somebody else"})
    fake.jobs["driver"] = details(None, None)
    monkeypatch.setattr(Cluster, "at", lambda address, of_job=None: Cluster(fake, find_address(address, of_job)))
    monkeypatch.setattr(clusters, "LOOK_EVERY", 0.01)
    return fake


@pytest.fixture
def job(tmp_path: Path) -> Path:
    said = {"kind": "manifest", "name": "night", "manifest": "/rows.csv", "output": str(tmp_path / "out")}
    file = tmp_path / "night.yaml"
    file.write_text(yaml.safe_dump(said))
    return file


def told(submission: str, state: progress.State, output: Path, *, seconds_ago: float = 0, error: str = "") -> None:
    """As a driver tells it."""
    at = provenance.now() - timedelta(seconds=seconds_ago)
    said: dict[str, object] = {
        "state": state,
        "total": 40,
        "done_before": 3,
        "quarantined_before": 0,
        "counts": {"ok": 9, "failed": 1},
    }
    said |= {"seconds": 20.0, "failures": [], "error": error, "submission": submission, "updated_at": at.isoformat()}
    output.mkdir(exist_ok=True)
    Path(layout.progress_file(str(output))).write_text(json.dumps(said))


def test_a_job_that_runs_is_attached_to_and_one_that_ended_goes_on(server: FakeServer, job: Path) -> None:
    cluster, asked = Cluster(server, "http://here"), request(job)
    first, new = cluster.submit(asked)
    assert (first.id, first.attempt, new) == (asked.id(1), 1, True)
    assert cluster.submit(asked) == (first, False)
    for attempt, end in enumerate(("STOPPED", "FAILED", "SUCCEEDED"), start=2):
        server.jobs[asked.id(attempt - 1)].status = end
        again, new = cluster.submit(asked)
        assert (again.id, again.attempt, new) == (asked.id(attempt), attempt, True)
        assert server.given[again.id]["runtime_env"]["env_vars"]["NST_SUBMISSION"] == again.id
    job.write_text(job.read_text().replace("/rows.csv", "/more.csv"))
    other, new = cluster.submit(request(job))
    assert new
    assert (other.attempt, other.name) == (1, "night")


def test_of_two_who_submit_at_once_one_attaches(server: FakeServer, job: Path) -> None:
    asked = request(job)
    server.rivals.append(asked)
    found, new = Cluster(server, "http://here").submit(asked)
    assert (found.id, new) == (asked.id(1), False)
    assert [one.id for one in Cluster(server, "").submissions()] == [asked.id(1)]


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            "status code 500: Traceback (most recent call last):\n  x\nValueError: no",
            r"the cluster at http://here did not take night-\w+: ValueError: no$",
        ),
        ("status code 413: Maximum request body size 1 exceeded.", r"working_dir \S+ is too large to travel \(.*413.*"),
        ("Traceback\nValueError: Package size (600MiB) exceeds the maximum size of 500MiB", "is too large to travel"),
    ],
)
def test_a_refusal_is_one_line(
    server: FakeServer, job: Path, monkeypatch: pytest.MonkeyPatch, refusal: str, said: str
) -> None:
    def refuse(**_: Any) -> str:
        raise RuntimeError(f"Request failed with {refusal}")

    monkeypatch.setattr(server, "submit_job", refuse)
    job.write_text(job.read_text() + "cluster: {working_dir: .}\n")
    with pytest.raises(ClusterError, match=said) as refused:
        Cluster(server, "http://here").submit(request(job))
    assert "\n" not in str(refused.value)


def test_resources_of_the_driver_by_rays_names(server: FakeServer, job: Path) -> None:
    text = "cluster: {entrypoint_resources: {CPU: 0.5, memory: 2.0e+9, head: 1}}\n"
    job.write_text(job.read_text() + text)
    found, _ = Cluster(server, "").submit(request(job))
    given = server.given[found.id]
    assert (given["entrypoint_num_cpus"], given["entrypoint_memory"]) == (0.5, 2_000_000_000)
    assert given["entrypoint_resources"] == {"head": 1}
    assert "entrypoint_num_gpus" not in given


def test_submit_status_logs_cancel_jobs(
    server: FakeServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nst("submit", str(job)) == 0
    id = request(job).id(1)
    assert f"{id}: submitted to http://127.0.0.1:8265" in capsys.readouterr().out
    assert nst("submit", str(job)) == 0
    assert f"{id} is RUNNING already: attached" in capsys.readouterr().out

    assert nst("status") == 0
    assert "planning" in capsys.readouterr().out
    told(id, "running", tmp_path / "out", seconds_ago=4)
    for words in (["status"], ["status", "night"], ["status", id], ["status", str(job)], ["jobs"]):
        assert nst(*words) == 0
        shown = capsys.readouterr().out
        assert f"{id}" in shown, words
        assert "10 of 40 rows, 1 failed, 3 done before, 0.50 rows/s, 1:00 left (" in shown, words
    assert nst("status", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["id"], said["progress"]["counts"]) == (id, {"ok": 9, "failed": 1})

    assert nst("logs", "night") == 0
    assert capsys.readouterr().out == f"log of {id}\\x1b[2J\n"
    assert nst("cancel", "night") == 0
    told(id, "stopped", tmp_path / "out")
    assert f"{id}: STOPPED" in capsys.readouterr().out
    assert nst("cancel", "night") == 0
    assert f"{id} is STOPPED already" in capsys.readouterr().out
    assert nst("submit", str(job)) == 0
    assert f"{id}.2: attempt 2" in capsys.readouterr().out
    assert nst("jobs", "--json") == 0
    listed = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert listed == [f"{id}.2", id]


def test_followed_to_its_end_a_job_has_the_exit_code_of_its_run(
    server: FakeServer, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id = request(job).id(1)
    server.ends[id] = "FAILED"
    assert nst("submit", str(job), "--follow") == 1
    shown = capsys.readouterr().out
    assert "one\ntwo\nthree\n" in shown
    assert "exit code 1: some rows failed" in shown
    assert nst("submit", str(job), "--follow") == 0
    server.ends[f"{id}.2"] = "STOPPED"
    assert nst("logs", "night", "-f") == 130


def test_an_unknown_job_and_no_jobs_at_all(server: FakeServer, job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["jobs"]):
        assert nst(*words) == 0
        assert "nst submit JOB.yaml starts one" in capsys.readouterr().out
    for words in (["status", "nigth"], ["logs", "nigth"], ["cancel", "nigth"]):
        assert nst(*words) == 2
        assert "nst jobs lists those that there are" in capsys.readouterr().err
    nst("submit", str(job))
    assert nst("cancel", "nigth") == 2
    assert "did you mean night?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "state", "ago", "said"),
    [
        ("RUNNING", "running", 3.0, "0.50 rows/s, 1:00 left (3 s ago)"),
        ("RUNNING", "running", 125.0, "not heard of for 2:05: its driver hangs, or its storage"),
        ("STOPPED", "stopped", 9.0, "1:00 left: stopped"),
        ("FAILED", "running", 9.0, "1:00 left: killed"),
        ("FAILED", "broken off", 9.0, "1:00 left: broken off"),
    ],
)
def test_words_for_how_far_a_job_is(
    server: FakeServer, job: Path, tmp_path: Path, status: str, state: progress.State, ago: float, said: str
) -> None:
    cluster, asked = Cluster(server, ""), request(job)
    cluster.submit(asked)
    told(asked.id(1), state, tmp_path / "out", seconds_ago=ago, error="storage is gone")
    server.jobs[asked.id(1)].status = status
    server.jobs[asked.id(1)].driver_exit_code = 3
    shown = Status.of(cluster.find("night"))
    assert shown.words.endswith(said)
    assert shown.why == ("exit code 3: storage is gone" if status == "FAILED" else "")


def test_what_another_run_reports_is_not_taken_for_ones_own(server: FakeServer, job: Path, tmp_path: Path) -> None:
    cluster, asked = Cluster(server, ""), request(job)
    cluster.submit(asked)
    told("another", "running", tmp_path / "out")
    assert Status.of(cluster.find("night")).words == "reading what is asked, and planning"
    Path(layout.progress_file(str(tmp_path / "out"))).write_text("{}")
    assert "cannot be read from here" in Status.of(cluster.find("night")).words


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert find_address(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # that of the cluster itself, not of its dashboard
    assert find_address(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://env:1")
    assert find_address(None) == "http://env:1"
    assert find_address(None, "https://file:2/") == "https://file:2"
    assert find_address("given:3", "https://file:2") == "http://given:3"
    with pytest.raises(ClusterError, match="expected that of the dashboard"):
        find_address("ray://head:10001")


def test_nobody_there(job: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://elsewhere")  # Ray would let it outrank what is given
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert nst("submit", str(job), "--address", nobody) == 2
    said = capsys.readouterr().err
    assert f"no Ray job server answers at {nobody}" in said
    assert "http://HEAD:8265" in said
    assert len(said.strip().splitlines()) == 1
