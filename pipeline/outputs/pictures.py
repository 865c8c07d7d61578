"""The pictures that rows of results name, which may have been written by somebody else and are not trusted."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import layout, storage
from pipeline.manifest import PICTURE_COLUMNS, bad_output
from pipeline.outputs.table import parts, read_results


def picture_of(output: str, row: Mapping[str, Any]) -> str | None:
    """Return the URI of the picture of a row of results, in an output that may have been copied since.

    Args:
        output: of the run.
        row: with `output_name`, and with `output` for results of the first schema, which lack it.

    Returns:
        None where the row names no picture, or none that a manifest could name: it would lie outside of images/.
    """
    name = row.get("output_name") or name_within(output, str(row.get("output") or ""))
    return None if not name or any(bad_output(name)) else layout.picture_file(output, name)


def name_within(output: str, uri: str) -> str:
    """Return the name below images/ of a picture whose URI is known, wherever its output was when it was written."""
    folder = layout.images_folder(output) + "/"
    return uri.removeprefix(folder) if uri.startswith(folder) else uri.rpartition("/images/")[2]


def inputs_among_pictures(output: str) -> Iterator[str]:
    """Yield the URIs of contents and styles below images/ that rows of the results read and none of them has written.

    Such a picture is a user's own, and rows that were computed before need it as it is. A picture that `init` names is
    not looked for: the parameters of a million rows would take a gigabyte.

    Raises:
        StorageError: if the results cannot be read.
    """
    if not parts(output):
        return
    table = read_results(output, columns=[*PICTURE_COLUMNS, "output_name"], ordered=False)
    places, images = storage.Places(), storage.canonical(layout.images_folder(output))
    inside: list[str] = []
    for column in (table[name] for name in PICTURE_COLUMNS):
        folders = pc.replace_substring_regex(column, "/[^/]*$", "/")
        near = [each for each in folders.unique().to_pylist() if each and storage.is_within(places(f"{each}x"), images)]
        inside += column.filter(pc.is_in(folders, pa.array(near, pa.string()))).to_pylist()
    if inside:
        made = {places(layout.picture_file(output, name)) for name in table["output_name"].to_pylist() if name}
        yield from (uri for uri in inside if places(uri) not in made)
