"""Job files as RayJobs: each gets a cluster of its own on Kubernetes, which goes when it ends."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jobs.jobfile import load
from jobs.runner import JOB_VARIABLE, SUCCESS_VARIABLE
from jobs.submit.ray_cluster import API_VERSION, NODE_LABELS, cluster_spec
from jobs.submit.request import Request, request
from jobs.submit.yaml_text import in_blocks
from pipeline.options import overridden
from pipeline.specs import MAX_CLUSTER_NAME, JobFileError, JobProblem, KubernetesSection, problems_of

PLATFORM_FILE = Path("/etc/nst/kubernetes.yaml")
"""What those who run the platform say of clusters there, where the command runs in it."""

NAME_LABEL, DIGEST_LABEL, STARTED_BY_LABEL = "nst/name", "nst/digest", "nst/started-by"

TRAVELS = ("working_dir", "pip", "upload", "image", "python")
"""Fields of `cluster` that say what a job brings along: on Kubernetes its pods' image has it all."""

ENTRYPOINT = "exec python -m jobs.submit.entrypoint"
"""What the head's shell is given; SIGTERM must reach the driver, not a shell around it."""


def platform(file: Path | None = None) -> KubernetesSection:
    """Return what the platform's file says; by default that of this machine, or nothing where it has none.

    Raises:
        JobFileError: with every problem of the file.
    """
    if file is None and not PLATFORM_FILE.exists():
        return KubernetesSection()
    file = file or PLATFORM_FILE
    try:
        return KubernetesSection.model_validate(yaml.safe_load(file.read_text("utf-8")) or {})
    except ValidationError as error:
        problems = [
            JobProblem(str(file), None, ".".join(map(str, place)), "" if value is None else repr(value), expected)
            for place, value, expected in problems_of(error)
        ]
        raise JobFileError(problems) from None
    except (OSError, yaml.YAMLError) as error:
        raise JobFileError([JobProblem(str(file), None, "", "", f"a platform's file: {error}")]) from error


def section_of(file: Path, ours: KubernetesSection) -> KubernetesSection:
    """Return what a job file says of its cluster on Kubernetes, and the platform of what it leaves open."""
    given = load(file).cluster.kubernetes.model_dump(exclude_unset=True)
    return KubernetesSection.model_validate({**ours.model_dump(), **given})


def ray_job(
    file: Path, section: KubernetesSection, *, attempt: int = 1, started_by: str = "", trace: str = ""
) -> dict[str, Any]:
    """Return the RayJob of a job file.

    Args:
        file: a job file; all that it reads and writes must be at URIs.
        section: the cluster that it gets.
        attempt: which submission of the same job it is, from 1.
        started_by: name of who makes it, who makes one alone; empty: anybody.
        trace: the trace that it is a part of; empty: none, as of one that is written down for later.

    Raises:
        ValueError: for a file that is no job, or that cannot run there; the message names the field.
    """
    prepared = _request(file)
    return {
        "apiVersion": API_VERSION,
        "kind": "RayJob",
        "metadata": {
            "name": _name(prepared) + (f"-{attempt}" if attempt > 1 else ""),
            "namespace": section.namespace,
            "labels": labels(prepared) | ({STARTED_BY_LABEL: started_by} if started_by else {}),
        },
        "spec": _spec(prepared, section, attempt, trace),
    }


def ray_cron_job(file: Path, section: KubernetesSection) -> dict[str, Any]:
    """Return the operator's own resource for a job file that is run by a schedule.

    It is alpha, off by default, and knows no concurrency policy: a run that is started while the last one goes on ends
    at the lock of the output.

    Raises:
        ValueError: as `ray_job` does.
    """
    prepared = _request(file)
    return {
        "apiVersion": API_VERSION,
        "kind": "RayCronJob",
        "metadata": {"name": _name(prepared), "namespace": section.namespace, "labels": labels(prepared)},
        "spec": {
            "schedule": section.schedule,
            "timeZone": section.time_zone,
            "jobTemplate": _spec(prepared, section, attempt=None),
        },
    }


def labels(prepared: Request) -> dict[str, str]:
    """Return the labels by which the RayJobs of a job are found again."""
    return {**NODE_LABELS, NAME_LABEL: prepared.name.rstrip("_.-"), DIGEST_LABEL: prepared.digest}


def _request(file: Path) -> Request:
    """Make the request of a job file, whose pods have all that it needs.

    Raises:
        ValueError: if something would have to travel there.
    """
    cluster = load(file).cluster
    for name in TRAVELS:
        if getattr(cluster, name):
            raise ValueError(
                f"{file}: cluster.{name}: does not reach Kubernetes; expected cluster.kubernetes.image alone"
            )
    return request(file)


def _name(prepared: Request) -> str:
    """Return the name of a job as Kubernetes takes it: small letters, digits and -, a letter first, not too long."""
    plain = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in prepared.name.lower())
    plain = plain if plain[0].isalpha() else f"n-{plain}"
    most = MAX_CLUSTER_NAME - len(prepared.digest) - len("-") - len("-999")
    return f"{plain[:most].rstrip('-')}-{prepared.digest}"


def _spec(prepared: Request, section: KubernetesSection, attempt: int | None, trace: str = "") -> dict[str, Any]:
    """Return the specification of a RayJob; one that is started again and again by a schedule has no attempt."""
    environment = prepared.environment(attempt, trace=trace)
    variables = environment["env_vars"]
    variables |= {JOB_VARIABLE: _sized(variables[JOB_VARIABLE], section), SUCCESS_VARIABLE: "1"}
    identity: dict[str, Any] = {"jobId": prepared.id(attempt)} if attempt else {}
    return {
        "entrypoint": ENTRYPOINT,
        # The operator's other ways pass the job through a shell of another pod, which would read its $ and quotes.
        "submissionMode": "HTTPMode",
        **identity,
        **_entrypoint_resources(prepared.resources),
        "metadata": {**prepared.metadata, "nst_attempt": str(attempt or 1)},
        "runtimeEnvYAML": in_blocks(environment),
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": section.cluster_kept_seconds,
        "backoffLimit": section.retries,
        "activeDeadlineSeconds": section.deadline_seconds,
        "preRunningDeadlineSeconds": section.pending_seconds,
        "rayClusterSpec": cluster_spec(section),
    }


def _entrypoint_resources(resources: Mapping[str, float]) -> dict[str, Any]:
    """Return what is set aside for the driver, under the operator's names."""
    known = {"CPU": "entrypointNumCpus", "GPU": "entrypointNumGpus"}
    given: dict[str, Any] = {known[name]: value for name, value in resources.items() if name in known}
    if own := {name: value for name, value in resources.items() if name not in known}:
        given["entrypointResources"] = json.dumps(own)
    return given


def _sized(text: str, section: KubernetesSection) -> str:
    """Return a job file that says which actors its cluster can have, unless it says so itself."""
    said: dict[str, Any] = yaml.safe_load(text)
    given: Mapping[str, Any] = said.get("resources") or {}
    own = {} if {"num_actors", "max_actors"} & given.keys() else {"max_actors": section.resources["max_actors"]}
    device = given.get("device", section.resources["device"])
    resources = {**overridden(given, own), "device": device}
    said["resources"] = {name: value for name, value in resources.items() if value is not None}
    said.pop("cluster", None)
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
