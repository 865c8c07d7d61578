"""Job files: what a person runs again and again, as one small YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pool(_Section):
    """`resources`: what a run may use."""

    num_actors: int | None = Field(None, ge=1, description="Encoders at work; by default one per GPU, or per CPU.")
    batch_size: int | None = Field(None, ge=1, description="Pairs optimised together, at most.")


class Bounds(_Section):
    """`limits`: when to give up."""

    row_timeout: float | None = Field(None, ge=0, description="Seconds that a row may be optimised.")
    max_attempts: int = Field(2, ge=1, description="Deaths of its process after which a row is quarantined.")
    max_failures: str | None = Field(None, description="Stop once more rows failed: so many, or a share such as 5%.")


class ClusterSection(_Section):
    """`cluster`: where and in what `nst submit` runs the job."""

    address: str | None = Field(None, description="Of the cluster's job server, such as http://head:8265.")
    working_dir: str | None = Field(None, description="Folder that travels to the cluster; relative to this file.")
    image: str | None = Field(None, description="Container image of the entry point and the workers.")
    env: Mapping[str, str] = Field(default_factory=dict, description="Environment variables.")
    pip: tuple[str, ...] = Field((), description="Packages to install there.")
    upload: bool = Field(False, description="Whether this machine's version of the pipeline travels along.")
    python: str | None = Field(None, description="Interpreter of the entry point, there; by default one that has Ray.")
    entrypoint_resources: Mapping[str, float] = Field(
        default_factory=dict, description="Set aside for the driver, by Ray's names: CPU, GPU, memory, or your own."
    )


class ManifestJob(_Section):
    """A job that computes a manifest."""

    kind: Literal["manifest"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    manifest: str | tuple[str, ...]
    output: str
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    weights: str = "embedded"
    resources: Pool = Pool()
    limits: Bounds = Bounds()
    cluster: ClusterSection = ClusterSection()


def load(path: Path) -> ManifestJob:
    """The job of a file.

    Raises:
        ValueError: for a file that is no job, naming the field and what was expected.
    """
    try:
        return ManifestJob.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
