"""`nst submit --kubernetes`, as the pod of a schedule calls it, against the API of Kubernetes."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.commands.cluster import STARTED_BY_VARIABLE
from jobs.console import json_lines
from jobs.exit_codes import ExitCode
from jobs.submit import Kubernetes, operator
from tests.jobs.submit.support import kubernetes_api
from tests.jobs.submit.support.kubernetes_api import Api
from tests.jobs.test_cli import nst


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of the cluster that this process runs in, and what the platform says of clusters there."""
    (tmp_path / "token").write_text("a token")
    (tmp_path / "platform.yaml").write_text("image: registry/nst:1\nnamespace: studio\n")
    monkeypatch.setattr(import_module("jobs.submit.ray_job"), "PLATFORM_FILE", tmp_path / "platform.yaml")
    monkeypatch.setattr(operator, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(kubernetes_api, "JOBS", kubernetes_api.JOBS.replace("/nst/", "/studio/"))
    for name in (STARTED_BY_VARIABLE, json_lines.TRACE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with kubernetes_api.serving() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        there = classmethod(lambda cls, namespace: cls(address, namespace, tmp_path))
        monkeypatch.setattr(Kubernetes, "of_this_pod", there)
        yield server


@pytest.fixture
def job(tmp_path: Path) -> str:
    said = {"kind": "manifest", "name": "night", "manifest": "s3://b/rows.csv", "output": "s3://b/out"}
    (tmp_path / "night.yaml").write_text(yaml.safe_dump(said))
    return str(tmp_path / "night.yaml")


def the_job(api: Api) -> dict[str, Any]:
    (found,) = api.jobs.values()
    return found


def test_a_job_is_made_as_the_platform_says_and_attached_to(
    api: Api, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nst("submit", job, "--kubernetes") == 0
    assert "made, in studio." in capsys.readouterr().out
    head = the_job(api)["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert head["containers"][0]["image"] == "registry/nst:1"
    assert nst("submit", job, "--kubernetes") == 0
    assert "runs already: attached to it, in studio." in capsys.readouterr().out
    assert len(api.jobs) == 1


@pytest.mark.parametrize(
    ("deployment", "status", "code"),
    [
        ("Complete", "SUCCEEDED", ExitCode.OK),
        ("Complete", "FAILED", ExitCode.BROKEN_OFF),
        ("Failed", "", ExitCode.BROKEN_OFF),
    ],
)
def test_who_follows_learns_what_became_of_it(api: Api, job: str, deployment: str, status: str, code: ExitCode) -> None:
    api.becomes = {"jobDeploymentStatus": deployment, "jobStatus": status}
    assert nst("submit", job, "--kubernetes", "--follow") == code
    assert (
        nst("submit", job, "--kubernetes") == ExitCode.OK
    )  # who does not follow has made one more, and waits for nothing
    assert len(api.jobs) == 2


def test_a_schedule_and_a_trace_are_passed_on(api: Api, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    monkeypatch.setenv(STARTED_BY_VARIABLE, "nst-nightly-grid-29")
    monkeypatch.setenv(json_lines.TRACE_VARIABLE, trace)
    api.becomes = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    for _ in range(2):  # the pod, and one that takes its place
        assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.OK
    assert the_job(api)["metadata"]["labels"]["nst/started-by"] == "nst-nightly-grid-29"
    assert yaml.safe_load(the_job(api)["spec"]["runtimeEnvYAML"])["env_vars"]["TRACEPARENT"] == trace


def test_an_api_that_is_away_for_long_costs_no_night(
    api: Api, job: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod ends as one that another may replace (nightly.yaml), whose command goes on."""
    monkeypatch.setenv(STARTED_BY_VARIABLE, "nst-nightly-grid-29")
    monkeypatch.setattr(operator, "PATIENCE", 0.0)
    api.becomes = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    for _ in range(2):
        api.away = 1
        assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.BROKEN_OFF
    assert "etcd is away" in capsys.readouterr().err
    assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.OK
    api.away = 1
    assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.BROKEN_OFF
    assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.OK
    assert len(api.jobs) == 1


def test_what_is_refused_is_one_line_and_starts_nothing(api: Api, job: str, capsys: pytest.CaptureFixture[str]) -> None:
    api.refuses = 403
    assert nst("submit", job, "--kubernetes", "--follow") == ExitCode.NOTHING_STARTED
    assert capsys.readouterr().err.strip() == "Error: Kubernetes did not POST a RayJob: rayjobs.ray.io is forbidden"
    assert api.jobs == {}
    Path(job).write_text(Path(job).read_text() + "cluster: {pip: [x]}\n")
    assert nst("submit", job, "--kubernetes") == ExitCode.NOTHING_STARTED
    assert "cluster.pip: does not reach Kubernetes" in capsys.readouterr().err


def test_somewhere_else_than_in_a_pod_it_says_what_to_do(
    job: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert nst("submit", job, "--kubernetes") == ExitCode.NOTHING_STARTED
    assert "nst render kubernetes JOB.yaml | kubectl apply -f -" in capsys.readouterr().err
