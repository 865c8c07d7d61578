"""A cluster's job server, whose jobs are listed without Ray: its client, for all else, takes seconds to load."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

SECONDS = 10.0
"""That an answer may take, before Ray's own client is asked instead."""


class JobServer(Protocol):
    """The methods of `ray.job_submission.JobSubmissionClient` that this package uses."""

    def submit_job(
        self,
        *,
        entrypoint: str,
        runtime_env: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        submission_id: str | None = None,
        entrypoint_num_cpus: float | None = None,
        entrypoint_num_gpus: float | None = None,
        entrypoint_memory: int | None = None,
        entrypoint_resources: dict[str, float] | None = None,
    ) -> str:
        """Start a job; RuntimeError if there is one of this id."""

    def list_jobs(self) -> Sequence[Any]:
        """Return details of every job that the cluster knows."""

    def stop_job(self, job_id: str) -> bool:
        """Ask a job to end; False if it has."""

    def get_job_logs(self, job_id: str) -> str:
        """Return what a job wrote so far."""

    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Yield what a job wrote and writes, until its end."""


def listed(address: str) -> Sequence[Any] | None:
    """Return details of every job of a cluster; None where Ray's own client is needed, as for one that wants a token.

    Args:
        address: of the dashboard, http or https.
    """
    try:
        with urllib.request.urlopen(f"{address}/api/jobs/", timeout=SECONDS) as answer:
            said = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        return None
    wanted = ("submission_id", "metadata", "status", "message", "driver_exit_code", "start_time", "end_time")
    return [SimpleNamespace(**{name: one.get(name) for name in wanted}) for one in said]


class LightServer:
    """A job server whose jobs are listed by plain HTTP; for everything else Ray's client is made when it is needed."""

    def __init__(self, address: str, connect: Callable[[], JobServer]) -> None:
        self.address, self.connect = address, connect
        self._client: JobServer | None = None

    @property
    def client(self) -> JobServer:
        """Ray's client, connected."""
        if self._client is None:
            self._client = self.connect()
        return self._client

    def list_jobs(self) -> Sequence[Any]:
        """Return details of every job that the cluster knows."""
        details = listed(self.address)
        return self.client.list_jobs() if details is None else details

    def submit_job(self, **given: Any) -> str:
        """Start a job; RuntimeError if there is one of this id."""
        return self.client.submit_job(**given)

    def stop_job(self, job_id: str) -> bool:
        """Ask a job to end; False if it has."""
        return self.client.stop_job(job_id)

    def get_job_logs(self, job_id: str) -> str:
        """Return what a job wrote so far."""
        return self.client.get_job_logs(job_id)

    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Yield what a job wrote and writes, until its end."""
        return self.client.tail_job_logs(job_id)
