"""`nst validate`: every problem of a manifest or a job, before anything starts."""

from typing import Annotated, Any

import typer

from jobs.commands import _job
from jobs.console import out, print_note
from jobs.exit_codes import explains_exit_codes
from jobs.options import ACCESS, Defaults, Settings, parameters, run_options, takes


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
    from jobs.jobfile import is_job_file
    from pipeline import storage
    from pipeline.archives import Selection
    from pipeline.execute import manifest_of, rows_of
    from pipeline.planning import check_masks
    from pipeline.specs import ManifestJob

    selection = Selection()
    with _job.every_problem_listed():
        job, options = _job.job_from(manifest, given, parameters(defaults, settings))
        if is_job_file(manifest[0]) or not isinstance(job, ManifestJob):
            with storage.allowing(options.access.allowed):
                # An archive's rows share their parameters, and are many.
                rows = rows_of(job, options, selection)
                kept = [(row.params, row if row.params.content_mask else None) for row in rows]
                check_masks(row for _, row in kept if row)
            params = [each for each, _ in kept]
            what = "rows are new or changed" if job.kind == "archive" else "rows are valid"
            out.print(f"{job.kind} {job.name}: {len(params):,} {what}.", markup=False, highlight=False)
            if selection.passed_over:
                out.print(f"Passed over: {selection.passed_over}", markup=False, highlight=False, soft_wrap=True)
            _job.print_remarks(params, options)
            return
        valid = manifest_of(job, options)
        with storage.allowing(options.access.allowed):
            check_masks(valid.rows)
    for repeat in valid.duplicates:
        out.print(f"{repeat.file}, row {repeat.number}: repeats row {repeat.id}", markup=False, highlight=False)
    repeats = f", {len(valid.duplicates):,} more repeat them and are computed once" if valid.duplicates else ""
    out.print(f"{len(valid.rows):,} rows are valid{repeats}.", highlight=False)
    for remark in valid.remarks:
        print_note(out, remark)
    _job.print_remarks((row.params for row in valid.rows), options)
