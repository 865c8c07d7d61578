"""What `nst submit` sends to a cluster: a job file as an entry point, an environment and a name."""

import hashlib
import importlib.util
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jobs.console import json_lines
from jobs.jobfile import load
from jobs.runner import JOB_VARIABLE, PROGRESS_VARIABLE, SUBMISSION_VARIABLE
from pipeline import storage
from pipeline.manifest import PICTURE_PARAMETERS, each_of
from pipeline.outputs import layout
from pipeline.specs import ClusterSection

STOP_SECONDS = 60
"""That a job which is cancelled may take to end in order, before Ray kills it; Ray's own patience is 3 s."""

PACKAGES = ("nst_kernel", "pipeline", "jobs")


@dataclass(frozen=True)
class Request:
    """A job, ready to be submitted.

    Attributes:
        name: the name given in its file.
        digest: of what it computes: the file without its `cluster` section. The same job has the same one.
        entrypoint: shell command.
        runtime_env: as Ray understands it.
        resources: by name, the amounts reserved for the driver.
        metadata: what the cluster keeps with the job, from which `nst status` finds its progress.
        address: of the cluster, if the file names one.
    """

    name: str
    digest: str
    entrypoint: str
    runtime_env: Mapping[str, Any]
    metadata: Mapping[str, str]
    resources: Mapping[str, float] = field(default_factory=dict)
    address: str | None = None

    def id(self, attempt: int) -> str:
        """Return the id of a submission: name and digest, and from the second attempt on its number."""
        return f"{self.name}-{self.digest}" + (f".{attempt}" if attempt > 1 else "")

    def environment(self, attempt: int | None, *, trace: str = "") -> dict[str, Any]:
        """Return the `runtime_env` of a submission, with its own id in the environment.

        Args:
            attempt: number of the submission; None where another gives it its id, as a schedule gives each run one.
            trace: the trace that it is a part of, unless the job file names another.
        """
        variables = dict(self.runtime_env["env_vars"])
        if attempt:
            variables[SUBMISSION_VARIABLE] = self.id(attempt)
        if trace:
            variables.setdefault(json_lines.TRACE_VARIABLE, trace)
        return {**self.runtime_env, "env_vars": variables}


def request(file: Path) -> Request:
    """Make a request from a job file.

    Raises:
        ValueError: for a file that is no job, or that cannot run anywhere but here; the message names the field.
    """
    job, text = load(file), file.read_text("utf-8")
    said: dict[str, Any] = yaml.safe_load(text)
    computed = {name: value for name, value in said.items() if name != "cluster"}
    lasting = storage.each_text(computed, storage.lasting)  # another signature of a picture is the same work
    digest = hashlib.sha256(json.dumps(lasting, sort_keys=True, default=str).encode()).hexdigest()[:8]
    cluster = job.cluster
    _check(file, said, cluster)
    output = storage.without_secrets(str(said["output"]))
    travels = _place_in_working_dir(file, cluster)
    variables = {
        **cluster.env,
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
        PROGRESS_VARIABLE: layout.progress_file(said["output"]),
    }
    if said_by_operators := storage.operators_text(cluster.env.get(storage.OPERATORS_VARIABLE, "")):
        variables[storage.OPERATORS_VARIABLE] = said_by_operators
    if travels is None:
        if relative := [(name, path) for name, path in _inputs(said) if _is_relative(path)]:
            name, path = relative[0]
            raise ValueError(
                f"{file}: {name}: {path!r} would not be found on the cluster; expected a URI, or a "
                "cluster.working_dir that holds this file and what it names"
            )
        variables[JOB_VARIABLE] = text
    return Request(
        name=job.name,
        digest=digest,
        entrypoint=entrypoint(cluster, travels),
        runtime_env=_runtime_env(file, cluster, variables),
        metadata={"nst_name": job.name, "nst_digest": digest, "nst_kind": job.kind, "nst_output": output},
        resources=cluster.entrypoint_resources,
        address=cluster.address,
    )


def entrypoint(cluster: ClusterSection, job_file: str | None) -> str:
    """Return the shell command that becomes the driver: the first interpreter with Ray and this project.

    `python` alone is often another one than Ray's, and SIGTERM must reach the driver, not a shell around it.
    """
    if cluster.python:
        interpreters = [cluster.python]
    elif cluster.pip:  # packages are installed into an environment whose `python` comes first in PATH
        interpreters = ["python", sys.executable]
    else:
        interpreters = [sys.executable, "python", "python3"]
    names = " ".join(map(shlex.quote, interpreters))
    has_both = 'f("ray") and f("jobs.submit.entrypoint")'
    has_all = f"import sys; from importlib.util import find_spec as f; sys.exit(not ({has_both}))"
    words = " ".join(["jobs.submit.entrypoint", *([shlex.quote(job_file)] if job_file else [])])
    missing = f"none of {names} has ray and nst-pipeline: set cluster.python, cluster.upload or cluster.pip"
    return (
        f'for p in {names}; do "$p" -c \'{has_all}\' 2>/dev/null && exec "$p" -m {words}; done; '
        f"echo {shlex.quote(missing)}; exit 127"
    )


def _check(file: Path, said: Mapping[str, Any], cluster: ClusterSection) -> None:
    """Refuse outputs that no other machine reaches, and settings of the cluster that exclude each other."""
    if _is_relative(str(said["output"])):
        raise ValueError(
            f"{file}: output: {said['output']!r} would be a folder of one machine that goes with the job; expected a "
            "URI such as s3://bucket/night, or an absolute path that all machines of the cluster share"
        )
    given = [name for name in ("working_dir", "pip", "upload") if getattr(cluster, name)]
    if cluster.image and given:
        raise ValueError(
            f"{file}: cluster.{given[0]}: cannot be had beside cluster.image, which brings its own; expected one"
        )


def _runtime_env(file: Path, cluster: ClusterSection, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what Ray needs to know about image, folder, packages and environment."""
    env: dict[str, Any] = {"env_vars": dict(variables)}
    if cluster.image:
        env["image_uri"] = cluster.image
    if cluster.working_dir:
        env["working_dir"] = _working_dir(file, cluster.working_dir)
    if cluster.pip:
        env["pip"] = list(cluster.pip)
    if cluster.upload:
        env["py_modules"] = [_folder_of(package) for package in PACKAGES]
        env["excludes"] = ["**/__pycache__"]
    return env


def _folder_of(package: str) -> str:
    """Return the folder of an installed package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return spec.submodule_search_locations[0]


def _working_dir(file: Path, working_dir: str) -> str:
    """Return the folder that travels as an absolute path, or unchanged if it is a URI.

    Raises:
        ValueError: if there is no such folder.
    """
    if storage.is_uri(working_dir):
        return working_dir
    folder = (file.parent / working_dir).resolve()
    if not folder.is_dir():
        raise ValueError(f"{file}: cluster.working_dir: {str(folder)!r} is no folder; it is taken relative to the file")
    return str(folder)


def _place_in_working_dir(file: Path, cluster: ClusterSection) -> str | None:
    """Return the path of the job file in the folder that travels; None if it is not in it."""
    if not cluster.working_dir or storage.is_uri(cluster.working_dir):
        return None
    folder, whole = Path(_working_dir(file, cluster.working_dir)), file.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else None


def _inputs(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each path or URI that a job reads, with the field that names it."""
    for name in ("manifest", "photos", "contents", "styles"):
        locations = said.get(name) or []
        locations = [locations] if isinstance(locations, str) else locations
        for paths in locations.values() if isinstance(locations, Mapping) else locations:
            mixed = paths if isinstance(paths, list) else each_of(name.removesuffix("s"), str(paths))
            yield from ((name, str(path)) for path in mixed)
    if (weights := str(said.get("weights") or "embedded")) not in ("embedded", "imagenet"):
        yield "weights", weights
    for section, (role, words) in itertools.product(("defaults", "parameters"), PICTURE_PARAMETERS.items()):
        named = (said.get(section) or {}).get(role)
        for paths in named if isinstance(named, list) else [named]:
            if isinstance(paths, str) and paths not in words:
                yield from ((f"{section}.{role}", path) for path in each_of(role, paths))


def _is_relative(path: str) -> bool:
    """Return whether a path is relative and no URI."""
    return not storage.is_uri(path) and not path.startswith("/")
