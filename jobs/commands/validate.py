"""`nst validate`."""

from typing import Annotated

import typer

from jobs.commands import _job
from jobs.commands._job import every_problem_listed
from jobs.console import out
from jobs.options import Defaults, Settings, Weights, parameters


def validate(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    defaults: Defaults = None,
    settings: Settings = [],
    weights: Weights = "embedded",
) -> None:
    """List every problem of a manifest, with row, column, value and what was expected. Starts nothing.

    Example: nst validate pairs.csv --set preset=gatys2015
    """
    from pipeline.manifest import validate as validate_manifest

    with every_problem_listed():
        if job := _job.job_from(ctx, manifest, parameters(defaults, settings)):
            _job.validate(job)
        asked = validate_manifest(manifest, defaults=parameters(defaults, settings), weights=weights)
    for repeat in asked.duplicates:
        out.print(f"{repeat.file}, row {repeat.number}: repeats row {repeat.id}", markup=False, highlight=False)
    repeats = f", {len(asked.duplicates):,} more repeat them and are computed once" if asked.duplicates else ""
    out.print(f"{len(asked.rows):,} rows are valid{repeats}.", highlight=False)
