"""What commands that compute, plan or validate jobs share: a job and its options from words of a command line."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from jobs.console import complain, err, out, print_note, remark
from jobs.exit_codes import ExitCode

if TYPE_CHECKING:
    from jobs.options import Chosen, Computing, Costs
    from nst_kernel import StyleParams
    from pipeline.execute import Job
    from pipeline.flow import Estimate
    from pipeline.options import RunOptions
    from pipeline.specs import JobFile


def job_from(words: Sequence[str], given: Mapping[str, Any], chosen: Chosen) -> tuple[JobFile, RunOptions]:
    """Return the job that the arguments of a command describe, and the options of its run.

    Args:
        words: one job file, or manifests.
        given: options that were given, by name. They outrank what a job file gives.
        chosen: style parameters that were given.

    Raises:
        JobFileError: with every problem of the file or the options.
        ValueError: for a job file among other arguments.
    """
    from jobs.jobfile import is_job_file, load
    from pipeline.specs import fields_with_options, job_of, options_of, with_options

    if any(map(is_job_file, words)):
        if len(words) > 1:
            raise ValueError(f"{' '.join(words)}: expected one job file by itself, or manifests")
        job = with_options(load(words[0]), given, chosen.values, chosen.settings)
        note_ignored(job, given, chosen)
        return job, options_of(job, **only_for_runs(given, chosen))
    fields = {"kind": "manifest", "name": "manifest", "manifest": list(words), "output": "."}
    job = job_of(fields_with_options(fields, given, chosen.values), as_written=True)
    # Without --output, nothing is done before; `run` refuses to begin.
    return job, options_of(job, output=given.get("output", ""), source={}, **only_for_runs(given, chosen))


def note_ignored(job: JobFile, given: Mapping[str, Any], chosen: Chosen) -> None:
    """Say which of the parameters of --set a grid gives itself, which therefore keep the grid's values."""
    from nst_kernel.params import by_name, own_name
    from pipeline.specs import GridJob

    if isinstance(job, GridJob) and not given.get("override"):
        own, requested = {own_name(name, None) for name in job.parameters}, by_name(chosen.settings)
        for name in sorted(own & requested.keys()):
            print_note(
                err, f"--set {name}={requested[name]} is ignored: the grid gives {name} itself; --override sets it"
            )


def only_for_runs(given: Mapping[str, Any], chosen: Chosen) -> dict[str, Any]:
    """Return those of the options that were given which a job file does not have."""
    names = ("address", "overwrite", "override", "force")
    return {name: given[name] for name in names if name in given} | {"settings": chosen.settings}


def plan(job: Job, options: RunOptions, costs: Costs) -> NoReturn:
    """Show what a job would do and cost, and end the command. Where no price is given, the file's is used."""
    from pipeline.execute import estimate_job

    price = job.report.hourly_price if costs.price is None else costs.price
    show(estimate_job(job, options, rate=costs.rate), dataclasses.replace(costs, price=price))


def show(estimate: Estimate, costs: Costs) -> NoReturn:
    """Show what would be done and what it would cost, and end the command."""
    from jobs.console import print_estimate

    print_estimate(out, estimate, price=costs.price, as_json=costs.as_json)
    raise typer.Exit(ExitCode.PROBLEMS if estimate.failures else ExitCode.OK)


def compute(
    job: Job,
    options: RunOptions,
    how: Computing,
    costs: Costs,
    *,
    shown: Any,
    plan_job: Callable[[Any, RunOptions, Costs], NoReturn] = plan,
) -> NoReturn:
    """Compute a job, or show what it would take, and end the command.

    Args:
        job: of any kind.
        options: of its run.
        how: what the command was told besides.
        costs: what is shown with --dry-run.
        shown: how much is shown meanwhile, as `runner.run` takes it.
        plan_job: shows what the job would take.

    Raises:
        ValueError: for options that only --dry-run understands, and without an output.
    """
    from jobs import runner

    if how.dry_run:
        plan_job(job, options, costs)
    check_for_plans(costs)
    if not options.output:
        raise ValueError("--output is missing: expected a folder, any URI")
    port = how.port if how.serve else None
    raise typer.Exit(runner.run(job, options, report=how.with_report, shown=shown, port=port))


def check_for_plans(costs: Costs) -> None:
    """Raise ValueError for options that only --dry-run understands, of a command that computes."""
    for_plans = {"rate": costs.rate, "price": costs.price, "json": costs.as_json}
    if named := [f"--{name}" for name, value in for_plans.items() if value not in (None, False)]:
        raise ValueError(f"{', '.join(named)}: expected --dry-run with it; or nst plan")


def remarks(params: Iterable[StyleParams], options: RunOptions) -> Sequence[str]:
    """Return what is worth knowing about style parameters that are valid, with the weights of a run."""
    from nst_kernel.params import PRESETS, remarks_on
    from pipeline import storage
    from pipeline.encoder import outline_of

    params, encoder = list(params), ""
    if any(PRESETS[each.preset].weights for each in params):  # or they need not be read for it
        with storage.allowing(options.access.allowed):
            encoder = outline_of(options.weights).kind
    return remarks_on(params, encoder)


def named(pictures: Sequence[str]) -> list[str] | dict[str, str]:
    """Convert pictures given on the command line as `NAME=FILE` or `FILE` to the form used in job files.

    Raises:
        ValueError: if two have one name.
    """
    from pipeline.specs import is_file_name, stem

    pairs = [picture.partition("=") for picture in pictures]
    if not any(equals and is_file_name(name) for name, equals, _ in pairs):
        return list(pictures)
    by_name: dict[str, str] = {}
    for picture, (name, equals, uri) in zip(pictures, pairs, strict=True):
        called, where = (name, uri) if equals and is_file_name(name) else (stem(picture), picture)
        if called in by_name:
            raise ValueError(f"{picture}: expected a name of its own, {by_name[called]} is {called!r} too: NAME=FILE")
        by_name[called] = where
    return by_name


@contextlib.contextmanager
def every_problem_listed(*, as_json: bool = False) -> Iterator[None]:
    """End the command with all problems of a manifest or a job, one a line, where it cannot be used.

    Args:
        as_json: on standard output, as one JSON object, whatever is wrong.
    """
    from pipeline.manifest import ManifestError
    from pipeline.storage import StorageError

    try:
        yield
    except (ValueError, StorageError) as error:
        if as_json:
            out.out(json.dumps({"valid": False, "problems": problems_in(error)}), highlight=False)
            raise typer.Exit(ExitCode.NOTHING_STARTED) from None
        if not isinstance(error, ManifestError):
            raise
        for problem in error.problems:
            remark(err, str(problem), severity=logging.ERROR)
        complain(err, f"{len(error.problems):,} in all; nothing would start.")
        raise typer.Exit(ExitCode.NOTHING_STARTED) from None


def problems_in(error: Exception) -> list[dict[str, object]]:
    """Return the problems of a manifest, a job file or the words of a command as JSON types, all of one shape.

    Of a job file, `number` is the line and `column` the field; what is about no file has its message as `expected`.
    """
    from pipeline.manifest import ManifestError, RowProblem
    from pipeline.specs import JobFileError

    if isinstance(error, ManifestError):
        found = error.problems
    elif isinstance(error, JobFileError):
        found = [RowProblem(one.file, one.line, one.field or None, one.value, one.expected) for one in error.problems]
    else:
        found = [RowProblem("", None, None, "", str(error))]
    return [dataclasses.asdict(problem) for problem in found]
