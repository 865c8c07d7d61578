"""Rows of results as a manifest."""

import json

import pyarrow as pa

from pipeline.manifest import PICTURE_COLUMNS, default_output

COLUMNS = ("id", *PICTURE_COLUMNS, "params", "output_name", "encoder", "encoder_sha256", "manifest", "manifest_row")
"""What makes a row of results work again."""


def as_manifest(table: pa.Table) -> str:
    """Rows as a manifest, JSON Lines: every parameter is there, so that no default changes them."""
    lines = []
    for asked in table.to_pylist():
        row = {name: asked[name] for name in ("id", *PICTURE_COLUMNS) if asked[name]}
        row["output"] = name_of(asked)
        row["params"] = json.loads(asked["params"])
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def name_of(asked: dict[str, object]) -> str:
    """Of the picture; results of older versions do not say it of failed rows."""
    return str(asked["output_name"] or default_output(str(asked["id"])))
