"""`nst schema`: the JSON Schema of job files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobs.console import out


def schema(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; by default it is printed.")] = None,
) -> None:
    """Print the JSON Schema of job files, with which editors complete and check them.

    Example: nst schema job.schema.json, and in the job file: # yaml-language-server: $schema=job.schema.json
    """
    from pipeline.specs import schema as schema_of_jobs

    text = json.dumps(schema_of_jobs(), indent=2) + "\n"
    if file:
        file.write_text(text, encoding="utf-8")
    else:
        out.out(text, highlight=False, end="")
