"""The pictures that the page shows: where each is, its small copies, and the link to the whole."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.manifest import PICTURE_PARAMETERS, ROLES, each_of
from pipeline.outputs import layout, picture_of
from pipeline.report import links
from pipeline.report.copier import THUMB, VIEW, copy_name
from pipeline.report.frames import on_the_way
from pipeline.report.thumbs import NONE, Copies, Shelf, in_order, no_names

MAX_VIEWS = 2000
"""Pictures that get a larger copy; behind the slider of the others, the thumbnail is enlarged."""

AT_ONCE = 5000
"""Pictures that are looked up at once, and rows whose pictures are: as objects of Python they take some kilobytes."""

NAME = pa.binary(20)
"""The type of names of copies."""

OUTCOME_COLUMNS = ("output", "output_name", "fingerprint", "finished_at", "frames", "animation")
"""Columns of results that tell where the pictures of rows are."""

NOT_SHOWN = (
    "its picture is not shown: a link leads out of images/, or the results name a place outside: "
    "remove the link, or put a copy in its place"
)
"""Warning of a row whose picture is not read."""


@dataclass
class Sources:
    """Distinct pictures that rows read, in the order of their numbers.

    Attributes:
        uris: where they are; of pictures that are named together, all in one text.
        parts: numbers of the pictures that are named together, by the number of all.
        copies: small copies of them.
        numbers: by role the number of each row's picture, or of those that it names together; -1 for none.
    """

    uris: pa.Array
    copies: Copies
    parts: Mapping[int, Sequence[int]] = field(default_factory=dict)
    numbers: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    @cached_property
    def names(self) -> pa.Array:
        """What the page calls the pictures: those that are named together last, by the names of all.

        Found once, and of all pictures at once: how much of a URI tells two of them apart depends on all others.
        """
        single = len(self.uris) - len(self.parts)
        named = links.names(self.uris.slice(0, single))
        joined = [" + ".join(named[part].as_py() for part in parts) for parts in self.parts.values()]
        return pa.concat_arrays([named, pa.array(joined, pa.string())])


def sources(columns: Mapping[str, pa.Array], shelf: Shelf) -> Sources:
    """Return the pictures that rows read, each once, those that are named together last.

    Contents get a view as large as the largest result that is made of them, so that one can be laid over the other.
    Pictures that only quarantined rows name are not opened: they may be why.

    Args:
        columns: the roles of pictures, `width`, `height` and `status` of the rows.
        shelf: where small copies are.
    """
    contents = columns["content"].dictionary_encode()
    numbers = {"content": pc.fill_null(contents.indices, -1).to_numpy()}
    together = {
        uris: each_of(role, uris)
        for role in ROLES[1:]
        for uris in columns[role].cast(pa.string()).unique().to_pylist()
        if uris
    }
    single = list(dict.fromkeys(uri for parts in together.values() for uri in parts))
    known = set(single)
    among = pc.index_in(pa.array(single, pa.string()), contents.dictionary).to_pylist()
    others = [uri for uri, place in zip(single, among, strict=True) if place is None]
    joined = [uris for uris in together if uris not in known]
    number = {uri: place for uri, place in zip(single, among, strict=True) if place is not None}
    number |= {uri: k for k, uri in enumerate([*others, *joined], start=len(contents.dictionary))}
    for role in ROLES[1:]:
        texts = columns[role].cast(pa.string()).dictionary_encode()
        mapped = np.array([number.get(uris, -1) for uris in [*texts.dictionary.to_pylist(), None]], np.int32)
        numbers[role] = mapped[pc.fill_null(texts.indices, len(texts.dictionary)).to_numpy()]
    parts = {number[uris]: [number[part] for part in together[uris]] for uris in joined}
    uris = pa.concat_arrays([contents.dictionary, pa.array([*others, *joined], pa.string())])
    opened = _opened(columns["status"], numbers, parts, len(uris))
    sides = _long_sides(columns, numbers["content"], len(uris))
    styles = len(contents.dictionary)  # the number of the first picture that is no content
    return Sources(uris, _copies(uris, in_order(np.flatnonzero(opened), styles), sides, shelf, styles), parts, numbers)


def _opened(
    status: pa.Array, numbers: Mapping[str, NDArray[np.int32]], parts: Mapping[int, Sequence[int]], count: int
) -> NDArray[np.bool_]:
    """Return which pictures rows name that are not quarantined."""
    usual = pc.not_equal(status.cast(pa.string()), "quarantined").to_numpy(zero_copy_only=False)
    opened = np.zeros(count + 1, np.bool_)  # the last one stands for none
    for of_rows in numbers.values():
        opened[of_rows[usual]] = True
    for joined, single in parts.items():
        opened[list(single)] |= opened[joined]
        opened[joined] = False
    return opened[:count]


def _long_sides(columns: Mapping[str, pa.Array], contents: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return the long side of the largest result of each content, in pixels; 0 for other pictures."""
    largest = np.zeros(count + 1, np.int32)  # the last one is of rows without a content
    for name in ("width", "height"):
        np.maximum.at(largest, contents, pc.fill_null(columns[name], 0).to_numpy())
    return np.minimum(largest[:count], VIEW)


def _copies(uris: pa.Array, opened: NDArray[np.int64], sides: NDArray[np.int32], shelf: Shelf, first: int) -> Copies:
    """Return the copies that are wanted of the pictures that may be opened, as they are now."""
    thumbs, views = no_names(len(uris)), no_names(len(uris))
    # Folder by folder, as listings go; but first styles and what the first rows read, for which there is time.
    by_uri = opened[AT_ONCE:][pc.sort_indices(uris.take(pa.array(opened[AT_ONCE:]))).to_numpy()]
    for some in _slices(np.concatenate([opened[:AT_ONCE], by_uri])):
        known = dict(zip(some.tolist(), uris.take(pa.array(some)).to_pylist(), strict=True))
        versions = shelf.versions(known.values())
        for k, uri in known.items():
            if (version := versions[uri]) is not None:
                thumbs[k] = copy_name(uri, version, THUMB).encode()
                views[k] = copy_name(uri, version, int(sides[k])).encode() if sides[k] > THUMB else NONE
    views[np.flatnonzero(views != NONE)[MAX_VIEWS:]] = NONE
    return Copies(lambda number: str(uris[number].as_py()), thumbs, views, sides, first)


def _slices(numbers: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
    return (numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE))


def roles(style: pa.Array, parameters: Mapping[str, Any], count: int) -> dict[str, pa.Array]:
    """Return by role, other than the content, the pictures that each of so many rows names.

    Args:
        style: the column of the results.
        parameters: by name, with the value that all rows share or with a column of values.
        count: of the rows.
    """
    by_role = {"style": style}
    for name, words in PICTURE_PARAMETERS.items():
        value = parameters.get(name)
        column = value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(value, pa.string()), count)
        no_picture = pc.is_in(column, pa.array(["", *words], pa.string()))
        by_role[name] = pc.if_else(no_picture, pa.scalar(None, pa.string()), column)
    return by_role


def outcomes(rows: Sequence[Mapping[str, Any]], *, page: str, output: str) -> dict[str, pa.Array]:
    """Return of each row the name of its picture below images/, of its small copies, and links to it on the way.

    The version of a result is its fingerprint and when it was finished, so that its storage need not be read. It gets a
    larger copy only where the page cannot show the picture itself.

    Args:
        rows: with `OUTCOME_COLUMNS`.
        page: the folder of the page.
        output: the folder of the run.
    """
    columns: dict[str, list[Any]] = {"picture": [], "thumb": [], "view": [], "steps": []}
    folder = layout.images_folder(output) + "/"
    for row in rows:
        uri = where(row, output)
        version = [row["fingerprint"], str(row["finished_at"])]
        larger = bool(uri) and not links.shown_here(links.href(uri, page=page, output=output))
        steps = on_the_way(uri, row, page=page, output=output)
        columns["picture"].append(uri.removeprefix(folder) if uri else None)
        columns["thumb"].append(copy_name(uri, version, THUMB).encode() if uri else None)
        columns["view"].append(copy_name(uri, version, VIEW).encode() if larger else None)
        columns["steps"].append(json.dumps(steps) if steps else None)
    kinds = {"picture": pa.string(), "thumb": NAME, "view": NAME, "steps": pa.string()}
    return {name: pa.array(columns[name], kind) for name, kind in kinds.items()}


def copies(columns: Mapping[str, pa.Array], output: str) -> Copies:
    """Return the small copies of the pictures of rows.

    Args:
        columns: what `outcomes` returned.
        output: the folder of the run.
    """
    views = _names(columns["view"])
    views[np.flatnonzero(views != NONE)[MAX_VIEWS:]] = NONE
    return Copies(lambda row: picture(output, columns["picture"][row].as_py()), _names(columns["thumb"]), views, VIEW)


def picture(output: str, name: str) -> str:
    """Return the URI of a row's picture by its name below images/."""
    return layout.picture_file(output, name)


def _names(column: pa.Array) -> NDArray[np.bytes_]:
    """Return names of copies that are in a column."""
    filled = pc.fill_null(column, bytes(20))
    return np.frombuffer(filled.buffers()[1], "S20", len(filled), 20 * filled.offset).copy()


def where(row: Mapping[str, Any], output: str) -> str:
    """Return the URI of a row's picture, in an output that may have been moved since; empty if the row has none.

    Results that somebody else has written may name one outside of images/, and a link may lead there; such a one counts
    as none.
    """
    return "" if row["output"] is None else picture_of(output, row) or ""
