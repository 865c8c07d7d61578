"""`nst validate`: every problem of a manifest or a job, before anything starts."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands import _job
from jobs.console import err, go_without_pandas, out, print_note
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import ACCESS, DECODING, Parameters, run_options, takes
from pipeline.words import counted, doing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.manifest import Duplicate, Row, RowProblem
    from pipeline.options import RunOptions
    from pipeline.planning import Look
    from pipeline.specs import JobFile


@dataclasses.dataclass(frozen=True)
class _Valid:
    """What is known of a job without problems.

    Attributes:
        what: the job, in words: empty for a manifest.
        is_left: whether its rows are those alone that are new or changed.
        rows: that it has.
        duplicates: rows that only repeat one of them.
        remarks: on parameters.
        passed_over: files of an archive that it leaves out, in words.
        failing: why rows would fail, by their masks.
    """

    what: str
    is_left: bool
    rows: "Sequence[Row]"
    duplicates: "Sequence[Duplicate]"
    remarks: "Sequence[str]"
    passed_over: str
    failing: "Sequence[RowProblem]"


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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """List every problem of a manifest or a job, with row, column, value and what was expected. Starts nothing.

    Of pictures, headers of masks alone are read, unless --pictures asks for all; with --address, the cluster reads them
    where they are many. A row whose pictures cannot be used fails by itself: it keeps no other from being computed.

    Example: nst validate pairs.csv --set preset=gatys2015
    """
    from pipeline.specs import ManifestJob

    go_without_pandas()
    with _job.every_problem_listed(as_json=as_json):
        job, options = _job.job_from(manifest, given, parameters.chosen)
        valid = _of_manifest(job, options) if isinstance(job, ManifestJob) else _of_other(job, options)
        look = _looked(valid.rows, options) if pictures else None
    if as_json:
        out.out(json.dumps(_as_object(valid, look)), highlight=False)
    else:
        _print(valid, look)
    if valid.failing or (look and look.faults):
        raise typer.Exit(ExitCode.PROBLEMS)


def _of_manifest(job: "JobFile", options: "RunOptions") -> _Valid:
    """Check a manifest."""
    from pipeline import storage
    from pipeline.execute import manifest_of
    from pipeline.planning import mask_problems
    from pipeline.specs import ManifestJob

    assert isinstance(job, ManifestJob)
    valid = manifest_of(job, options)
    with storage.allowing(options.access.allowed):
        failing = mask_problems(valid.rows, options.decoding)
    remarks = [*valid.remarks, *_job.remarks((row.params for row in valid.rows), options)]
    return _Valid("", False, valid.rows, valid.duplicates, remarks, "", failing)


def _of_other(job: "JobFile", options: "RunOptions") -> _Valid:
    """Check an archive or a grid."""
    from pipeline import storage
    from pipeline.archives import Selection
    from pipeline.execute import rows_of
    from pipeline.planning import mask_problems

    selection = Selection()
    with storage.allowing(options.access.allowed):
        rows = list(rows_of(job, options, selection))
        failing = mask_problems(rows, options.decoding)
    remarks = _job.remarks((row.params for row in rows), options)
    passed_over = str(selection.passed_over) if selection.passed_over else ""
    return _Valid(f"{job.kind} {job.name}: ", job.kind == "archive", rows, (), remarks, passed_over, failing)


def _looked(rows: "Sequence[Row]", options: "RunOptions") -> "Look":
    """Read the header of every picture of these rows."""
    from pipeline import storage
    from pipeline.planning import look_at_pictures

    if options.resources.address:
        from pipeline.cluster import connect

        connect(options.resources.address)
    with storage.allowing(options.access.allowed), err.status("Reading headers of pictures …"):
        return look_at_pictures(rows, options.decoding)


def _as_object(valid: _Valid, look: "Look | None") -> dict[str, object]:
    """Return what was found as JSON types."""
    faults = look and [{"picture": uri, "error": error, "rows": rows} for uri, (error, rows) in look.faults.items()]
    return {
        "valid": True,
        "problems": [],
        "rows": len(valid.rows),
        "duplicates": [dataclasses.asdict(repeat) for repeat in valid.duplicates],
        "remarks": list(valid.remarks),
        "passed_over": valid.passed_over,
        "failing": [dataclasses.asdict(problem) for problem in valid.failing],
        "pictures": look and {"read": look.pictures, "faults": faults},
    }


def _print(valid: _Valid, look: "Look | None") -> None:
    """Print what was found as lines."""
    from pipeline.manifest import place

    for repeat in valid.duplicates:
        line = f"{place(repeat.file, repeat.number)}: repeats {repeat.first}"
        out.print(line, markup=False, highlight=False)
    more = len(valid.duplicates)
    repeats = f"; {doing(more, 'repeat')} others, which are computed once" if more else ""
    are, which = "is" if len(valid.rows) == 1 else "are", "new or changed" if valid.is_left else "valid"
    line = f"{valid.what}{counted(len(valid.rows), 'row')} {are} {which}{repeats}."
    out.print(line, markup=False, highlight=False, soft_wrap=True)
    if valid.passed_over:
        out.print(f"Passed over: {valid.passed_over}", markup=False, highlight=False, soft_wrap=True)
    for problem in valid.failing:
        out.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if valid.failing:
        others = ", the others would be computed" if len(valid.failing) < len(valid.rows) else ""
        out.print(f"{counted(len(valid.failing), 'row')} would fail{others}.", markup=False, highlight=False)
    for remark in valid.remarks:
        print_note(out, remark)
    if look is None:
        return
    for uri, (error, count) in look.faults.items():
        line = error if uri in error else f"{uri}: {error}"
        out.print(f"{line} ({counted(count, 'row')})", markup=False, highlight=False, soft_wrap=True)
    said = f"{len(look.faults):,} cannot be read" if look.faults else "all can be read"
    out.print(f"{counted(look.pictures, 'picture')}: {said}.", highlight=False)
