"""`nst init`: a commented job file, with the paths that are given and every field that there is."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.console import out


def init(
    kind: Annotated[Literal["manifest", "archive", "grid"], typer.Argument(help="What the job computes.")] = "manifest",
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Manifests; or the folder or pattern of photos; or the content pictures of a grid."),
    ] = None,
    style: Annotated[list[str] | None, typer.Option(help="A style picture of an archive or grid; repeatable.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for pictures and results, any URI.")] = "output",
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write; by default KIND.yaml; - prints it.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
) -> None:
    """Write a job file with your own paths, in which every field is explained.

    Example: nst init archive photos --style styles/night.png --output stylised
    """
    from jobs.template import template

    file = to or Path(f"{kind}.yaml")
    text = template(kind, inputs or [], style or [], output)
    if str(file) == "-":
        out.out(text, highlight=False, end="")
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise ValueError(f"{file} exists: expected another name (--to FILE), or --force to write over it") from None
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}: expected a file that can be written, as --to FILE") from None
    then = "grid run" if kind == "grid" else "run"
    for line in (f"{file} is written.", f"Look at it, then: nst plan {file}", f"And then:         nst {then} {file}"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
