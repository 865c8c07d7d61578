"""`nst compare`: what got worse from one run to the next."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.console import err, go_without_pandas, out, remark
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import ACCESS, run_options, takes
from pipeline.words import counted

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.comparison import Change, Comparison


@takes(run_options(only=ACCESS))
@explains_exit_codes("compare")
def compare(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Argument(help="Output of the older run; or a grid's folder, for its latest run; or FOLDER@previous.")
    ],
    after: Annotated[str, typer.Argument(help="Output of the newer run; likewise.")],
    given: dict[str, Any],
    loss: Annotated[str, typer.Option(metavar="P%", help="A final loss may rise by so much.")] = "5%",
    time: Annotated[str, typer.Option(metavar="P%", help="The time of a row may rise by so much, and 1 s.")] = "50%",
    ssim: Annotated[
        float, typer.Option(min=-1, max=1, help="Similarity (SSIM) that the pictures must have; -1: any.")
    ] = 0.8,
    psnr: Annotated[float, typer.Option(min=0, help="Similarity (PSNR, dB) that they must have; 0: any.")] = 0.0,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown at most; 0: all.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    report: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Also write the newer run's report, with both side by side.")
    ] = None,
) -> None:
    """Compare a run with an older one: losses, time and pictures of the rows that both have.

    Rows meet by their pictures and by the parameters that vary within a run, so that a changed default joins them
    all the same, and is shown.

    Example: nst compare nights/2026-01-01 nights/2026-01-02 --loss 2% --ssim 0.9

    Example: nst compare grid@previous grid --report report
    """
    go_without_pandas()
    from pipeline.comparison import Thresholds
    from pipeline.comparison import compare as compare_runs
    from pipeline.outputs import run_of

    thresholds = Thresholds(loss=share("--loss", loss), seconds=share("--time", time), ssim=ssim, psnr=psnr)
    with err.status("Comparing …") as status:
        comparison = compare_runs(
            run_of(before),
            run_of(after),
            thresholds=thresholds,
            on_progress=lambda done, total: status.update(f"Comparing … {done:,} of {counted(total, 'row')}"),
        )
    if as_json:
        out.out(json.dumps(as_object(comparison), default=str, allow_nan=False), highlight=False)
    else:
        show(comparison, limit=limit)
    if report:
        _write_report(comparison, report)
    if comparison.worse:
        raise typer.Exit(ExitCode.PROBLEMS)


def _write_report(comparison: "Comparison", to: str) -> None:
    """Write the newer run's report, with the pictures of both runs, and print where it is."""
    from pipeline.report import write_report

    page = write_report(comparison.after, to=to, comparison=comparison)
    remark(err, f"Report: {page}")


def share(option: str, text: str) -> float:
    """Read a share from a percentage: 0.05 from `5%`.

    Raises:
        ValueError: for anything else.
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not percent or rest or not 0 <= value < math.inf:
        raise ValueError(f"{option} {text}: expected a percentage, such as 5%")
    return value / 100


def show(comparison: "Comparison", *, limit: int) -> None:
    """Print what changed, worst first, and a summary line."""
    from rich.markup import escape

    if comparison.settings:
        out.print(_settings(comparison.settings))
    for rows, title in ((comparison.worse, "what got worse"), (comparison.changed, "what changed, and is not worse")):
        shown = rows[:limit] if limit else rows
        if shown:
            out.print(_changes(shown, title))
        if len(rows) > len(shown):
            out.print(f"… and {len(rows) - len(shown):,} more: --limit 0 shows all, --json has everything")
    for note, count in notes(comparison.changes):
        out.print(f"{counted(count, 'row')}: {escape(note)}", highlight=False)
    out.print(escape(summary(comparison)), style="bold red" if comparison.worse else "bold green", highlight=False)


def summary(comparison: "Comparison") -> str:
    """Return the result of a comparison as one line."""
    equal = sum(change.psnr == math.inf for change in comparison.changes)
    total = counted(len(comparison.changes), "row")
    words = [f"{len(comparison.worse):,} of {total} got worse" if comparison.worse else "Nothing got worse"]
    words += [f"{len(comparison.changed):,} changed: another picture, of a lower loss"] if comparison.changed else []
    words += [] if comparison.worse else [f"{total} compared"]
    words += [f"{counted(equal, 'picture')} {'is' if equal == 1 else 'are'} the same to the pixel"] if equal else []
    words += [f"{counted(len(comparison.only_before), 'row')} only before"] if comparison.only_before else []
    words += [f"{counted(len(comparison.only_after), 'row')} only after"] if comparison.only_after else []
    return ", ".join(words) + "."


def notes(changes: Sequence["Change"]) -> list[tuple[str, int]]:
    """Return the notes on rows with their number of rows, the ten most frequent ones, most frequent first."""
    from collections import Counter

    return Counter(note for change in changes for note in change.notes).most_common(10)


def as_object(comparison: "Comparison") -> dict[str, Any]:
    """Return a comparison as JSON types; equal pictures have no PSNR, since JSON has no infinity."""
    said = dataclasses.asdict(comparison) | {
        "summary": {
            "rows": len(comparison.changes),
            "worse": len(comparison.worse),
            "changed": len(comparison.changed),
            "equal_pictures": sum(change.psnr == math.inf for change in comparison.changes),
        }
    }
    for change, plain in zip(comparison.changes, said["changes"], strict=True):
        plain["same_picture"] = None if change.psnr is None else change.psnr == math.inf
    cleaned = _finite(said)
    assert isinstance(cleaned, dict)
    return cleaned


def _finite(value: object) -> object:
    """Return a value with None for infinities and NaN."""
    if isinstance(value, Mapping):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _settings(settings: Mapping[str, tuple[Any, Any]]) -> "Table":
    """Return a table of the settings that differ between the runs."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "before", "after", show_edge=False)
    for name, values in settings.items():
        table.add_row(escape(name), *(escape(_text(value)) for value in values))
    return table


def _changes(changes: Sequence["Change"], title: str) -> "Table":
    """Return a table of rows, with sentences about what became of each under a title."""
    from rich.markup import escape
    from rich.table import Column, Table

    right = [Column(name, justify="right", no_wrap=True) for name in ("loss", "time", "SSIM", "PSNR")]
    table = Table(Column("row", overflow="fold"), *right, Column(title, overflow="fold"), show_edge=False)
    for change in changes:
        table.add_row(
            escape(_row(change.key)),
            _times(change.loss_ratio),
            _times(change.seconds_ratio),
            "" if change.ssim is None else f"{change.ssim:.3f}",
            "" if change.psnr is None else f"{change.psnr:.1f}",
            escape("\n".join([*change.worse, *change.changed])),
        )
    return table


def _row(key: Mapping[str, Any]) -> str:
    """Return a row as text: its pictures, and the parameters that vary."""
    from pipeline.manifest import PICTURE_COLUMNS, each_of

    named = [uri for name in PICTURE_COLUMNS for uri in each_of(name, key[name])]
    pictures = " + ".join(uri.rpartition("/")[2] for uri in named)
    parameters = [f"{name}={_text(value)}" for name, value in key.items() if name not in PICTURE_COLUMNS]
    return " ".join([pictures, *parameters])


def _times(ratio: float | None) -> str:
    """Return a ratio as a factor; empty for None."""
    return "" if ratio is None else f"× {ratio:.3g}"


def _text(value: object) -> str:
    """Return a value of a setting as text."""
    if value is None:
        return "—"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
