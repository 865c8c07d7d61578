"""The check that no row's picture would be written over a picture that is read: what a user owns stays as it is."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from pipeline import layout, storage
from pipeline.manifest.names import possible_outputs
from pipeline.manifest.row import ManifestError, Row, RowProblem, place, shown
from pipeline.manifest.rows import Rows

_WORTH_LISTING = 20
"""Pictures in one folder from which on its links are found by one listing, rather than by a look at each picture."""


def check_originals(rows: Sequence[Row], output: str, *, known: Iterable[str] = ()) -> None:
    """Check that no row's picture would take the place of one that a row reads, however each of them is spelled.

    Args:
        rows: what is requested.
        output: folder of the run.
        known: URIs of further pictures that must stay, such as those that rows of earlier runs have read.

    Raises:
        ManifestError: with every row whose picture would; also of rows whose names the file system takes for one.
    """
    columns, images, places = Rows.of(rows), layout.images_folder(output), storage.Places()
    taken: dict[str, str] = {}
    for uri in known:
        taken.setdefault(places(uri), f"is a picture that rows of earlier runs into {output} read")
    for row, role, uri in _among(columns, images, places):
        said = f"is the {role} of {place(row.file, row.number)}"
        taken.setdefault(places(uri), said)
        taken.setdefault(storage.canonical(uri), said)  # where a link leads; one in images/ would itself be replaced
    # Where case does not count, two names may be one file.
    ignores_case = places(layout.picture_file(output, "Aa")) == places(layout.picture_file(output, "aA"))
    if not taken and not ignores_case:
        return
    problems = []
    for id, name, file, number in columns.values(["id", "output", "file", "number"]):
        uris = {places(uri): uri for uri in (layout.picture_file(output, one) for one in possible_outputs(name, id))}
        if original := next((written for written in uris if written in taken), None):
            expected = f"another name, since {uris[original]} {taken[original]}"
            problems.append(RowProblem(file, number, "output", shown(name), expected))
        elif ignores_case:
            said = f"is written for {place(file, number)} too: the case of letters does not count there"
            taken |= dict.fromkeys(uris, said)
    if problems:
        raise ManifestError(problems)


def same_file(written: str, pictures: Iterable[str]) -> str | None:
    """Return which of some pictures is the file that would be written; None if it is none of them."""
    place_written = storage.Places()(written)
    return next((uri for uri in pictures if place_written in (storage.canonical(uri), storage.Places()(uri))), None)


def _among(rows: Rows, images: str, places: storage.Places) -> Iterator[tuple[Row, str, str]]:
    """Yield each picture that rows read (row, role, URI) and that lies below a folder, or is a link that leads there.

    What lies there is seen by the folders of the pictures alone. Links are looked for only where there is something
    that they could lead to.
    """
    inside, counted = storage.canonical(images), Counter[str]()
    for uri, count in _counted_pictures(rows):
        counted[_path(uri).rpartition("/")[0]] += count
    near = {folder for folder in counted if storage.is_within(places(f"{folder}/x"), inside)}
    linked = dict[str, Collection[str] | None]()
    if storage.local_path(images) is not None and storage.is_folder(images):
        local = [folder for folder in counted if storage.local_path(folder) is not None]
        linked = {
            folder: {*storage.links_in(folder)} if counted[folder] >= _WORTH_LISTING else None for folder in local
        }

    def is_among(uri: str) -> bool:
        folder, _, name = _path(uri).rpartition("/")
        return folder in near or (folder in linked and _leads(uri, name, linked[folder], inside))

    if not near and not any(names is None or names for names in linked.values()):
        return
    kinds, pictured = rows.kinds()
    wanted = np.array([any(map(is_among, kind.uris())) for kind in pictured], bool)[kinds]
    wanted |= np.fromiter((bool(uri and is_among(uri)) for (uri,) in rows.values(["content"])), bool, len(rows))
    for row in rows.at(np.flatnonzero(wanted)):
        for role, uri in ((role, uri) for role, uris in row.pictures().items() for uri in uris):
            if is_among(uri):
                yield row, role, uri


def _counted_pictures(rows: Rows) -> Iterator[tuple[str, int]]:
    """Yield the pictures that rows read, perhaps several times, each time with a number of rows that read it."""
    yield from ((content, 1) for (content,) in rows.values(["content"]) if content)
    numbers, kinds = rows.kinds()
    for kind, count in zip(kinds, np.bincount(numbers, minlength=len(kinds)).tolist(), strict=True):
        yield from ((uri, count) for uri in kind.uris())


def _path(uri: str) -> str:
    """Return the path that a URI of this machine means, its escapes decoded; any other URI as it is."""
    return (storage.local_path(uri) or uri) if "%" in uri else uri


def _leads(uri: str, name: str, links: Collection[str] | None, inside: str) -> bool:
    """Return whether a picture is a link that leads to a place below a folder.

    Args:
        uri: of the picture.
        name: its last part.
        links: names of the links in its folder; None: it was not listed.
        inside: canonical spelling of the folder.
    """
    is_link = storage.is_link(uri) if links is None else name in links
    return is_link and storage.is_within(storage.canonical(uri), inside)
