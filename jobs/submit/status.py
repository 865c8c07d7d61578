"""The status of submitted jobs: from the cluster, and from the progress file in their output."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from jobs.console import clock, describe
from jobs.exit_codes import ExitCode
from jobs.submit.client import Submission
from pipeline import storage
from pipeline.outputs import progress, provenance

SILENT_SECONDS = 60.0
"""Seconds without an update from a driver, which writes one every few seconds, after which the status mentions it."""


@dataclass(frozen=True)
class Status:
    """The status of a submission: from the cluster, and from its driver's progress file if there is one.

    Attributes:
        submission: as the cluster knows it.
        report: of its driver; None if there is none of this submission.
        trouble: why the report could not be read.
        now: UTC.
    """

    submission: Submission
    report: progress.Report | None
    trouble: str
    now: datetime

    @classmethod
    def of(cls, submission: Submission) -> Self:
        """Read the status of a submission from the progress file in the job's output."""
        try:
            report, trouble = progress.read(submission.progress), ""
        except storage.StorageError as error:
            report, trouble = None, str(error)
        if report and report.submission != submission.id:
            report = None  # of another run on the same output, earlier or later
        return cls(submission, report, trouble, provenance.now())

    @property
    def took(self) -> str:
        """Time from the beginning of the job to its end, or until now, as text."""
        if not self.submission.began_at:
            return ""
        return clock(((self.submission.ended_at or self.now) - self.submission.began_at).total_seconds())

    @property
    def words(self) -> str:
        """Progress of the job, in one line."""
        if self.trouble:
            return f"how far it is cannot be read from here: {self.trouble}"
        if not self.report and self.submission.over:
            return self.outcome
        if not self.report:
            waiting = self.submission.status == "PENDING"
            return "waiting for the cluster" if waiting else "reading what is asked, and planning"
        line = describe(self.report.progress)
        age = (self.now - self.report.updated_at).total_seconds()
        if self.submission.over:
            return f"{line}: {self.report.state}" if self.report.state != "running" else f"{line}: killed"
        if age > SILENT_SECONDS:
            return f"{line}; not heard of for {clock(age)}: its driver hangs, or its storage"
        return f"{line} ({max(age, 0):.0f} s ago)"

    @property
    def outcome(self) -> str:
        """What a job that is over came to, as the cluster knows: its file of progress is another attempt's."""
        one = self.submission
        if one.status == "STOPPED":
            return "stopped; finished rows are kept"
        if one.exit_code is None:
            return "it ended before it began" if one.status == "FAILED" else "every row is ok"
        return _sentence(one.exit_code)

    @property
    def next(self) -> str:
        """What to type next."""
        one = self.submission
        if not one.over:
            return f"nst logs {one.id} --follow shows what it writes, nst cancel {one.id} stops it"
        if one.status == "SUCCEEDED":
            return f"nst results {one.output}, nst report {one.output}"
        if one.exit_code == ExitCode.PROBLEMS:
            return (
                f"nst results {one.output} --status failed; nst submit JOB.yaml again tries those that may get through"
            )
        return f"nst logs {one.id} says why; nst submit JOB.yaml again goes on from there"

    @property
    def why(self) -> str:
        """Reason why the job failed, in one line; empty if it did not fail."""
        if self.submission.status != "FAILED":
            return ""
        code = self.submission.exit_code
        if self.report and self.report.error:
            return f"exit code {code}: {self.report.error}"
        if code is not None:
            return f"exit code {code}: {_sentence(code)}"
        return " ".join(self.submission.message.split())[:500]

    def to_json(self) -> dict[str, object]:
        """Return the status as JSON types; `progress` is null if there is no progress file."""
        one, report = self.submission, self.report
        return {
            "id": one.id,
            "name": one.name,
            "attempt": one.attempt,
            "status": one.status,
            "exit_code": one.exit_code,
            "output": one.output,
            "began_at": one.began_at and one.began_at.isoformat(timespec="seconds"),
            "ended_at": one.ended_at and one.ended_at.isoformat(timespec="seconds"),
            "progress": report
            and {
                "state": report.state,
                "total": report.progress.total,
                "counts": dict(report.progress.counts),
                "done_before": report.progress.done_before,
                "quarantined_before": report.progress.quarantined_before,
                "seconds": report.progress.seconds,
                "updated_at": report.updated_at.isoformat(timespec="seconds"),
                "error": report.error,
            },
        }


def _sentence(code: int) -> str:
    """Return what an exit code of a driver tells."""
    return next((known.sentence for known in ExitCode if known == code), "it crashed")
