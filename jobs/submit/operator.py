"""The API of Kubernetes, as far as a pod needs it that starts jobs: RayJobs are made, listed and waited for."""

import contextlib
import http.client
import json
import logging
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.console import err, remark
from jobs.exit_codes import ExitCode
from jobs.submit.client import ClusterError
from jobs.submit.ray_cluster import API_VERSION
from jobs.submit.ray_job import DIGEST_LABEL, STARTED_BY_LABEL

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has the token of its service account, which Kubernetes renews, and whom it trusts."""

LOOK_EVERY = 10.0
"""Seconds between two looks at a job that is waited for, and between two tries of a request."""

PATIENCE = 600.0
"""Seconds for which a request waits for an API that is away: an upgrade of the control plane takes minutes."""

OVER = ("Complete", "Failed")
"""What the operator says of a RayJob that has ended, after all its retries."""


class Kubernetes:
    """The RayJobs of a namespace.

    Attributes:
        address: of the API.
        namespace: that the jobs are in.
        account: folder with `token` and `ca.crt`.
    """

    def __init__(self, address: str, namespace: str, account: Path = ACCOUNT) -> None:
        self.address, self.namespace, self.account = address, namespace, account

    @classmethod
    def of_this_pod(cls, namespace: str) -> "Kubernetes":
        """Return the API of the cluster that this process runs in.

        Raises:
            ClusterError: if it runs in none, or its pod has no service account.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (ACCOUNT / "token").exists():
            raise ClusterError(
                "submit --kubernetes: expected a pod with a service account. Elsewhere: "
                "nst render kubernetes JOB.yaml | kubectl apply -f -"
            )
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}", namespace)

    def submit(self, make: Callable[[int], Mapping[str, Any]]) -> tuple[str, bool]:
        """Make a RayJob unless the same job runs already; return its name, and whether it is new.

        Who makes one alone, by name, is given the one that was made before, whatever became of it: a pod that takes
        the place of another must not start the work of a night again.

        Args:
            make: returns the RayJob for the number of an attempt, from 1.

        Raises:
            ClusterError: if the API refuses.
        """
        attempt = 1
        while True:
            wanted = make(attempt)
            labels = wanted["metadata"]["labels"]
            same = self.listed(f"{DIGEST_LABEL}={labels[DIGEST_LABEL]}")
            ours = [
                one
                for one in same
                if one["metadata"]["labels"].get(STARTED_BY_LABEL, "") == labels.get(STARTED_BY_LABEL)
            ]
            if running := ours or [one for one in same if status_of(one) not in OVER]:
                return str(running[-1]["metadata"]["name"]), False
            taken = {one["metadata"]["name"] for one in same}
            if wanted["metadata"]["name"] not in taken:
                with contextlib.suppress(_AlreadyThere):  # made by another at the same moment
                    self._call("POST", "", wanted)
                    return str(wanted["metadata"]["name"]), True
            attempt += 1

    def listed(self, labels: str) -> list[dict[str, Any]]:
        """Return the RayJobs that have some labels, the oldest first."""
        items = self._call("GET", "?" + urllib.parse.urlencode({"labelSelector": labels}))["items"]
        return sorted(items, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until a RayJob is over, and return it.

        Raises:
            ClusterError: if it is deleted, or if the API is away for long; the job goes on meanwhile.
        """
        while True:
            job = self._call("GET", f"/{urllib.parse.quote(name)}")
            if status_of(job) in OVER:
                return job
            time.sleep(LOOK_EVERY)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request to the Kubernetes API until it answers, and return the answer; print once that it waits.

        Raises:
            _Away: if it does not for long.
            ClusterError: if it refuses.
        """
        began, is_said = time.monotonic(), False
        while True:
            try:
                return self._once(method, path, body)
            except _Away as error:
                if time.monotonic() - began > PATIENCE:
                    raise
                if not is_said:
                    remark(err, f"{error}. Waiting up to {PATIENCE / 60:.0f} min for it.", severity=logging.WARNING)
                is_said = True
            time.sleep(LOOK_EVERY)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Send one request to the Kubernetes API, and return its answer."""
        jobs = f"{self.address}/apis/{API_VERSION}/namespaces/{self.namespace}/rayjobs"
        token = (self.account / "token").read_text("utf-8").strip()
        call = urllib.request.Request(
            jobs + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        trusted = ssl.create_default_context(cafile=str(self.account / "ca.crt")) if jobs.startswith("https") else None
        try:
            with urllib.request.urlopen(call, timeout=30, context=trusted) as answer:
                said: dict[str, Any] = json.loads(answer.read())
                return said
        except urllib.error.HTTPError as error:
            said = _said(error)
            if error.code == 409 and said.get("reason") == "AlreadyExists":
                raise _AlreadyThere(str(said.get("message"))) from None
            kind = _Away if error.code in (429, 500, 502, 503, 504) else ClusterError
            raise kind(f"Kubernetes did not {method} a RayJob: {said.get('message') or error}") from None
        except (OSError, http.client.HTTPException, json.JSONDecodeError, UnicodeDecodeError) as error:
            # The last two for half an answer, or that of a proxy. Who shows a wrong certificate shows it the next time.
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise ClusterError(
                    f"Kubernetes at {self.address}: {error}; expected a certificate of {self.account / 'ca.crt'}"
                ) from None
            raise _Away(f"Kubernetes does not answer at {self.address}: {error}") from None


class _AlreadyThere(ClusterError):
    """There is an object of this name."""


class _Away(ClusterError):
    """The API does not answer now, and may later: the same command goes on then, in the next pod for instance."""

    exit_code = ExitCode.BROKEN_OFF


def status_of(job: Mapping[str, Any]) -> str:
    """Return what the operator says of a RayJob; empty where it has not looked at it yet."""
    return str(job.get("status", {}).get("jobDeploymentStatus", ""))


def has_succeeded(job: Mapping[str, Any]) -> bool:
    """Return whether a RayJob that is over has done its work."""
    return status_of(job) == "Complete" and job["status"].get("jobStatus") == "SUCCEEDED"


def _said(error: urllib.error.HTTPError) -> dict[str, Any]:
    """Return the message in an error of the Kubernetes API."""
    try:
        said = json.loads(error.read())
    except (ValueError, OSError):
        return {}
    return said if isinstance(said, dict) else {}
