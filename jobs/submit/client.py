"""The job server of a Ray cluster, and the jobs of this project there."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from jobs.console import json_lines
from jobs.submit.listing import JobServer, LightServer
from jobs.submit.request import STOP_SECONDS, Request
from nst_kernel.params import did_you_mean
from pipeline.outputs import layout

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Modules of Ray's client that log every package they send."""

TOO_LARGE = ("status code 413", "exceeds the maximum size")
"""Parts of the job server's message about a package above its limit of 100 MiB."""

LOOK_EVERY = 0.5
"""Seconds between two looks at whether a job has ended."""


class ClusterError(ValueError):
    """A cluster that cannot be reached, or does not do what is asked; the message says what to do."""


@dataclass(frozen=True)
class Submission:
    """A job of this project on a cluster.

    Attributes:
        id: of the submission.
        name: that the job file gives.
        digest: of what it computes.
        kind: of the job.
        attempt: which submission of the same job it is, from 1.
        output: URI of its results.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: what Ray has to say of that.
        exit_code: of the driver, once it has ended by itself.
        began_at: UTC.
        ended_at: UTC.
    """

    id: str
    name: str
    digest: str
    kind: str
    attempt: int
    output: str
    status: str
    message: str = ""
    exit_code: int | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, details: Any) -> Self | None:
        """Make a submission from a `ray.job_submission.JobDetails`; None for jobs of other projects."""
        notes: Mapping[str, str] = details.metadata or {}
        if not details.submission_id or "nst_output" not in notes:
            return None
        return cls(
            id=details.submission_id,
            name=notes["nst_name"],
            digest=notes["nst_digest"],
            kind=notes["nst_kind"],
            attempt=int(notes["nst_attempt"]),
            output=notes["nst_output"],
            status=str(getattr(details.status, "value", details.status)),
            message=details.message or "",
            exit_code=details.driver_exit_code,
            began_at=_time(details.start_time),
            ended_at=_time(details.end_time),
        )

    @property
    def over(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def progress(self) -> str:
        """URI of the file in which the run reports its progress."""
        return layout.progress_file(self.output)


def _time(milliseconds: int | None) -> datetime | None:
    """Return milliseconds since 1970 as a time in UTC; None stays None."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


class Cluster:
    """Jobs of this project on one cluster."""

    def __init__(self, server: JobServer, address: str) -> None:
        self.server, self.address = server, address

    @classmethod
    def at(cls, address: str | None, *, of_job: str | None = None) -> Self:
        """Return the cluster at the given address, else the job file's, the environment's, or this machine's.

        Nothing is asked yet: the first request raises `ClusterError` if no job server answers there.

        Raises:
            ClusterError: for an address of another kind.
        """
        whole = find_address(address, of_job)
        return cls(LightServer(whole, lambda: _connected(whole)), whole)

    def submissions(self) -> list[Submission]:
        """List every job of this project, the oldest first.

        Raises:
            ClusterError: if the cluster cannot be asked.
        """
        with _explained(self.address, "list jobs"):
            listed = [Submission.of(details) for details in self.server.list_jobs()]
        known = [submission for submission in listed if submission]
        return sorted(known, key=lambda one: (one.began_at or datetime.max.replace(tzinfo=UTC), one.attempt))

    def find(self, word: str) -> Submission:
        """Find a job by the id of its submission, or the last one of its name.

        Raises:
            ClusterError: if there is none.
        """
        known = self.submissions()
        matching = [one for one in known if one.id == word] or [one for one in known if one.name == word]
        if not matching:
            names = dict.fromkeys([one.name for one in known] + [one.id for one in known])
            hint = did_you_mean(word, names) or "nst jobs lists those that there are"
            raise ClusterError(f"no job {word!r} at {self.address}: {hint}")
        return matching[-1]

    def submit(self, request: Request) -> tuple[Submission, bool]:
        """Submit a job unless it runs already; return its submission and whether that is new.

        Raises:
            ClusterError: if the cluster refuses.
        """
        while True:
            same = [s for s in self.submissions() if (s.name, s.digest) == (request.name, request.digest)]
            if running := [submission for submission in same if not submission.over]:
                return running[-1], False
            attempt = max((submission.attempt for submission in same), default=0) + 1
            id = request.id(attempt)
            try:
                with _explained(self.address, f"take {id}"):
                    self.server.submit_job(
                        entrypoint=request.entrypoint,
                        submission_id=id,
                        runtime_env=request.environment(attempt, trace=os.environ.get(json_lines.TRACE_VARIABLE, "")),
                        metadata={**request.metadata, "nst_attempt": str(attempt)},
                        **_entrypoint_resources(request.resources),
                    )
            except ClusterError as error:
                if "already exists" in str(error) and any(one.id == id for one in self.submissions()):
                    continue  # somebody submitted it at the same moment: it is theirs that runs
                if any(words in str(error) for words in TOO_LARGE):
                    folder = request.runtime_env.get("working_dir", "")
                    raise ClusterError(
                        f"cluster.working_dir {folder} is too large to travel ({_short(error)}). Name what need not in "
                        "its .gitignore or .rayignore; pictures belong into storage that all machines reach"
                    ) from error
                raise
            return self.find(id), True

    def cancel(self, id: str, *, seconds: float = STOP_SECONDS + 15.0) -> Submission:
        """Stop a job, which ends in order, and return its submission.

        Raises:
            ClusterError: if it has not ended after so many seconds.
        """
        with _explained(self.address, f"stop {id}"):
            self.server.stop_job(id)
        return self.ended(id, seconds=seconds)

    def ended(self, id: str, *, seconds: float) -> Submission:
        """Wait until a job is over and return its submission.

        Raises:
            ClusterError: if it is not after so many seconds.
        """
        until = time.monotonic() + seconds
        while not (submission := self.find(id)).over:
            if time.monotonic() > until:
                raise ClusterError(f"{id} is still {submission.status} after {seconds:g} s: nst logs {id} may say why")
            time.sleep(LOOK_EVERY)
        return submission

    def logs(self, id: str) -> str:
        """Return what a job wrote so far.

        Raises:
            ClusterError: if the cluster does not give it.
        """
        with _explained(self.address, f"give the log of {id}"):
            return self.server.get_job_logs(id)

    def follow(self, id: str, write: Callable[[str], object]) -> Submission:
        """Pass on what a job wrote and writes until it is over, and return its submission.

        Raises:
            ClusterError: if the connection ends before the job.
        """

        async def tail() -> None:
            async for lines in self.server.tail_job_logs(id):
                write(lines)

        with _explained(self.address, f"go on with the log of {id} (the job goes on; nst logs {id} --follow)"):
            asyncio.run(tail())
        return self.ended(id, seconds=30)


def _connected(address: str) -> JobServer:
    """Return Ray's client of a cluster.

    Raises:
        ClusterError: if no job server answers there.
    """
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray lets the environment outrank its argument
    from ray.job_submission import JobSubmissionClient

    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        return JobSubmissionClient(address)
    except Exception as error:  # of requests, of Ray, of a server that is none of Ray's
        raise ClusterError(
            f"no Ray job server answers at {address}: {_short(error)}. Expected the address of the cluster's "
            "dashboard, http://HEAD:8265 as a rule, as --address or cluster.address; is `ray start --head` up, "
            "with ray[default] installed?"
        ) from error


def find_address(address: str | None, of_job: str | None = None) -> str:
    """Return the whole address of a job server, from what is given or the environment.

    Raises:
        ClusterError: for one of another kind.
    """
    environment = os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS", "")
    given = address or of_job or (environment if environment.startswith("http") else "") or DEFAULT_ADDRESS
    whole = given if "://" in given else f"http://{given}"
    if not whole.startswith(("http://", "https://")):
        raise ClusterError(f"address {given!r}: expected that of the dashboard, such as http://head:8265")
    return whole.rstrip("/")


def _entrypoint_resources(resources: Mapping[str, float]) -> dict[str, Any]:
    """Return the resources of a driver as keyword arguments of Ray's client."""
    known = {"CPU": "entrypoint_num_cpus", "GPU": "entrypoint_num_gpus", "memory": "entrypoint_memory"}
    given: dict[str, Any] = {known[name]: value for name, value in resources.items() if name in known}
    if "entrypoint_memory" in given:
        given["entrypoint_memory"] = int(given["entrypoint_memory"])
    if own := {name: value for name, value in resources.items() if name not in known}:
        given["entrypoint_resources"] = own
    return given


@contextlib.contextmanager
def _explained(address: str, doing: str) -> Any:
    """Raise errors of Ray's client and of the connection as ClusterError with one clear line."""
    try:
        yield
    except ClusterError:
        raise
    except Exception as error:
        raise ClusterError(f"the cluster at {address} did not {doing}: {_short(error)}") from error


def _short(error: BaseException) -> str:
    """Return one line of an error; of a server's traceback the last line, which names the error."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
    line = lines[0] if len(lines) == 1 or "Traceback" not in str(error) else lines[-1]
    return line[:300].rstrip(".")
