"""Rows of results as a manifest that requests them again."""

import json
from collections.abc import Mapping

import pyarrow as pa

from pipeline.manifest import PICTURE_COLUMNS, former_output

REQUEST_COLUMNS = (
    *("id", *PICTURE_COLUMNS, "params", "output_name"),
    *("encoder", "encoder_sha256", "manifest", "manifest_row"),
)
"""Columns of results that hold what was requested: enough to compute a row again."""


def as_manifest(table: pa.Table) -> str:
    """Return rows of results as a manifest, JSON Lines.

    Every parameter is in it, so that no default that changed meanwhile makes other rows of them.

    Args:
        table: with `REQUEST_COLUMNS`.
    """
    lines = []
    for request in table.to_pylist():
        row = {name: request[name] for name in ("id", *PICTURE_COLUMNS) if request[name]}
        row["output"] = name_of(request)
        row["params"] = json.loads(request["params"])
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def name_of(request: Mapping[str, object]) -> str:
    """Return the name of a row's picture below images/; results of the first schema lack it for failed rows."""
    return str(request["output_name"] or former_output(str(request["id"])))
