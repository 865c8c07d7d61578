"""What `nst run`, `nst plan` and `nst validate` do with a job file, and `nst schema`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from jobs.console import complain, err, out

if TYPE_CHECKING:
    from pipeline.specs import JobFile

SOME_ROWS_FAILED, NOTHING_STARTED = 1, 2

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "resources": ("num_actors", "min_actors", "max_actors", "actors_per_gpu", "device", "batch_size"),
    "limits": ("row_timeout", "max_attempts", "stall_timeout", "max_failures"),
}
"""Options by the section of a job file that has them too."""


def job_from(ctx: typer.Context, words: list[str], parameters: Mapping[str, object]) -> JobFile | None:
    """The job of the file that a command was given, with the options that were given too; None: it is a manifest.

    Args:
        ctx: of the command, which knows which of its options were given.
        words: its arguments.
        parameters: style parameters that were given.

    Raises:
        JobFileError: with every problem of the file or the options.
        ValueError: for a job file among other arguments.
    """
    from jobs.jobfile import is_job_file, load

    if not any(map(is_job_file, words)):
        return None
    if len(words) > 1:
        raise ValueError(f"{' '.join(words)}: expected one job file by itself, or manifests")
    return with_options(load(words[0]), given(ctx), parameters)


def given(ctx: typer.Context) -> dict[str, Any]:
    """The options of a command that a person gave."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {name: ctx.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def with_options(job: JobFile, options: Mapping[str, Any], parameters: Mapping[str, object]) -> JobFile:
    """A job of which options outrank what the file says.

    Raises:
        JobFileError: with every option that cannot be used.
    """
    from pipeline.options import overridden
    from pipeline.specs import job_of

    fields = job.model_dump()
    fields["defaults"] = {**job.defaults, **parameters}
    fields |= {name: options[name] for name in ("output", "weights") if name in options}
    for section, names in SECTIONS.items():
        fields[section] = overridden(fields[section], {name: options[name] for name in names if name in options})
    return job_of(fields)


def validate(job: JobFile) -> NoReturn:
    """Count what a job asks for, or list its problems, and end the command."""
    from jobs.execute import rows_of

    count = sum(1 for _ in rows_of(job))
    what = "rows are new or changed" if job.kind == "archive" else "rows are valid"
    out.print(f"{job.kind} {job.name}: {count:,} {what}.", markup=False, highlight=False)
    raise typer.Exit(0)


def plan(
    job: JobFile,
    *,
    address: str | None = None,
    rate: float | None = None,
    price: float | None = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> NoReturn:
    """Show what a job would do and cost, and end the command. Where no price is given, the file's is used."""
    from jobs.console import print_estimate
    from jobs.execute import estimate_job

    found = estimate_job(job, address=address, rate=rate, overwrite=overwrite)
    print_estimate(out, found, price=job.report.hourly_price if price is None else price, as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if found.failures else 0)


def named(pictures: Sequence[str]) -> list[str] | dict[str, str]:
    """Pictures as a command line has them, `NAME=FILE` or `FILE`, as a job file has them.

    Raises:
        ValueError: if two have one name.
    """
    from pipeline.specs import is_file_name, stem

    pairs = [picture.partition("=") for picture in pictures]
    if not any(equals and is_file_name(name) for name, equals, _ in pairs):
        return list(pictures)
    found: dict[str, str] = {}
    for picture, (name, equals, uri) in zip(pictures, pairs, strict=True):
        called, where = (name, uri) if equals and is_file_name(name) else (stem(picture), picture)
        if called in found:
            raise ValueError(f"{picture}: expected a name of its own, {found[called]} is {called!r} too: NAME=FILE")
        found[called] = where
    return found


@contextlib.contextmanager
def every_problem_listed() -> Iterator[None]:
    """A bad manifest ends the command with all its problems, one a line."""
    from pipeline.manifest import ManifestError

    try:
        yield
    except ManifestError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
        complain(err, f"{len(error.problems):,} in all; nothing would start.")
        raise typer.Exit(NOTHING_STARTED) from None
