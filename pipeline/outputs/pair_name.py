"""What a row is called among people: by its pictures, and by where it was requested."""

from collections.abc import Mapping
from typing import Any

from pipeline import storage
from pipeline.manifest import PICTURE_COLUMNS, each_of, is_derived, place


def pair_name(row: Mapping[str, Any]) -> str:
    """Return the names of a row's pictures and where it was requested: `cat.jpg × night.png, pairs.csv, line 3`.

    Args:
        row: of the results, or as much of it as there is. An id that somebody gave stands in front.
    """
    id = str(row.get("id") or "")
    uris = [row[role] for role in PICTURE_COLUMNS if row.get(role)]
    pictures = " × ".join(" + ".join(map(file_name, each_of("style", str(each)))) for each in uris)
    words = ([] if is_derived(id) or not id else [id]) + ([pictures] if pictures else [])
    if row.get("manifest") and row.get("manifest_row"):
        words.append(place(file_name(str(row["manifest"])), int(row["manifest_row"])))
    return ", ".join(words) or id


def file_name(uri: str) -> str:
    """Return the last part of a path or URI, without what signs it."""
    return storage.without_query(uri).rstrip("/").rpartition("/")[2]
