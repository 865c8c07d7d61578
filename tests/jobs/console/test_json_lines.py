"""Logs as JSON lines: what stands in them, and in which processes they are written."""

import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs import runner
from jobs.console import complain, err, json_lines, print_note, remark
from jobs.console.json_lines import JsonFormatter, trace_context
from jobs.console.output import FORMAT_VARIABLE
from jobs.exit_codes import ExitCode
from jobs.submit import entrypoint
from nst_kernel.params import StyleParams
from pipeline.flow import RunBroken
from pipeline.flow.metrics import EVENT, log_outcome
from pipeline.manifest import Row
from pipeline.outputs import Progress
from pipeline.stages.write import REPORTED
from tests.jobs.test_cli import nst
from tests.support import REPOSITORY

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging and environment as they were before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    for name in (FORMAT_VARIABLE, json_lines.TRACE_VARIABLE, json_lines.INJECTED_VARIABLE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    json_lines._at_work.clear()
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, err.quiet = *hooks, False
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


def interrupted(_: Callable[[Progress], None]) -> Progress:
    raise KeyboardInterrupt


def broken(_: Callable[[Progress], None]) -> Progress:
    raise RunBroken("the cluster is gone")


def done(_: Callable[[Progress], None]) -> Progress:
    return Progress(0, 0)


def thread_that_fails() -> None:
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()


def entrypoint_with_failures() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(runner.SUCCESS_VARIABLE, "1")
        patch.setenv(runner.JOB_VARIABLE, "kind: manifest\nname: n\nmanifest: s3://b/r.csv\noutput: s3://b/o\n")
        patch.setattr(sys, "argv", ["entrypoint"])
        patch.setattr(runner, "run", lambda *_, **__: ExitCode.PROBLEMS)
        with pytest.raises(SystemExit):
            entrypoint.main()


def bad_manifest() -> None:
    Path("rows.csv").write_text("content,style,size\na.png,s.png,huge\na.png,s.png,large\n")
    assert nst("--log-format", "json", "validate", "rows.csv") == ExitCode.NOTHING_STARTED


SPOKEN: Mapping[str, tuple[Callable[[], object], Sequence[str]]] = {
    "an interrupted run": (lambda: runner.launch(interrupted, "out"), ["Interrupted."]),
    "a broken run": (
        lambda: runner.launch(broken, "out", terminal=runner.Terminal(debug=True)),
        ["RunBroken: the cluster is gone", "the cluster is gone", "Finished rows are kept"],
    ),
    "no report": (
        lambda: runner.launch(done, "out", ending=runner.Ending(page=runner.Page())),
        ["no report: StorageError"],
    ),
    "a problem": (lambda: complain(err, "no such file"), ["no such file"]),
    "a note": (lambda: print_note(err, "a preset has weights of its own"), ["a preset has weights of its own."]),
    "a remark of two lines": (lambda: remark(err, "a\nb"), ["a\nb"]),
    "a thread that fails": (thread_that_fails, ["ZeroDivisionError"]),
    "another exit code": (entrypoint_with_failures, ["Exit code 0 in the place of 1"]),
    "a bad manifest": (bad_manifest, ["rows.csv, line 2, column size", "rows.csv, line 3", "2 in all"]),
    "a bad option": (lambda: nst("--log-format", "json", "run", "rows.csv", "--nonsense"), ["No such option"]),
    "a bad value": (lambda: nst("--log-format=json", "results", "out", "--limit", "x"), ["Invalid value"]),
    "an output that is none": (lambda: nst("--log-format=json", "results", "out"), ["no results in"]),
}
"""Ways to standard error, and how the lines begin that they lead to."""


@pytest.mark.parametrize("spoken", SPOKEN)
def test_standard_error_has_nothing_but_events(
    clean: None, tmp_path: Path, spoken: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    json_lines.begin()
    act, bodies = SPOKEN[spoken]
    act()
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert len(events) == len(bodies), events
    for event, body in zip(events, bodies, strict=True):
        assert body in event["Body"]


@pytest.mark.parametrize(
    "words", [["--log-format", "text"], ["--log-format=text"], ["--log-format=json", "--log-format", "text"]]
)
def test_what_is_given_outranks_the_environment(
    words: list[str], clean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_LOG_FORMAT", "json")
    assert nst(*words, "results", "out") == ExitCode.NOTHING_STARTED
    assert capfd.readouterr().err.startswith("Error: no results in")
    assert nst("results", "out", "--log-format=json") == ExitCode.NOTHING_STARTED
    assert "no results in" in json.loads(capfd.readouterr().err)["Body"]


def test_commands_write_to_standard_error_in_one_way() -> None:
    """Whatever else printed there would be no event where logs are JSON lines."""
    printing = re.compile(r"err\.print\(|stderr\.write\(|err=True|file=sys\.stderr")
    files = [file for file in (REPOSITORY / "jobs").rglob("*.py") if file.name != "output.py"]
    assert [file.name for file in files if printing.search(file.read_text("utf-8"))] == []


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


OF_A_ROW = f"00-{'c' * 32}-{'d' * 16}-01"


def test_an_outcome_is_of_the_trace_of_its_row(
    clean: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    json_lines.begin()
    log_outcome({"id": "a", "status": "ok", "traceparent": OF_A_ROW})
    log_outcome({"id": "b", "status": "ok", "traceparent": None})
    own, runs = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (own["TraceId"], own["SpanId"]) == ("c" * 32, "d" * 16)
    assert (runs["TraceId"], runs["SpanId"]) == (TRACE, SPAN)
    assert own["Attributes"].keys() == {"nst.row.id", "nst.row.status"}


def test_what_a_worker_says_is_of_the_trace_of_the_row_that_it_is_at_work_on(
    clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    rows = [
        Row(name, "a.png", None, f"{name}.png", StyleParams(), "rows.csv", 1, traceparent=trace)
        for name, trace in (("a", OF_A_ROW), ("b", None))
    ]
    json_lines._note("fetch", rows[:1])
    assert event("x")["TraceId"] == "c" * 32
    for others in (rows, rows[1:]):  # several traces are not one
        json_lines._note("fetch", others)
        assert event("x")["TraceId"] == TRACE


@pytest.mark.ray
@pytest.mark.slow
def test_a_whole_run_and_its_workers_log_json_lines(tmp_path: Path) -> None:
    sessions = Path(tempfile.mkdtemp(prefix="nst-", dir="/tmp"))  # names of sockets are short
    for name in ("a", "s"):
        Image.fromarray(np.full((48, 48, 3), 100, np.uint8)).save(tmp_path / f"{name}.png", icc_profile=b"no profile")
    rows = ["good,a.png,s.png,", "bad,none.png,s.png,", f"traced,a.png,s.png,{OF_A_ROW}"]
    (tmp_path / "rows.csv").write_text("\n".join(["id,content,style,traceparent", *rows]) + "\n")
    words = ["run", "rows.csv", "--output", "out", "--set", "size=48", "--set", "iterations=3", "--no-report"]
    words += ["--batch-size", "1", "--color-profile", "keep"]  # of which a worker says that it cannot
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
    told = {found["Attributes"]["nst.row.id"]: found for found in events if "nst.row.status" in found["Attributes"]}
    statuses = {id: found["Attributes"]["nst.row.status"] for id, found in told.items()}
    assert statuses == {"good": "ok", "bad": "failed", "traced": "ok"}
    of_the_row = told.pop("traced")
    assert (of_the_row["TraceId"], of_the_row["SpanId"]) == ("c" * 32, "d" * 16)
    assert {found["TraceId"] for found in events if found is not of_the_row} == {TRACE}
    logs = "\n".join(file.read_text("utf-8") for file in sessions.glob("ray/session_2*/logs/worker-*.err"))
    theirs = [json.loads(line) for line in logs.splitlines() if line.startswith('{"Timestamp"')]
    traces = {tuple(found["Attributes"].get("nst.row.ids", [])): found["TraceId"] for found in theirs}
    assert traces.keys() >= {("good",), ("traced",)}, logs[-3000:]
    assert traces.pop(("traced",)) == "c" * 32
    assert set(traces.values()) == {TRACE}
    shutil.rmtree(sessions)
