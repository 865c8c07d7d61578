"""Logs as JSON lines: one event a line, with the names that OpenTelemetry has for their fields."""

import functools
import json
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jobs.console.output import FORMAT_VARIABLE, StderrHandler, err, printable, show_traceback
from jobs.console.values import jsonable

if TYPE_CHECKING:
    from pipeline.manifest import Row

TRACE_VARIABLE = "TRACEPARENT"
"""Environment variable with the trace that a run is a part of, as W3C's Trace Context writes it."""

SUBMISSION_VARIABLE = "NST_SUBMISSION"
"""Environment variable of a submitted job: what it is called on its cluster."""

INJECTED_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Environment variable, of Ray's choosing, that tells a driver and its processes about their job."""

SEVERITIES = {logging.DEBUG: 5, logging.INFO: 9, logging.WARNING: 13, logging.ERROR: 17, logging.CRITICAL: 21}
"""OpenTelemetry's numbers of severities."""

_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")

ROWS_TRACE = "nst.row.traceparent"
"""Attribute of an event: the trace that its row is a part of, which outranks the run's."""

_at_work: dict[str, Any] = {}
"""Attributes of what this process does now: stage and rows of the attempt that it began last."""


def trace_context(text: str) -> dict[str, str | int]:
    """Return the fields of a trace context; none for a text that is no trace context."""
    match = _TRACE.fullmatch(text.strip().lower())
    return {"TraceId": match[1], "SpanId": match[2], "TraceFlags": int(match[3], 16)} if match else {}


class JsonFormatter(logging.Formatter):
    """A format of log records as JSON objects in one line each, without secrets of URIs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        attributes = {**_at_work, **{name: value for name, value in vars(record).items() if name.startswith("nst.")}}
        trace = attributes.pop(ROWS_TRACE, None) or os.environ.get(TRACE_VARIABLE, "")
        if record.exc_info and record.exc_info[0]:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.message"] = str(record.exc_info[1])
            attributes["exception.stacktrace"] = self.formatException(record.exc_info)
        event = {
            "Timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "SeverityText": record.levelname,
            "SeverityNumber": SEVERITIES.get(record.levelno, 0),
            "Body": record.getMessage(),
            "InstrumentationScope": {"Name": record.name},
            "Attributes": attributes,
            "Resource": _resource(),
            **trace_context(trace),
        }
        return json.dumps(jsonable(_without_secrets(event)), ensure_ascii=False, default=str, allow_nan=False)


def _without_secrets(value: Any) -> Any:
    """Return a value of JSON without secrets of URIs and control characters in its texts."""
    if isinstance(value, str):
        return printable(value, lines=True)
    if isinstance(value, Mapping):
        return {name: _without_secrets(part) for name, part in value.items()}
    return [_without_secrets(part) for part in value] if isinstance(value, list | tuple) else value


@functools.cache
def _resource() -> dict[str, str | int]:
    """Return OpenTelemetry's attributes of this process: its service, host and number."""
    submission = os.environ.get(SUBMISSION_VARIABLE)
    run = {"nst.submission": submission} if submission else {}
    return {
        "service.name": "nst",
        "service.version": version("nst-pipeline"),
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        **run,
    }


def begin(level: int = logging.INFO) -> None:
    """Let this process write JSON lines to standard error and nothing else, and those of its cluster to their logs."""
    _log_json(level)
    os.environ[FORMAT_VARIABLE] = "json"
    err.quiet = True  # spinners are no events
    sys.excepthook = show_traceback
    threading.excepthook = _log_error_of_thread
    injected = json.loads(os.environ.get(INJECTED_VARIABLE) or "{}")
    runtime_env = injected.setdefault("runtime_env", {})
    runtime_env.setdefault("worker_process_setup_hook", f"{__name__}.begin_in_worker")
    passed = {
        name: os.environ[name] for name in (FORMAT_VARIABLE, TRACE_VARIABLE, SUBMISSION_VARIABLE) if name in os.environ
    }
    runtime_env["env_vars"] = {**passed, **runtime_env.get("env_vars", {})}
    os.environ[INJECTED_VARIABLE] = json.dumps(injected)


def _log_error_of_thread(raised: threading.ExceptHookArgs) -> None:
    """Log an error that ended a thread."""
    if raised.exc_type is not SystemExit:
        show_traceback(raised.exc_type, raised.exc_value or raised.exc_type(), raised.exc_traceback)


def begin_in_worker() -> None:
    """Let a process of a cluster log JSON lines; each says at which rows its process is at work."""
    from pipeline.recovery import ledger

    _log_json(logging.INFO)
    ledger.observe_attempts(lambda _notes, stage, rows: _note(stage, [planned.row for planned in rows]))


def _log_json(level: int) -> None:
    """Replace the handlers of this process by one that writes JSON lines."""
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _note(stage: str, rows: Sequence["Row"]) -> None:
    """Remember what this process is at work on."""
    _at_work.clear()
    _at_work.update({"nst.stage": stage, "nst.row.ids": [row.id for row in rows]})
    if len(rows) == 1:
        _at_work["nst.row.id"] = rows[0].id
        _at_work[ROWS_TRACE] = rows[0].traceparent
