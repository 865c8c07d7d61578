"""`nst validate`: every problem of a manifest or a job, before anything starts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands import _job
from jobs.console import counted, out, print_note
from jobs.exit_codes import explains_exit_codes
from jobs.options import ACCESS, Defaults, Settings, parameters, run_options, takes

if TYPE_CHECKING:
    from collections.abc import Sized

    from pipeline.options import RunOptions
    from pipeline.specs import JobFile


@takes(run_options(only=("weights", "depth", *ACCESS)))
@explains_exit_codes("validate")
def validate(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    given: dict[str, Any],
    defaults: Defaults = None,
    settings: Settings = [],
) -> None:
    """List every problem of a manifest, with row, column, value and what was expected. Starts nothing.

    Of pictures, headers of masks alone are read.

    Example: nst validate pairs.csv --set preset=gatys2015
    """
    from pipeline import storage
    from pipeline.execute import manifest_of
    from pipeline.planning import check_masks
    from pipeline.specs import ManifestJob

    with _job.every_problem_listed():
        job, options = _job.job_from(manifest, given, parameters(defaults, settings))
        if not isinstance(job, ManifestJob):
            _validate_other(job, options)
            return
        valid = manifest_of(job, options)
        with storage.allowing(options.access.allowed):
            check_masks(valid.rows)
    for repeat in valid.duplicates:
        out.print(f"{repeat.file}, row {repeat.number}: repeats row {repeat.id}", markup=False, highlight=False)
    repeats = f", {len(valid.duplicates):,} more repeat them and are computed once" if valid.duplicates else ""
    out.print(f"{counted(len(valid.rows), 'row')} {_are(valid.rows)} valid{repeats}.", highlight=False)
    for remark in valid.remarks:
        print_note(out, remark)
    _job.print_remarks((row.params for row in valid.rows), options)


def _validate_other(job: "JobFile", options: "RunOptions") -> None:
    """Check an archive or a grid, and print how many rows it has."""
    from pipeline import storage
    from pipeline.archives import Selection
    from pipeline.execute import rows_of
    from pipeline.planning import check_masks

    selection = Selection()
    with storage.allowing(options.access.allowed):
        # An archive's rows share their parameters, and are many.
        rows = rows_of(job, options, selection)
        kept = [(row.params, row if row.params.content_mask else None) for row in rows]
        check_masks(row for _, row in kept if row)
    params = [each for each, _ in kept]
    what = "new or changed" if job.kind == "archive" else "valid"
    line = f"{job.kind} {job.name}: {counted(len(params), 'row')} {_are(params)} {what}."
    out.print(line, markup=False, highlight=False)
    if selection.passed_over:
        out.print(f"Passed over: {selection.passed_over}", markup=False, highlight=False, soft_wrap=True)
    _job.print_remarks(params, options)


def _are(things: "Sized") -> str:
    """Return the verb for so many things."""
    return "is" if len(things) == 1 else "are"
