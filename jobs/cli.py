"""`nst`: the command line."""

import io
import logging
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from jobs.commands import (
    archive,
    cluster,
    compare,
    grid,
    params,
    plan,
    report,
    results,
    retry,
    run,
    schema,
    selftest,
    stylize,
    validate,
    weights,
)
from jobs.console import PrintableFormatter, complain, err, show_traceback
from jobs.exit_codes import ExitCode

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Neural style transfer (Gatys, Ecker, Bethge 2015) for whole archives, on Ray Data.

    A manifest lists pairs of pictures; a run gives each content the style of its partner.

    One pair:       [bold]nst stylize[/bold] photo.jpg painting.jpg -o out.png

    Before a run:   [bold]nst validate[/bold] pairs.csv, [bold]nst plan[/bold] pairs.csv --set size=512

    A run:          [bold]nst run[/bold] pairs.csv --output out --set size=512

    Again, nightly: [bold]nst run[/bold] job.yaml, [bold]nst archive[/bold], [bold]nst grid run[/bold] grid.yaml

    After it:       [bold]nst results[/bold] out --status failed, [bold]nst retry[/bold] out --failed

    On a cluster:   [bold]nst submit[/bold] job.yaml --follow, [bold]nst status[/bold]

    Every command's --help has an example.
    """,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from nst_kernel import ALGORITHM_VERSION

        typer.echo(f"nst {version('nst-pipeline')}, algorithm {ALGORITHM_VERSION}")
        raise typer.Exit


@app.callback()
def main_options(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log lines.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the versions of nst and of its algorithm.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Set up logging, which the packages themselves never do."""
    ctx.obj = debug
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, handlers=[handler])
    logging.captureWarnings(True)


def _add(panel: str, *commands: Callable[..., Any]) -> None:
    for command in commands:
        app.command(rich_help_panel=panel)(command)


# In the order of use, which is that of the help.
_add("One pair", stylize.stylize)
_add("Before a run", validate.validate, plan.plan, params.params, schema.schema)
_add("A run", run.run, archive.archive)
app.add_typer(grid.app, name="grid", rich_help_panel="A run")
_add("After it", results.results, report.report, compare.compare, retry.retry)
cluster.add_to(app)
_add("This installation", selftest.doctor, selftest.selftest)
app.add_typer(weights.app, name="weights", rich_help_panel="This installation")


def main() -> None:
    """Run the command line: an error is one clear line, with `--debug` a traceback."""
    from pipeline.storage import StorageError

    sys.excepthook = show_traceback
    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of Latin-1 lacks letters that names of files may have
            stream.reconfigure(errors="backslashreplace")
    act: Callable[[], Any] = app
    try:
        act()
    except (ValueError, StorageError) as error:
        if debug:
            raise
        complain(err, str(error))
        sys.exit(ExitCode.NOTHING_STARTED)
    except Exception as error:
        if debug:
            raise
        complain(err, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}. `nst --debug …` says more.")
        sys.exit(ExitCode.NOTHING_STARTED)


if __name__ == "__main__":
    main()
