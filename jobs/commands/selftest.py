"""`nst selftest`: whether all is well here, and with `--chaos` whether anything is lost when things go wrong."""

import contextlib
import dataclasses
import json
import os
import random
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.console import err, logs_json, out, remark
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import run_options, takes

if TYPE_CHECKING:
    from rich.table import Table

    from jobs.selftest import Harness, Outcome


Scratch = Annotated[
    str | None,
    typer.Option("--output", "-o", help="Scratch folder that all machines reach, any URI; by default one here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="A JSON object for each check or scenario instead.")]


@takes(run_options(only=("weights", "address")))
@explains_exit_codes("selftest")
def selftest(
    ctx: typer.Context,
    given: dict[str, Any],
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Kill, refuse and spoil things; see whether a row is lost.")
    ] = False,
    output: Scratch = None,
    repeat: Annotated[int, typer.Option(min=1, help="With --chaos: times that each fault is played.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="With --chaos: only faults whose name has this in it; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="With --chaos: of the moments at which faults strike.")] = 0,
    as_json: AsJson = False,
) -> None:
    """See with a few small runs whether encoder, devices and storage work.

    With --chaos drivers, actors and rows die, storage fails and pictures are broken, and a table says how many rows
    were lost, are in the results twice, or were computed again; of a cluster only the test's own processes are killed.
    That takes some minutes.

    Example: nst selftest --chaos --address auto --output s3://bucket/scratch
    """
    address, weights = given.get("address"), given.get("weights", "embedded")
    with _tested(ctx, address, output) as test:
        if chaos:
            test.well = _chaos(test.scratch, address, only or [""], repeat=repeat, seed=seed, as_json=as_json)
        else:
            test.well = _checks(test.scratch, address, weights, as_json=as_json)


@takes(run_options(only=("weights", "address")))
@explains_exit_codes("doctor")
def doctor(ctx: typer.Context, given: dict[str, Any], output: Scratch = None, as_json: AsJson = False) -> None:
    """See with a small run whether encoder, devices and storage work, as `nst selftest` does without --chaos.

    Example: nst doctor --address auto --output s3://bucket/scratch
    """
    address, weights = given.get("address"), given.get("weights", "embedded")
    with _tested(ctx, address, output) as test:
        test.well = _checks(test.scratch, address, weights, as_json=as_json)


@dataclasses.dataclass
class _Test:
    """A test in a scratch folder, which is kept unless all is well."""

    scratch: str
    well: bool = False


@contextlib.contextmanager
def _tested(ctx: typer.Context, address: str | None, output: str | None) -> Iterator[_Test]:
    """Make a scratch folder for a test, and end the command with what it came to."""
    from pipeline.process import native_stderr_hidden

    if address not in (None, "local") and not output:
        raise ValueError("--address: give --output too, a scratch folder that every machine of the cluster reaches")
    with native_stderr_hidden(unless=ctx.obj.debug and not logs_json()), _scratch(output) as scratch:
        test = _Test(scratch)
        yield test
        if not test.well:
            remark(err, f"Look at what is left: {scratch}")
            raise typer.Exit(ExitCode.PROBLEMS)


@contextlib.contextmanager
def _scratch(output: str | None) -> Iterator[str]:
    """Make an empty folder that is deleted unless the test fails."""
    from pipeline import storage

    home = storage.join(storage.absolute(output or tempfile.mkdtemp()), f"nst-selftest-{uuid.uuid4().hex[:8]}")
    yield home
    for uri in storage.list_files(home):
        storage.remove(uri)


def _checks(home: str, address: str | None, weights: str, *, as_json: bool) -> bool:
    """Run the quick checks, print each, and return whether all are well."""
    from jobs.selftest import findings

    well = True
    for finding in findings(home, address=address, weights=weights):
        well &= finding.ok
        if as_json:
            print(json.dumps(dataclasses.asdict(finding)))
            continue
        verdict = "[green]ok[/green]" if finding.ok else "[bold red]not ok[/bold red]"
        out.print(f"{finding.check:8} {verdict}: ", end="", highlight=False)
        out.print(finding.found, markup=False, highlight=False, soft_wrap=True)
    return well


def _chaos(home: str, address: str | None, only: Sequence[str], *, repeat: int, seed: int, as_json: bool) -> bool:
    """Inject each fault, print what became of the rows, and return whether none was lost."""
    from jobs.selftest import FAULTS, Harness, connect

    names = [name for name in FAULTS if any(part in name for part in only)]
    if not names:
        raise ValueError(f"--only {', '.join(only)}: expected a part of one of {', '.join(FAULTS)}")
    harness = Harness(home, connect(address), random.Random(seed))
    harness.draw_pictures()
    played: dict[str, list[Outcome]] = {}
    for name in names:
        for time in range(repeat):
            if not as_json and out.is_terminal:
                out.print(f"[dim]{name}, {time + 1} of {repeat} …[/dim]", highlight=False)
            outcome = _play(name, harness)
            played.setdefault(name, []).append(outcome)
            if as_json:
                print(json.dumps({"fault": name, "ok": outcome.ok, **dataclasses.asdict(outcome)}), flush=True)
            elif not outcome.ok:
                for trouble in outcome.wrong:
                    remark(err, f"{name}: {trouble}")
    if not as_json:
        out.print(_table(played))
    return all(outcome.ok for outcomes in played.values() for outcome in outcomes)


def _play(name: str, harness: "Harness") -> "Outcome":
    """Inject a fault once, and return the outcome of its scenario, also if that breaks off."""
    from jobs.selftest import FAULTS, Outcome

    try:
        # Ray tells of each death on stdout.
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            return FAULTS[name](harness)
    except Exception as error:
        return Outcome(rows=0, wrong=(f"broke off: {type(error).__name__}: {error}",))


def _table(played: "dict[str, list[Outcome]]") -> "Table":
    """Return a table of faults with the rows that each lost, duplicated or computed again."""
    from rich.table import Table

    table = Table(title_justify="left", show_edge=False)
    table.add_column("fault")
    for name in ("runs", "struck", "rows", "lost", "twice", "computed again", "in flight"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("")
    for name, outcomes in played.items():
        sums = [
            sum(getattr(outcome, figure) for outcome in outcomes)
            for figure in ("strokes", "rows", "lost", "duplicated", "recomputed", "in_flight")
        ]
        well = all(outcome.ok for outcome in outcomes)
        verdict = "[green]held[/green]" if well else "[bold red]broken[/bold red]"
        table.add_row(name, str(len(outcomes)), *(f"{figure:,}" for figure in sums), verdict, outcomes[-1].note)
    return table
