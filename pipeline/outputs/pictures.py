"""The pictures of rows: written over nothing that is a user's, and found by results, which are not trusted."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import images, layout, storage
from pipeline.images import ImageError
from pipeline.manifest import PICTURE_COLUMNS, SEVERAL, bad_output, each_of
from pipeline.outputs.table import parts, read_results
from pipeline.storage import NotFound, StorageError

_LOOKS = 3
"""How often a picture that changes between a look and the write is looked at, before its row fails."""


class OutputTaken(Exception):
    """Raised where the name of a row's picture belongs to a file that is not known to be of a run of the output."""


def write_picture(output: str, name: str, data: bytes, *, id: str, owned: bool) -> str:
    """Write the picture of a row, and return its URI; nothing is written over a file that may be a user's.

    What may be written over is a picture that the results of the output give to the row, and one that carries the id of
    the row, as it does where a run crashed between a picture and its row of results. A new picture takes one request:
    the store itself refuses it where there is a file.

    Args:
        output: of the run.
        name: of the picture, below images/.
        data: its bytes.
        id: of the row.
        owned: whether the results say that the picture there is the row's.

    Raises:
        OutputTaken: if there is another file, or a link.
        StorageError: if the picture cannot be written, or a link to a folder leads it out of images/.
    """
    uri = layout.picture_file(output, name)
    storage.check_inside(uri, layout.images_folder(output))
    if owned:
        storage.write_bytes(uri, data)
    else:
        write_own(uri, data, id=id)
    return uri


def write_own(uri: str, data: bytes, *, id: str) -> None:
    """Write a picture that carries the id of a row, over nothing but one that carries it too.

    Raises:
        OutputTaken: if there is another file, or a link.
        StorageError: if it cannot be written.
    """
    replaces: str | None = None
    for _ in range(1 + _LOOKS):
        if storage.write_if(uri, data, replaces=replaces):
            return
        there = _own(uri, id)
        if there and there[1] == data:  # it was written, and the store's answer was lost
            return
        replaces = there and there[0]
    raise StorageError(f"cannot write {uri}: it changes again and again: stop what else writes there, and try again")


def _own(uri: str, id: str) -> tuple[str, bytes] | None:
    """Return the identity and the bytes of a picture that carries the id of a row; None where there is no file.

    Raises:
        OutputTaken: if it does not carry the id, or is a link, which no run leaves.
        StorageError: if it cannot be read.
    """
    try:
        is_own = False
        if not storage.is_link(uri):
            identity = storage.identity(uri)
            data = storage.read_bytes(uri)
            is_own = images.read_metadata(data).get("id") == id
    except NotFound:
        return None
    except ImageError:
        pass
    if is_own:
        return identity, data
    raise OutputTaken(
        f"{uri} is there already, and was not written by a run of this output, as far as its results and the file "
        "itself tell: move it away, or give the row another output name or the job another output"
    )


def find_picture(output: str, row: Mapping[str, Any]) -> str:
    """Return the URI of the picture of a row of results, to be read, in an output that may have been copied since.

    Args:
        output: of the run.
        row: with `output_name`, and with `output` for results of the first schema, which lack it.

    Raises:
        StorageError: if the row names no picture, or none that a manifest could name, or if a link leads out of
            images/: whoever put it there may read less than whoever reads the results.
    """
    name = row.get("output_name") or name_within(output, str(row.get("output") or ""))
    if not name or any(bad_output(name)):
        raise StorageError("the results name no picture below images/")
    uri = layout.picture_file(output, name)
    storage.check_inside(uri, layout.images_folder(output), follow=True)
    return uri


def picture_or_reason(output: str, row: Mapping[str, Any]) -> str | StorageError:
    """Return what `find_picture` returns, or the error that it raises."""
    try:
        return find_picture(output, row)
    except StorageError as error:
        return error


def picture_of(output: str, row: Mapping[str, Any]) -> str | None:
    """Return the URI of the picture of a row of results, None where it has none to be read.

    Args:
        output: of the run.
        row: as for `find_picture`, which says why there is none.
    """
    picture = picture_or_reason(output, row)
    return None if isinstance(picture, StorageError) else picture


def name_within(output: str, uri: str) -> str:
    """Return the name below images/ of a picture whose URI is known, wherever its output was when it was written."""
    folder = layout.images_folder(output) + "/"
    return uri.removeprefix(folder) if uri.startswith(folder) else uri.rpartition("/images/")[2]


def _one_each(role: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the URIs of a column of the results, in which one text may have several."""
    if not pc.any(pc.match_substring(column, SEVERAL)).as_py():
        return column
    return pa.chunked_array(
        [pa.array([uri for uris in column.to_pylist() for uri in each_of(role, uris)], pa.string())]
    )


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
    for column in (_one_each(role, table[role]) for role in PICTURE_COLUMNS):
        folders = pc.replace_substring_regex(column, "/[^/]*$", "/")
        near = [each for each in folders.unique().to_pylist() if each and storage.is_within(places(f"{each}x"), images)]
        inside += column.filter(pc.is_in(folders, pa.array(near, pa.string()))).to_pylist()
    if inside:
        made = {places(layout.picture_file(output, name)) for name in table["output_name"].to_pylist() if name}
        yield from (uri for uri in inside if places(uri) not in made)
