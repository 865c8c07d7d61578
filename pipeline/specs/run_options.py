"""Jobs and the options of their runs: one made of the other."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from nst_kernel.params import by_name, own_name
from pipeline.options import RunOptions, overridden, run_options
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.job import AccessSection, Bounds, JobFile, Pool, job_of

SECTIONS: Mapping[str, type[BaseModel]] = {"resources": Pool, "limits": Bounds, "access": AccessSection}
"""Sections of a job file whose fields are options of a run. (`cluster.address` is that of a job server.)"""


def with_options(
    job: JobFile,
    options: Mapping[str, Any],
    parameters: Mapping[str, object],
    settings: Mapping[str, object] | None = None,
) -> JobFile:
    """Return a job in which options and style parameters replace what its file gives.

    Args:
        job: as its file describes it.
        options: by name, those that were given; of these, the ones that a job file may have.
        parameters: style parameters that were given.
        settings: those of them that replace what a grid gives itself, with the option `override`; None: all.

    Raises:
        JobFileError: with every option that cannot be used.
    """
    fields = job.model_dump()
    if options.get("override"):
        fields = overriding(fields, parameters if settings is None else settings)
    return job_of(fields_with_options(fields, options, parameters))


def overriding(fields: Mapping[str, Any], settings: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields of a job whose grid, if it is one, has these values, by any name, in the place of its own."""
    requested = by_name(settings)
    own = {name: requested.get(own_name(name, None), value) for name, value in fields.get("parameters", {}).items()}
    return {**fields, "parameters": own} if own else dict(fields)


def fields_with_options(
    fields: Mapping[str, Any], options: Mapping[str, Any], parameters: Mapping[str, object]
) -> dict[str, Any]:
    """Return the fields of a job in which options and style parameters replace what was there."""
    changed = {**fields, "defaults": {**fields.get("defaults", {}), **parameters}}
    own = ("output", "weights", "depth", "color_profile")
    changed |= {name: options[name] for name in own if options.get(name) is not None}
    for section, model in SECTIONS.items():
        given = {name: options[name] for name in model.model_fields if name in options}
        changed[section] = overridden(fields.get(section, {}), given)
    return changed


def options_of(job: JobFile, **others: Any) -> RunOptions:
    """Return the options of a job's run.

    Args:
        job: of any kind.
        **others: options by name that a job file does not have, such as overwrite; or other values than the job's.

    Raises:
        OptionError: for values that cannot be used.
    """
    values = {name: value for section in SECTIONS for name, value in getattr(job, section).model_dump().items()}
    values |= {name: getattr(job, name) for name in ("output", "weights", "depth", "color_profile")}
    if isinstance(job, ArchiveSpec):
        values |= {"quality": job.quality, "keep_exif": not job.strip}
    if "source" not in others:
        values["source"] = job.model_dump(mode="json", exclude_defaults=True, exclude={"cluster"})
    return run_options(**{**values, **others})
