"""The pictures that the page shows: where each is, its small copies, and the link to the whole."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.manifest import PICTURE_PARAMETERS, ROLES, each_of, pictures_of
from pipeline.outputs import picture_of
from pipeline.report import links
from pipeline.report.frames import on_the_way
from pipeline.report.thumbs import THUMB, VIEW, Shelf

MAX_VIEWS = 2000
"""Pictures that get a larger copy; behind the slider of the others, the thumbnail is enlarged."""


@dataclass
class Pictures:
    """Distinct pictures that rows read, or the results, in the order of their numbers.

    Attributes:
        uris: where they are.
        hrefs: links to them; None where a browser cannot follow.
        thumbs: names of their thumbnails; None without one.
        views: names of their larger copies; None without one.
        parts: of several pictures that a row names together the numbers of each, and of a picture none; empty for
            results.
        steps: pictures on the way of each result, as `on_the_way` returns them; empty for contents and styles.
    """

    uris: list[str] = field(default_factory=list)
    hrefs: list[str | None] = field(default_factory=list)
    thumbs: list[str | None] = field(default_factory=list)
    views: list[str | None] = field(default_factory=list)
    parts: list[list[int]] = field(default_factory=list)
    steps: list[Mapping[str, Any] | None] = field(default_factory=list)

    def keep(self, there: set[str]) -> None:
        """Drop the names of copies that could not be made.

        Args:
            there: names of copies that exist.
        """
        self.thumbs = [name if name in there else None for name in self.thumbs]
        self.views = [name if name in there else None for name in self.views]


def sources(table: pa.Table, shelf: Shelf, *, page: str, output: str) -> tuple[Pictures, Mapping[str, Sequence[int]]]:
    """Return the pictures that rows read, each once, those that are named together last; and the numbers of each row's.

    Contents get a view as large as the largest result that is made of them, so that one can be laid over the other.
    Pictures that only quarantined rows name are not opened: they may be why.

    Returns:
        The pictures; and by role the number of each row's picture, or of those that it names together, -1 for none.
    """
    asked = _asked(table)
    long_sides: dict[str, int] = {}
    for content, width, height in zip(
        asked["content"], *(table[c].to_pylist() for c in ("width", "height")), strict=True
    ):
        if content is not None:
            long_sides[content] = max(long_sides.get(content, 0), width or 0, height or 0)
    together = {uris: each_of(role, uris) for role, of_rows in asked.items() for uris in dict.fromkeys(of_rows) if uris}
    uris = list(dict.fromkeys([*long_sides, *(uri for parts in together.values() for uri in parts)]))
    pictures = Pictures()
    versions = shelf.versions(_opened(table, asked))
    views = 0
    for uri in uris:
        version, side = versions.get(uri), min(VIEW, long_sides.get(uri, 0))
        larger = version is not None and side > THUMB and views < MAX_VIEWS
        views += larger
        pictures.uris.append(uri)
        pictures.hrefs.append(links.href(uri, page=page, output=output))
        pictures.thumbs.append(shelf.want(uri, version, side=THUMB) if version else None)
        pictures.views.append(shelf.want(uri, version, side=side) if larger else None)
    numbers: dict[str | None, int] = {uri: number for number, uri in enumerate(uris)}
    pictures.parts = [[] for _ in uris]
    for joined, parts in together.items():
        if joined not in numbers:
            numbers[joined] = len(pictures.uris)
            pictures.uris.append(joined)
            pictures.parts.append([numbers[part] for part in parts])
            for column in (pictures.hrefs, pictures.thumbs, pictures.views):
                column.append(None)
    return pictures, {role: [numbers.get(uri, -1) for uri in of_rows] for role, of_rows in asked.items()}


_NAMED = re.compile("|".join(f'"{name}": "(?!({"|".join(words)})")' for name, words in PICTURE_PARAMETERS.items()))
"""Parameters as JSON that name a picture: most rows' do not, and are not parsed for it."""


def _asked(table: pa.Table) -> Mapping[str, Sequence[str | None]]:
    """Return by role what each row names: the URI of a picture, or several in one text, or None."""
    texts = table["params"].to_pylist()
    parsed = {text: json.loads(text) for text in dict.fromkeys(texts) if text and _NAMED.search(text)}
    named = {text: pictures_of({}, params) for text, params in parsed.items()}
    by_parameter = {
        role: [str(parsed[text][role]) if role in named.get(text, ()) else None for text in texts]
        for role in PICTURE_PARAMETERS
    }
    return {role: by_parameter[role] if role in by_parameter else table[role].to_pylist() for role in ROLES}


def _opened(table: pa.Table, asked: Mapping[str, Sequence[str | None]]) -> Collection[str]:
    """Return the pictures of the rows that are not quarantined, each once."""
    others = pc.not_equal(table["status"], "quarantined").to_pylist()
    return {
        uri
        for role, of_rows in asked.items()
        for uris in {uris for uris, opened in zip(of_rows, others, strict=True) if opened}
        for uri in each_of(role, uris)
    }


def outcomes(rows: Sequence[Mapping[str, Any]], shelf: Shelf, *, page: str, output: str) -> Pictures:
    """Return the pictures of the results, one for each row; the URI is empty where there is none.

    The version of a result is its fingerprint and when it was finished, so that its storage need not be read. It gets a
    larger copy only where the page cannot show the picture itself.
    """
    pictures = Pictures()
    views = 0
    for row in rows:
        uri = where(row, output)
        link = links.href(uri or None, page=page, output=output)
        version = [row["fingerprint"], str(row["finished_at"])]
        larger = bool(uri) and not links.shown_here(link) and views < MAX_VIEWS
        views += larger
        pictures.uris.append(uri)
        pictures.hrefs.append(link)
        pictures.thumbs.append(shelf.want(uri, version, side=THUMB) if uri else None)
        pictures.views.append(shelf.want(uri, version, side=VIEW) if larger else None)
        pictures.steps.append(on_the_way(uri, row, page=page, output=output))
    return pictures


NOT_SHOWN = (
    "its picture is not shown: a link leads out of images/, or the results name a place outside: "
    "remove the link, or put a copy in its place"
)
"""Warning of a row whose picture is not read."""


def with_warnings(table: pa.Table, output: str) -> pa.Table:
    """Return results in which rows whose pictures are not read have a warning that says so."""
    rows = table.select(["output", "output_name", "warning"]).to_pylist()
    unread = [row["output"] is not None and picture_of(output, row) is None for row in rows]
    if not any(unread):
        return table
    texts = [
        "; ".join(filter(None, [row["warning"], NOT_SHOWN])) if hidden else row["warning"]
        for row, hidden in zip(rows, unread, strict=True)
    ]
    place = table.schema.get_field_index("warning")
    return table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))


def where(row: Mapping[str, Any], output: str) -> str:
    """Return the URI of a row's picture, in an output that may have been moved since; empty if the row has none.

    Results that somebody else has written may name one outside of images/, and a link may lead there; such a one counts
    as none.
    """
    return "" if row["output"] is None else picture_of(output, row) or ""
