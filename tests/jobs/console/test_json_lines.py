"""Logs as JSON lines: what stands in them, and in which processes they are written."""

import json
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.console import complain, err, json_lines
from jobs.console.json_lines import JsonFormatter, trace_context
from jobs.console.output import FORMAT_VARIABLE
from pipeline.flow.metrics import EVENT, log_outcome
from pipeline.stages.write import REPORTED
from tests.support import REPOSITORY

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging and environment as they were before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for name in (FORMAT_VARIABLE, json_lines.TRACE_VARIABLE, json_lines.INJECTED_VARIABLE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    json_lines._at_work.clear()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def event(message: str, *arguments: object, level: int = logging.INFO, extra: Any = None) -> dict[str, Any]:
    """What a record with further attributes becomes."""
    record = logging.LogRecord("pipeline.x", level, "x.py", 1, message, arguments, None)
    vars(record).update(extra or {})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)  # Python alone reads NaN
    return found


def test_numbers_that_json_does_not_have_are_null(clean: None) -> None:
    found = event("a row", extra={"nst.row.total_loss": math.nan, "nst.row.seconds": {"fetch": math.inf}})
    assert found["Attributes"] == {"nst.row.total_loss": None, "nst.row.seconds": {"fetch": None}}


def test_fields_have_the_names_of_opentelemetry(clean: None) -> None:
    found = event("row %s: %s", "a1", "ok", extra={"nst.row.id": "a1"})
    assert set(found) == {
        *("Timestamp", "SeverityText", "SeverityNumber", "Body", "InstrumentationScope", "Attributes", "Resource")
    }
    assert (found["Body"], found["Attributes"]) == ("row a1: ok", {"nst.row.id": "a1"})
    assert (found["SeverityText"], found["SeverityNumber"]) == ("INFO", 9)
    assert found["Resource"]["service.name"] == "nst"
    assert found["Timestamp"].endswith("+00:00")


def test_an_error_has_its_traceback(clean: None) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        found = event("it broke", level=logging.ERROR, extra={"exc_info": sys.exc_info()})
    assert found["Attributes"]["exception.type"] == "ValueError"
    assert "test_json_lines" in found["Attributes"]["exception.stacktrace"]
    assert found["SeverityNumber"] == 17


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    event("%s", text, extra={"nst.row.id": text})


def test_no_secret_of_a_uri_is_logged(clean: None) -> None:
    uri = "https://user:hunter2@host/a.png?X-Amz-Signature=abcdef"
    line = json.dumps(event("cannot read %s", uri, extra={"nst.row.error": f"{uri}: 403", "nst.row.ids": [uri]}))
    assert "hunter2" not in line
    assert "abcdef" not in line


def test_a_trace_is_passed_on(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    found = event("x")
    assert (found["TraceId"], found["SpanId"], found["TraceFlags"]) == (TRACE, SPAN, 1)
    for wrong in ("", "x", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-01"):
        assert trace_context(wrong) == {}


def test_processes_of_a_cluster_are_told(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    monkeypatch.setenv(
        json_lines.INJECTED_VARIABLE,
        json.dumps({"runtime_env": {"env_vars": {"A": "b"}}, "metadata": {"job_submission_id": "x"}}),
    )
    json_lines.begin()
    told = json.loads(os.environ[json_lines.INJECTED_VARIABLE])
    assert told["metadata"] == {"job_submission_id": "x"}
    assert told["runtime_env"]["env_vars"] == {
        "A": "b",
        "NST_LOG_FORMAT": "json",
        "TRACEPARENT": f"00-{TRACE}-{SPAN}-01",
    }
    assert told["runtime_env"]["worker_process_setup_hook"] == "jobs.console.json_lines.begin_in_worker"


def test_what_is_wrong_is_logged_too(
    clean: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    json_lines.begin()
    complain(err, "no such file")
    said = capsys.readouterr().err
    assert json.loads(said)["Body"] == "no such file"


def test_an_outcome_is_one_event(caplog: pytest.LogCaptureFixture) -> None:
    assert set(EVENT) <= set(REPORTED)
    row = dict.fromkeys(REPORTED) | {
        "id": "a",
        "status": "failed",
        "error": "404",
        "seconds": {"fetch": 1.0},
        "retries": 2,
    }
    with caplog.at_level(logging.INFO):
        log_outcome(row)
        log_outcome({**row, "status": "ok", "error": ""})
    failed, fine = caplog.records
    assert (failed.levelname, fine.levelname) == ("WARNING", "INFO")
    has = {name: value for name, value in vars(failed).items() if name.startswith("nst.")}
    assert has == {
        "nst.row.id": "a", "nst.row.status": "failed", "nst.row.error": "404",
        "nst.row.seconds": {"fetch": 1.0}, "nst.row.retries": 2,
    }  # fmt: skip


@pytest.mark.ray
@pytest.mark.slow
def test_a_whole_run_and_its_workers_log_json_lines(tmp_path: Path) -> None:
    sessions = Path(tempfile.mkdtemp(prefix="nst-", dir="/tmp"))  # names of sockets are short
    for name in ("a", "s"):
        Image.fromarray(np.full((48, 48, 3), 100, np.uint8)).save(tmp_path / f"{name}.png", icc_profile=b"no profile")
    (tmp_path / "rows.csv").write_text("id,content,style\ngood,a.png,s.png\nbad,none.png,s.png\n")
    words = ["run", "rows.csv", "--output", "out", "--set", "size=48", "--set", "iterations=3", "--no-report"]
    words += ["--color-profile", "keep"]  # of which a worker says that it cannot
    ended = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "--log-format", "json", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "TRACEPARENT": f"00-{TRACE}-{SPAN}-01",
            "RAY_TMPDIR": str(sessions),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    rows = {found["Attributes"]["nst.row.id"]: found for found in events if "nst.row.status" in found["Attributes"]}
    assert rows["good"]["Attributes"]["nst.row.status"] == "ok"
    assert rows["bad"]["Attributes"]["nst.row.status"] == "failed"
    assert {found["TraceId"] for found in events} == {TRACE}
    logs = "\n".join(file.read_text("utf-8") for file in sessions.glob("ray/session_2*/logs/worker-*.err"))
    theirs = [json.loads(line) for line in logs.splitlines() if line.startswith('{"Timestamp"')]
    assert any("good" in found["Attributes"].get("nst.row.ids", []) for found in theirs), logs[-3000:]
    assert {found["TraceId"] for found in theirs} == {TRACE}
    shutil.rmtree(sessions)
