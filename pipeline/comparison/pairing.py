"""The pairing of rows of two runs that request the same picture, although every id may differ."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline import storage
from pipeline.manifest import PICTURE_COLUMNS, SEVERAL, each_of, pictures_of
from pipeline.outputs import query

UNNAMED = ("preset",)
"""Parameters that are not compared: a preset names where values came from, and all of those are compared."""


@dataclass(frozen=True)
class ComparedRow:
    """A row of results with names of its pictures that hold in both runs.

    Attributes:
        row: by column.
        pictures: names of its pictures by column, content and style; None where it has none.
        params: every parameter by name; one that names a picture, such as `init`, has such a name too.
    """

    row: Mapping[str, Any]
    pictures: Mapping[str, str | None]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Pairing:
    """Rows of two runs.

    Attributes:
        varying: parameters that are not the same in all rows of a run, of either.
        pairs: (before, after) of what both have.
        only_before: rows that the newer run lacks.
        only_after: rows that the older one lacks.
    """

    varying: tuple[str, ...]
    pairs: Sequence[tuple[ComparedRow, ComparedRow]]
    only_before: Sequence[ComparedRow]
    only_after: Sequence[ComparedRow]


def paired(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Pairing:
    """Return which rows of two tables of results belong together.

    Ids contain the parameters, so that one changed default changes them all. Rows are the same if they have the same
    pictures and, in this order,

    1. the same values of the parameters that vary within a run, and the same id;
    2. the same values, whatever their ids: several of one key meet in the order of seed and id;
    3. the same id: somebody gave it;
    4. the same row of a manifest of the same name: such as one that takes a changed default.

    A picture is the same if its URI is; where a URI is in one run only, if it lies in the same place below the folder
    of its run's manifest. So two copies of a project compare, and two projects on one archive.

    Args:
        before: rows of the older run, mappings of result columns.
        after: rows of the newer run.
    """
    shared = _pictures(before) & _pictures(after)
    olds, news = ([_compared(row, shared) for row in rows] for rows in (before, after))
    varying = tuple(sorted(_varying(olds) | _varying(news)))

    def values(row: ComparedRow) -> tuple[Hashable, ...]:
        return tuple(_hashable(row.params.get(name)) for name in varying)

    keys: Sequence[Callable[[ComparedRow], Hashable]] = (
        lambda row: (values(row), row.row["id"]),
        values,
        lambda row: row.row["id"],
        _manifest_row,
    )
    pairs: list[tuple[ComparedRow, ComparedRow]] = []
    for key in keys:
        joined, olds, news = _join(olds, news, key)
        pairs += joined
    return Pairing(varying, pairs, olds, news)


def _join(
    olds: Iterable[ComparedRow], news: Iterable[ComparedRow], key: Callable[[ComparedRow], Hashable]
) -> tuple[list[tuple[ComparedRow, ComparedRow]], list[ComparedRow], list[ComparedRow]]:
    """Pair rows with equal pictures and key (never None); return the pairs and the unpaired rows of each side."""
    waiting: defaultdict[Hashable, deque[ComparedRow]] = defaultdict(deque)
    left_over: list[ComparedRow] = []
    for new in sorted(news, key=_order):
        if (of := key(new)) is None:
            left_over.append(new)
        else:
            waiting[*new.pictures.values(), of].append(new)
    pairs, alone = [], []
    for old in sorted(olds, key=_order):
        candidates = waiting.get((*old.pictures.values(), key(old)))
        if candidates:
            pairs.append((old, candidates.popleft()))
        else:
            alone.append(old)
    return pairs, alone, left_over + [new for rest in waiting.values() for new in rest]


def _order(row: ComparedRow) -> tuple[int, str]:
    """Return by what several rows of one key are ordered: seed, then id."""
    return row.params.get("seed") or 0, row.row["id"]


def _manifest_row(row: ComparedRow) -> Hashable:
    """Return the name of a row's manifest and its place there; None where it is not known."""
    file, number = row.row.get("manifest"), row.row.get("manifest_row")
    return (file.rpartition("/")[2], number) if file and number is not None else None


def _compared(row: Mapping[str, Any], shared: set[str]) -> ComparedRow:
    """Return a row for comparison, its pictures named by URIs of both runs or relative to its manifest's folder."""
    base = f"{storage.parent(row.get('manifest') or '').rstrip('/')}/"

    def name(role: str, uris: str | None) -> str | None:
        parts = each_of(role, uris)
        return SEVERAL.join(uri if uri in shared else uri.removeprefix(base) or uri for uri in parts) or None

    params = _params(row.get("params") or "{}")
    named = pictures_of({}, params)
    if named:  # else rows of equal parameters share them
        params = {**params, **{parameter: name(parameter, uri) for parameter, (uri,) in named.items()}}
    return ComparedRow(row, {role: name(role, row.get(role)) for role in PICTURE_COLUMNS}, params)


@lru_cache(maxsize=65536)
def _params(text: str) -> Mapping[str, Any]:
    """Return the parameters that are compared, from the JSON of the column `params`."""
    return {name: value for name, value in query.parameters_of(text).items() if name not in UNNAMED}


def _pictures(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the URIs of all pictures that rows of results read."""
    named = (pictures_of(row, _params(row.get("params") or "{}")) for row in rows)
    return {uri for pictures in named for uris in pictures.values() for uri in uris}


def _varying(rows: Iterable[ComparedRow]) -> set[str]:
    """Return the names of parameters that have several values in a run."""
    first: dict[str, Hashable] = {}
    varying: set[str] = set()
    names: set[str] = set()
    rows = list(rows)
    for row in rows:
        names.update(row.params)
    for row in rows:
        for name in names - varying:
            value = _hashable(row.params.get(name))
            if first.setdefault(name, value) != value:
                varying.add(name)
    return varying


def _hashable(value: Any) -> Hashable:
    """Return a value that can be a key: a tuple for a list."""
    return tuple(value) if isinstance(value, list) else value
