"""What runs on a cluster: it ends with an exit code that Ray can tell a failed job by."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.dashboard.modules.job.common import JOB_ID_METADATA_KEY

from jobs import runner
from jobs.console import Shown, json_lines
from jobs.console.output import FORMAT_VARIABLE
from jobs.exit_codes import ExitCode
from jobs.submit import entrypoint

JOB = {"kind": "manifest", "name": "night", "manifest": "rows.csv", "output": "out"}


class Left(BaseException):
    """In the place of the end of this process."""


def code_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    def leave(code: object) -> None:
        raise Left(code)

    monkeypatch.setattr(sys, "argv", ["entrypoint", *words])
    monkeypatch.setattr(entrypoint, "leave", leave)
    with pytest.raises(Left) as left:
        entrypoint.main()
    return left.value.args[0]


@pytest.fixture
def job(tmp_path: Path) -> str:
    (tmp_path / "night.yaml").write_text(yaml.safe_dump(JOB))
    return str(tmp_path / "night.yaml")


@pytest.mark.parametrize("code", ExitCode)
def test_the_job_ends_with_the_code_of_its_run(code: ExitCode, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run", lambda *_, **__: code)
    assert code_of(monkeypatch, job) == code


def test_a_job_that_cannot_start_has_not_succeeded(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(job).write_text("kind: nonsense")
    assert code_of(monkeypatch, job) == ExitCode.NOTHING_STARTED


def test_an_unexpected_error_is_no_row_that_failed(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> ExitCode:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(runner, "run", broken)
    assert code_of(monkeypatch, job) == ExitCode.NOTHING_STARTED


def test_a_job_without_a_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runner.JOB_VARIABLE, yaml.safe_dump({**JOB, "manifest": "s3://b/rows.csv"}))
    ran: list[str] = []

    def run(job: object, *_: object, **__: object) -> ExitCode:
        ran.append(str(getattr(job, "name", "")))
        return ExitCode.OK

    monkeypatch.setattr(runner, "run", run)
    assert code_of(monkeypatch) == ExitCode.OK
    assert ran == ["night"]


@pytest.mark.parametrize("code", ExitCode)
def test_rows_that_fail_start_no_further_cluster(code: ExitCode, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runner.SUCCESS_VARIABLE, "1")
    monkeypatch.setattr(runner, "run", lambda *_, **__: code)
    assert code_of(monkeypatch, job) == (ExitCode.OK if code == ExitCode.PROBLEMS else code)


def test_a_job_from_the_environment_needs_no_folder_that_operators_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_ACCESS", '{"allow_read": ["s3://b"], "allow_write": ["s3://b/out"]}')
    monkeypatch.setenv(
        runner.JOB_VARIABLE, yaml.safe_dump({**JOB, "manifest": "s3://b/rows.csv", "output": "s3://b/out"})
    )
    monkeypatch.setattr(runner, "run", lambda *_, **__: ExitCode.OK)
    assert code_of(monkeypatch) == ExitCode.OK


@pytest.mark.parametrize(("said", "expected"), [("", "nightly-x7k2p"), ("night-1", "night-1")])
def test_a_job_that_a_schedule_made_is_called_as_ray_calls_it(
    said: str, expected: str, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `nst status` and logs could not tell one night from the next."""
    monkeypatch.setenv(runner.SUBMISSION_VARIABLE, said)  # which takes it away again at the end
    if not said:
        monkeypatch.delenv(runner.SUBMISSION_VARIABLE)
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, json.dumps({"metadata": {JOB_ID_METADATA_KEY: "nightly-x7k2p"}}))
    called: list[str] = []

    def run(*_: object, **__: object) -> ExitCode:
        called.append(os.environ[runner.SUBMISSION_VARIABLE])
        return ExitCode.OK

    monkeypatch.setattr(runner, "run", run)
    assert code_of(monkeypatch, job) == ExitCode.OK
    assert called == [expected]


def test_a_job_that_is_asked_for_json_lines_shows_nothing_else(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "json")
    monkeypatch.setattr(json_lines, "begin", lambda: None)
    quiet: list[bool] = []

    def run(*_: object, shown: Shown) -> ExitCode:
        quiet.append(shown.quiet)
        return ExitCode.OK

    monkeypatch.setattr(runner, "run", run)
    assert code_of(monkeypatch, job) == ExitCode.OK
    assert quiet == [True]
