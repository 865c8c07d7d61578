"""`nst`: the command line."""

import functools
import inspect
import io
import itertools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from jobs.commands import Place, group_of, unfolded
from jobs.console import (
    FORMAT_VARIABLE,
    PrintableFormatter,
    Shown,
    StderrHandler,
    complain,
    err,
    json_lines,
    logs_json,
    show_traceback,
)
from jobs.ending import leave
from jobs.exit_codes import ExitCode

PANELS = {
    "One pair": {"stylize": "stylize"},
    "Before a run": {"init": "init", "validate": "validate", "plan": "plan", "params": "params", "schema": "schema"},
    "A run": {"run": "run", "archive": "archive", "grid": "grid"},
    "After it": {"results": "results", "report": "report", "compare": "compare", "retry": "retry"},
    "On a cluster": {
        **dict.fromkeys(("submit", "status", "logs", "cancel", "jobs"), "cluster"),
        "render": "render",
    },
    "This installation": {"doctor": "selftest", "selftest": "selftest", "weights": "weights"},
}
"""By panel of the help, in the order of use: the commands and the files of `jobs/commands/` that they are in."""


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


COMMANDS = {name: Place(panel, module) for panel, modules in PANELS.items() for name, module in modules.items()}

app = typer.Typer(
    cls=group_of(COMMANDS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=unfolded("""Neural style transfer (Gatys, Ecker, Bethge 2015) for whole archives, on Ray Data.

    A manifest lists pairs of pictures; a run gives each content the style of its partner.

    One pair:       [bold]nst stylize[/bold] photo.jpg painting.jpg -o out.png

    Before a run:   [bold]nst validate[/bold] pairs.csv, [bold]nst plan[/bold] pairs.csv --set size=512

    A job file:     [bold]nst init[/bold] archive photos --style night.png --output stylised

    A run:          [bold]nst run[/bold] pairs.csv --output out --set size=512

    Again, nightly: [bold]nst run[/bold] job.yaml, [bold]nst archive[/bold], [bold]nst grid run[/bold] grid.yaml

    After it:       [bold]nst results[/bold] out --status failed, [bold]nst retry[/bold] out --failed

    On a cluster:   [bold]nst submit[/bold] job.yaml --follow, [bold]nst status[/bold]

    Every command's --help has an example. --debug, --verbose and --quiet may stand behind a command too, and options
    of runs may be given as NST_NAME in the environment.
    """),
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from nst_kernel.version import ALGORITHM_VERSION

        typer.echo(f"nst {version('nst-pipeline')}, algorithm {ALGORITHM_VERSION}")
        raise typer.Exit


@app.callback()
def main_options(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log lines.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show log lines.")] = False,
    quiet: Annotated[bool, typer.Option(help="Show errors alone while a run goes and at its end.")] = False,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            help="Of log lines. json: one event a line on standard error, by OpenTelemetry's names, in the place of "
            "progress and summary.",
            envvar=FORMAT_VARIABLE,
        ),
    ] = LogFormat.TEXT,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the versions of nst and of its algorithm.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Set up logging, which the packages themselves never do."""
    if log_format is LogFormat.JSON:
        ctx.obj = Shown(debug=debug, quiet=True)
        json_lines.begin(logging.DEBUG if debug else logging.INFO)
        return
    ctx.obj = Shown(debug=debug, quiet=quiet)
    handler = StderrHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.ERROR
    handler.setLevel(level)
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(True)


def everywhere() -> dict[str, bool]:
    """Return the options that every command takes, before its name and behind it: those of `main_options`.

    Returns:
        By name, whether a value follows.
    """
    own = inspect.signature(main_options).parameters
    options = [option for option in typer.main.get_command(app).params if option.name in own]
    return {
        name: not getattr(option, "is_flag", False)
        for option in options
        for name in (*option.opts, *option.secondary_opts)
    }


def in_front(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with the options that every command takes in front of the command."""
    takes_value, ours, others = everywhere(), list[str](), list[str]()
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if word == "--":
            others += [word, *rest]
        elif name not in takes_value:
            others.append(word)
        else:
            ours += [word, *itertools.islice(rest, takes_value[name] and not equals)]
    return [*ours, *others]


def main() -> None:
    """Run the command line: an error is one clear line, with `--debug` a traceback before it."""
    sys.excepthook = show_traceback
    words = in_front(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of Latin-1 lacks letters that names of files may have
            stream.reconfigure(errors="backslashreplace")
    act: Callable[[list[str]], Any] = app
    try:
        if given := _log_format(words):
            os.environ[FORMAT_VARIABLE] = given  # where all else looks for it, workers of this machine too
        if logs_json():
            json_lines.begin()
            act = functools.partial(app, standalone_mode=False)  # or it would print what is wrong with the words
        sys.exit(act(words) or ExitCode.OK)
    except SystemExit as end:
        leave(end.code)
    except Exception as error:
        if "--debug" in words:
            show_traceback(type(error), error, error.__traceback__)
        complain(err, _in_a_line(error))
        sys.exit(getattr(error, "exit_code", ExitCode.NOTHING_STARTED))


def _log_format(words: Sequence[str]) -> str:
    """Return the format of logs that the words of a command line give, the last one; empty where they give none."""
    named = [(*word.partition("=")[::2], following) for word, following in itertools.pairwise([*words, ""])]
    given = [value or following for name, value, following in named if name == "--log-format"]
    return given[-1] if given and given[-1] in list(LogFormat) else ""  # what it is not is refused later


def _in_a_line(error: Exception) -> str:
    """Return what an error says, and its kind where that is none of ours."""
    from pipeline.storage import StorageError

    if callable(said := getattr(error, "format_message", None)):  # of what is wrong with the words themselves
        return str(said())
    if isinstance(error, ValueError | StorageError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}. `nst --debug …` says more."


if __name__ == "__main__":
    main()
