"""`make gallery`: a sheet of pictures for each control, with nothing to download.

Contents and styles are drawn by the project; transfers are made in this process.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from jobs.console import out as console
from jobs.gallery.render import rendered
from jobs.gallery.sheets import SHEETS
from nst_kernel import load_weights

FOLDER = Path("gallery")

_NAMES = ", ".join(sheet.name for sheet in SHEETS)


def main(
    only: Annotated[list[str] | None, typer.Argument(help=f"Names of sheets: {_NAMES}; none: all.")] = None,
    weights: Annotated[list[str] | None, typer.Option(help="Encoders besides the embedded one.")] = None,
    output: Annotated[Path, typer.Option(help="The folder to write PNG files into.")] = FOLDER,
) -> None:
    """Make the sheets, embedded encoder first, and print where they are and what each cost."""
    if unknown := set(only or ()) - {sheet.name for sheet in SHEETS}:
        raise typer.BadParameter(f"no sheet named {', '.join(sorted(unknown))}; there are {_NAMES}")
    chosen = [sheet for sheet in SHEETS if not only or sheet.name in only]
    began, used = time.monotonic(), time.process_time()
    for source in ("embedded", *(weights or ())):
        loaded = load_weights(source)
        folder = output / Path(source).stem
        folder.mkdir(parents=True, exist_ok=True)
        for sheet in chosen:
            before = time.process_time()
            path = folder / f"{sheet.name}.png"
            rendered(sheet, loaded).save(path)
            console.print(f"{path}  {time.process_time() - before:.0f} s of CPU", highlight=False, soft_wrap=True)
    console.print(f"{time.monotonic() - began:.0f} s, {time.process_time() - used:.0f} s of CPU", highlight=False)


if __name__ == "__main__":
    typer.run(main)
