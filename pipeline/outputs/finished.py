"""The rows of an output that an earlier run has done already."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs.pairs import Pairs, whole
from pipeline.outputs.pictures import name_within
from pipeline.outputs.table import parts, read_results
from pipeline.process import garbage

_COLUMNS = ("id", "fingerprint", "status", "output_name", "frames", "animation", "run")


@dataclass(frozen=True)
class Finished:
    """Rows that need no repeating.

    Attributes:
        fingerprints: by id, of rows that are `ok` or `diverged`.
        owners: id by the name of the picture below images/, of rows that are `ok` or `diverged`.
        quarantined: fingerprints by id, of rows that are tried again only by `nst retry`.
        runs: number of the last run that left results; 0 if none did.
        framed: by id, of rows with pictures on the way, the format of the animation of them; empty: there is none.
    """

    fingerprints: Mapping[str, str]
    owners: Mapping[str, str]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    framed: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0


def finished(output: str) -> Finished:
    """Return the rows that are done in an output; none where there are no results yet.

    Raises:
        StorageError: if the results cannot be read.
    """
    if not parts(output):
        return Finished({}, {})
    done = _finished(output)
    garbage.give_back()  # half of what reading a million rows took
    return done


def _finished(output: str) -> Finished:
    """Return the rows that are done in an output that has results."""
    table = read_results(output, columns=_COLUMNS, ordered=False)
    if table["output_name"].null_count:  # rows of the first schema have none
        table = read_results(output, columns=[*_COLUMNS, "output"])
    done = table.filter(pc.is_in(table["status"], pa.array(["ok", "diverged"])))
    held = table.filter(pc.equal(table["status"], "quarantined"))
    framed = done.filter(pc.greater(pc.list_value_length(done["frames"]), 0))
    names = done["output_name"]
    if names.null_count:
        pictures = zip(names.to_pylist(), done["output"].to_pylist(), strict=True)
        names = pa.array([name or name_within(output, str(uri)) for name, uri in pictures])
    ids = whole(done["id"])  # one column for both
    return Finished(
        Pairs(ids, done["fingerprint"], distinct=True),
        Pairs(names, ids),
        dict(zip(held["id"].to_pylist(), held["fingerprint"].to_pylist(), strict=True)),
        dict(zip(framed["id"].to_pylist(), (format or "" for format in framed["animation"].to_pylist()), strict=True)),
        pc.max(table["run"]).as_py() or 0,
    )
