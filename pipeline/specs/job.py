"""Whole jobs: of a manifest, an archive or a grid."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from nst_kernel.params import known_name
from pipeline import storage
from pipeline.manifest import Records, shown
from pipeline.options import EXPECTED, OPTIONS, ColorProfile, Depth, Device, FailureLimit, Places, check_actors
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.fields import (
    JOB_NAME,
    Location,
    Parameters,
    Section,
    WeightsLocation,
    as_option,
    problems_of,
    unusable,
)
from pipeline.specs.grid import GridSpec, Keep
from pipeline.specs.kubernetes import KubernetesSection


class Pool(Section):
    """`resources`: what a run may use."""

    num_actors: int | None = as_option("num_actors")
    min_actors: int | None = as_option("min_actors")
    max_actors: int | None = as_option("max_actors")
    actors_per_gpu: int | None = as_option("actors_per_gpu")
    device: Device = as_option("device")
    batch_size: int | None = as_option("batch_size")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_actors(self.num_actors, self.min_actors, self.max_actors)
        return self


def _failures(text: str | int) -> str:
    try:
        FailureLimit.parse(str(text))
    except ValueError:
        raise ValueError(EXPECTED) from None
    return str(text)


class Bounds(Section):
    """The `limits` section of a job file: when to give up on a row or on the run."""

    row_timeout: float | None = as_option("row_timeout")
    max_attempts: int = as_option("max_attempts")
    stall_timeout: float = as_option("stall_timeout")
    decode_timeout: float = as_option("decode_timeout")
    max_megapixels: float = as_option("max_megapixels")
    max_failures: Annotated[
        str | int | None,
        AfterValidator(lambda text: None if text is None else _failures(text)),
        WithJsonSchema({"type": ["string", "integer", "null"], "pattern": r"^\s*[0-9.]+\s*%?\s*$"}),
    ] = as_option("max_failures")

    tolerate: Annotated[
        str | int | None,
        AfterValidator(lambda text: None if text is None else _failures(text)),
        WithJsonSchema({"type": ["string", "integer", "null"], "pattern": r"^\s*[0-9.]+\s*%?\s*$"}),
    ] = as_option("tolerate")


class AccessSection(Section):
    """The `access` section of a job file: what may be opened, and how large a file may be."""

    allow_read: Places = as_option("allow_read")
    allow_write: Places = as_option("allow_write")
    max_file_bytes: int = as_option("max_file_bytes")


class ReportSection(Section):
    """`report`: what a report says beside the results."""

    hourly_price: float | None = Field(None, ge=0, description="Dollars for an hour of one actor's device.")


class ClusterSection(Section):
    """`cluster`: where and in what `nst submit` runs the job."""

    address: str | None = Field(None, description="Of the cluster's job server, such as http://head:8265.")
    working_dir: Location | None = Field(None, description="Folder that travels to the cluster; relative to this file.")
    image: str | None = Field(None, description="Container image of the entry point and the workers.")
    env: Mapping[str, str] = Field(default_factory=dict, description="Environment variables.")
    pip: tuple[str, ...] = Field((), description="Packages to install there.")
    upload: bool = Field(False, description="Whether this machine's version of the pipeline travels along.")
    python: str | None = Field(None, description="Interpreter of the entry point, there; by default one that has Ray.")
    entrypoint_resources: Mapping[str, float] = Field(
        default_factory=dict, description="Set aside for the driver, by Ray's names: CPU, GPU, memory, or your own."
    )
    kubernetes: KubernetesSection = Field(
        KubernetesSection(), description="The cluster that `nst render kubernetes` and `nst submit --kubernetes` make."
    )


class Common(Section):
    """What every job has."""

    name: str = Field(pattern=JOB_NAME, description="Of the job: letters, digits, and _ . - between.")
    output: Location = Field(description=OPTIONS["output"].description)
    defaults: Parameters = Field(default_factory=dict, description="Style parameters that nothing else decides.")
    weights: WeightsLocation = as_option("weights")
    depth: Depth = as_option("depth")
    color_profile: ColorProfile = as_option("color_profile")
    resources: Pool = Field(Pool(), description="What the run may use.")
    limits: Bounds = Field(Bounds(), description="When to give up.")
    access: AccessSection = Field(AccessSection(), description="What may be opened.")
    report: ReportSection = Field(ReportSection(), description="What a report says beside the results.")
    cluster: ClusterSection = Field(ClusterSection(), description="Where and in what `nst submit` runs the job.")


_Member = Annotated[Location, WrapValidator(lambda one, check: one if isinstance(one, Records) else check(one))]
"""A location of rows; programs may give rows at hand in its place."""


class ManifestJob(Common):
    """A job that computes a manifest."""

    kind: Literal["manifest"]
    manifest: Annotated[
        tuple[_Member, ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str | Records) else value),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(min_length=1, description="CSV, JSON Lines or Parquet: a file, a folder, or several of either.")


class ArchiveJob(Common, ArchiveSpec):
    """A job that gives the photos of an archive styles, and next time those that are new or changed."""

    kind: Literal["archive"]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.depth == 16 and self.format not in ("png", "tif"):
            raise unusable([(("format",), self.format, "png or tif, since depth is 16")])
        return self


class GridJob(Common, GridSpec):
    """A job that computes a grid of parameters, each time as a run of its own."""

    kind: Literal["grid"]
    keep: Keep | None = Field(None, description="Which complete runs are kept; by default all.")


JobFile = ManifestJob | ArchiveJob | GridJob


KINDS: Mapping[str, type[BaseModel]] = {"manifest": ManifestJob, "archive": ArchiveJob, "grid": GridJob}


_ADAPTER: TypeAdapter[JobFile] = TypeAdapter(Annotated[JobFile, Field(discriminator="kind")])


@dataclass(frozen=True)
class JobProblem:
    """One thing in a job file that cannot be used.

    Attributes:
        file: that it is in; empty where it is in no file.
        line: there, from 1; None where there is none.
        field: its path, such as resources.num_actors.
        value: as written, shortened; empty where there is none.
        expected: what would have been right.
    """

    file: str
    line: int | None
    field: str
    value: str
    expected: str

    def __str__(self) -> str:
        where = self.file + (f", line {self.line}" if self.line else "")
        what = " = ".join(filter(None, (self.field, self.value)))
        return storage.without_secrets(f"{': '.join(filter(None, (where, what)))}: expected {self.expected}")


class JobFileError(ValueError):
    """Raised with every problem of a job file, in `.problems`."""

    def __init__(self, problems: list[JobProblem]) -> None:
        self.problems = problems
        super().__init__("\n  ".join(map(str, problems)))


def job_of(
    fields: Mapping[str, Any],
    *,
    base: str | None = None,
    file: str = "",
    line_of: Any = lambda loc: None,
    as_written: bool = False,
) -> JobFile:
    """Validate the fields of a job file and return the job that they define.

    Args:
        fields: as in a job file.
        base: the folder at which relative paths start; None: where the process is.
        file: for messages.
        line_of: the line of a place in it.
        as_written: whether locations stay as they are, so that messages and results name them as a person does.

    Raises:
        JobFileError: with every problem.
    """
    kind = str(fields.get("kind", ""))
    if kind not in KINDS:
        raise JobFileError(
            [JobProblem(file, line_of(("kind",)), "kind", kind and shown(kind), known_name(kind, KINDS))]
        )
    try:
        return _ADAPTER.validate_python(
            fields, context={"base": base or storage.absolute("."), "as_written": as_written}
        )
    except ValidationError as error:
        problems = []
        for (_, *place), value, expected in problems_of(error):
            if expected == "a known name":
                value, expected = None, known_name(str(place[-1]), _names_at(KINDS[kind], place[:-1]))
            elif expected.startswith("a value:"):
                value = None
            written = "" if value is None or value == "" or value == fields else shown(value)
            problems.append(JobProblem(file, line_of(tuple(place)), ".".join(map(str, place)), written, expected))
        raise JobFileError(sorted(problems, key=lambda problem: problem.line or 0)) from None


def _names_at(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """Return the names of the fields of a section of a job."""
    for name in place:
        with contextlib.suppress(KeyError):
            model = next(_models(model.model_fields[str(name)].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of job files, for editors."""
    model = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nst job file", **model}
