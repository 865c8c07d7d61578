"""Where a submitted job stands: what the cluster says, and what the pipeline itself says beside its results."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from jobs.console import clock, describe
from jobs.exit_codes import ExitCode
from jobs.submit.client import Submission
from pipeline import storage
from pipeline.outputs import progress, provenance

SILENT_SECONDS = 60.0
"""Without a sign of life from a driver, which gives one every few seconds, after which that is worth saying."""


@dataclass(frozen=True)
class Standing:
    """A submission, and its report if it made one.

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
        """Looks at the progress file in the job's output."""
        try:
            report, trouble = progress.read(submission.progress), ""
        except storage.StorageError as error:
            report, trouble = None, str(error)
        if report and report.submission != submission.id:
            report = None  # of another run on the same output, earlier or later
        return cls(submission, report, trouble, provenance.now())

    @property
    def took(self) -> str:
        """From its beginning to its end, or so far."""
        if not self.submission.began_at:
            return ""
        return clock(((self.submission.ended_at or self.now) - self.submission.began_at).total_seconds())

    @property
    def words(self) -> str:
        """How far it is, in one line."""
        if self.trouble:
            return f"how far it is cannot be read from here: {self.trouble}"
        if not self.report and self.submission.over:
            return "no rows begun, or another run has reported since"
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
    def why(self) -> str:
        """Why it failed, in one line; empty if it did not."""
        if self.submission.status != "FAILED":
            return ""
        code = self.submission.exit_code
        if self.report and self.report.error:
            return f"exit code {code}: {self.report.error}"
        if code is not None:
            return f"exit code {code}: {_sentence(code)}; nst logs {self.submission.id}"
        return " ".join(self.submission.message.split())[:500]

    def to_json(self) -> dict[str, object]:
        """For programs: `progress` is null if there is none."""
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
