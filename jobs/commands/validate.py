"""`nst validate`: every problem of a manifest or a job, before anything starts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands import _job
from jobs.console import counted, err, go_without_pandas, out, print_note
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import ACCESS, DECODING, Parameters, run_options, takes

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

    from pipeline.manifest import Row
    from pipeline.options import RunOptions
    from pipeline.specs import JobFile


@takes(run_options(only=("weights", "depth", "address", "override", *ACCESS, *DECODING)))
@explains_exit_codes("validate")
def validate(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    given: dict[str, Any],
    parameters: Parameters,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Read the header of every picture too: is it there, and is it one?"),
    ] = False,
) -> None:
    """List every problem of a manifest, with row, column, value and what was expected. Starts nothing.

    Of pictures, headers of masks alone are read, unless --pictures asks for all; with --address, the cluster reads them
    where they are many.

    Example: nst validate pairs.csv --set preset=gatys2015
    """
    go_without_pandas()
    from pipeline import storage
    from pipeline.execute import manifest_of
    from pipeline.planning import check_masks
    from pipeline.specs import ManifestJob

    with _job.every_problem_listed():
        job, options = _job.job_from(manifest, given, parameters.chosen)
        if not isinstance(job, ManifestJob):
            rows = _validate_other(job, options)
            if pictures:
                _look(rows, options)
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
    if pictures:
        _look(valid.rows, options)


def _look(rows: "Sequence[Row]", options: "RunOptions") -> None:
    """Read the header of every picture, and print which cannot be read.

    Raises:
        Exit: with exit code 1 if there is one.
    """
    from pipeline import storage
    from pipeline.planning import look_at_pictures

    if options.resources.address:
        from pipeline.cluster import connect

        connect(options.resources.address)
    with storage.allowing(options.access.allowed), err.status("Reading headers of pictures …"):
        look = look_at_pictures(rows, options.decoding)
    for uri, (error, count) in look.faults.items():
        line = error if uri in error else f"{uri}: {error}"
        out.print(f"{line} ({counted(count, 'row')})", markup=False, highlight=False, soft_wrap=True)
    bad = len(look.faults)
    found = f"{bad:,} cannot be read" if bad else "all can be read"
    out.print(f"{counted(look.pictures, 'picture')}: {found}.", highlight=False)
    if bad:
        raise typer.Exit(ExitCode.PROBLEMS)


def _validate_other(job: "JobFile", options: "RunOptions") -> "Sequence[Row]":
    """Check an archive or a grid, print how many rows it has, and return them."""
    from pipeline import storage
    from pipeline.archives import Selection
    from pipeline.execute import rows_of
    from pipeline.planning import check_masks

    selection = Selection()
    with storage.allowing(options.access.allowed):
        rows = list(rows_of(job, options, selection))
        check_masks(row for row in rows if row.params.content_mask)
    params = [row.params for row in rows]
    what = "new or changed" if job.kind == "archive" else "valid"
    line = f"{job.kind} {job.name}: {counted(len(params), 'row')} {_are(params)} {what}."
    out.print(line, markup=False, highlight=False)
    if selection.passed_over:
        out.print(f"Passed over: {selection.passed_over}", markup=False, highlight=False, soft_wrap=True)
    _job.print_remarks(params, options)
    return rows


def _are(things: "Sized") -> str:
    """Return the verb for so many things."""
    return "is" if len(things) == 1 else "are"
