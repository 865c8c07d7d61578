"""`nst archive`: a whole photo archive in one command; what a job file of kind archive describes."""

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from jobs.commands import _job
from jobs.console import out
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import Computing, Costs, Parameters, fields_of, run_options, takes
from pipeline.specs import ArchiveSpec
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.options import RunOptions
    from pipeline.specs import JobFile

_SELECTION = fields_of(ArchiveSpec, without=("photos", "styles"))


Prune = Annotated[
    bool,
    typer.Option("--prune", help="List results whose photos are gone, and compute nothing; with --yes, delete them."),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --prune: delete what it lists. Photos are never deleted.")]


@takes(_SELECTION, run_options(without=("override",)))  # its rows give no parameters themselves
@explains_exit_codes("archive")
def archive(
    ctx: typer.Context,
    photos: Annotated[
        str, typer.Argument(help="A folder, or a quoted pattern such as 's3://photos/**/*.jpg'; ** is any folders.")
    ],
    style: Annotated[
        list[str], typer.Option(help="A style picture, any URI, or NAME=URI; repeatable. A pattern takes all that fit.")
    ],
    given: dict[str, Any],
    parameters: Parameters,
    how: Computing,
    costs: Costs,
    prune: Prune = False,
    yes: Yes = False,
) -> None:
    """Give the photos of an archive a style: those that are new or changed since the last time.

    Results keep the folders and names of their photos, below OUTPUT/images/. OUTPUT/index.parquet lists which photo
    became what. --rate and --price are for --dry-run, --json for that and for --prune.

    Example: nst archive 's3://photos/**/*.jpg' --style starry.jpg --output s3://stylised --set size=1024
    """
    from pipeline.specs import fields_with_options, job_of, options_of

    if "output" not in given:
        raise ValueError("--output is missing: expected a folder, any URI")
    selection = {parameter.name: given[parameter.name] for parameter in _SELECTION if parameter.name in given}
    fields = {"kind": "archive", "name": "archive", "photos": photos, "styles": _job.named(style), **selection}
    chosen = parameters.chosen
    job = job_of(fields_with_options(fields, given, chosen.values))
    options = options_of(job, **_job.only_for_runs(given, chosen))
    if yes and not prune:
        raise ValueError("--yes: expected --prune with it")
    if prune:
        _prune(job, options, yes=yes and not how.dry_run, as_json=costs.as_json)
    _job.compute(job, options, how, costs, shown=ctx.obj)


def _prune(job: "JobFile", options: "RunOptions", *, yes: bool, as_json: bool) -> NoReturn:
    """List results whose photos are gone, delete them if that is wanted, and end the command."""
    from pipeline.archives import leftovers, prune
    from pipeline.specs import ArchiveJob

    assert isinstance(job, ArchiveJob)
    gone = leftovers(job, options)
    if as_json:
        listed = [{"output_name": one.output_name, "original": one.original} for one in gone]
        deleted = prune(job, options, gone) if gone and yes else 0
        out.out(json.dumps({"gone": listed, "deleted": deleted}), highlight=False)
        raise typer.Exit(ExitCode.OK)
    for one in gone:
        out.print(f"{one.output_name}: {one.original} is gone", markup=False, highlight=False, soft_wrap=True)
    counts = f"{counted(len(gone), 'result')} of photos that are gone"
    if gone and yes:
        out.print(f"{counts}: {prune(job, options, gone):,} deleted.", highlight=False)
    else:
        out.print(f"{counts}." + (" Nothing is deleted: --prune --yes does it." if gone else ""), highlight=False)
    raise typer.Exit(ExitCode.OK)
