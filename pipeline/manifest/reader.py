"""The reader of manifests: rows with resolved parameters and stable ids, or every problem at once."""

import contextlib
import dataclasses
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from nst_kernel.params import ALIASES, PARAMETERS, ParamError, StyleParams, did_you_mean, own_name
from pipeline import layout, storage
from pipeline.manifest.columns import (
    EXPECTED,
    URI_EXPECTED,
    Complaint,
    RawRow,
    bad_content_shape,
    bad_output,
    missing_pictures,
)
from pipeline.manifest.formats import (
    MAX_COLUMNS,
    Item,
    Record,
    Records,
    Source,
    described,
    each,
    read_table,
)
from pipeline.manifest.ids import derive_id
from pipeline.manifest.names import default_output, id_within
from pipeline.manifest.partitions import partition_of, unknown_folder, with_partition
from pipeline.manifest.roles import PICTURE_COLUMNS, PICTURE_PARAMETERS, SEVERAL, each_of
from pipeline.manifest.row import (
    EXTENSIONS,
    Duplicate,
    Manifest,
    ManifestError,
    Row,
    RowProblem,
    extension,
    place,
    shown,
)
from pipeline.manifest.settings import Settings, is_given
from pipeline.manifest.styles import bad_styles, resolved_styles
from pipeline.process import garbage as collector

__all__ = [
    "Duplicate",
    "Manifest",
    "ManifestError",
    "Row",
    "RowProblem",
    "derive_id",
    "iter_rows",
    "read_manifest",
]


@collector.paused()
def read_manifest(
    source: Source,
    *,
    encoder_sha256: str,
    defaults: Mapping[str, object] | None = None,
    settings: Settings | None = None,
) -> Manifest:
    """Return every row of a manifest, or raise with every problem of it.

    Args:
        source: a file, a folder of files, or several of either, at any URI. In a folder, files of other kinds, those
            whose names start with a dot or an underscore, and what runs have left there are passed over. Or rows at
            hand, whose relative paths start where this process is.
        encoder_sha256: of the encoder's weights, part of a derived id.
        defaults: style parameters for rows that do not give them. They must be valid by themselves.
        settings: those of them that somebody asked for now, so that rows which give them too are counted or overruled.

    Raises:
        ManifestError: if anything cannot be used, or there is no row.
    """
    rows: list[Row] = []
    problems: list[RowProblem] = []
    duplicates: list[Duplicate] = []
    settings = settings or Settings()
    for item in iter_rows(source, encoder_sha256=encoder_sha256, defaults=defaults, settings=settings):
        if isinstance(item, Row):
            rows.append(item)
        elif isinstance(item, RowProblem):
            problems.append(item)
        else:
            duplicates.append(item)
    if problems:
        raise ManifestError(problems)
    return Manifest(rows, duplicates, settings.remarks(len(rows) + len(duplicates)))


MAX_PROBLEMS = 10_000
"""Problems after which reading stops: nobody reads more, and each takes memory."""


def iter_rows(
    source: Source,
    *,
    encoder_sha256: str,
    defaults: Mapping[str, object] | None = None,
    settings: Settings | None = None,
) -> Iterator[Row | Duplicate | RowProblem]:
    """Yield the rows of a manifest one at a time, and each problem at the point where it occurs.

    Arguments are those of `read_manifest`. Holds one file's bytes and, for finding duplicates, the rows that went by.
    Ends after `MAX_PROBLEMS` problems, and with one more that says so.
    """
    problems = 0
    for item in _items_of(source, encoder_sha256, defaults, settings or Settings()):
        yield item
        if isinstance(item, RowProblem):
            problems += 1
            if problems == MAX_PROBLEMS:
                expected = f"fewer problems: reading stopped after the first {problems:,}, so there may be more"
                yield RowProblem(item.file, None, None, "", expected)
                return


def _items_of(
    source: Source, encoder_sha256: str, defaults: Mapping[str, object] | None, settings: Settings
) -> Iterator[Row | Duplicate | RowProblem]:
    """Yield the rows of a manifest and all of its problems, as `iter_rows` does up to its limit."""
    defaults = dict(defaults or {})
    try:
        StyleParams.of({}, defaults=defaults)
    except ParamError as error:
        for problem in error.problems:
            yield RowProblem("defaults", None, problem.name, shown(problem.value), problem.expected)
        bad = {problem.name for problem in error.problems}
        defaults = {name: value for name, value in defaults.items() if ALIASES.get(name, name) not in bad}
    reader = _Reader(encoder_sha256, defaults, settings)
    sources = each(source)
    met: set[str] = set()
    empty = True
    for one in sources:
        if isinstance(one, Records):
            for item in reader.records(one):
                empty = False
                yield item
            continue
        for file in _files(one):
            if isinstance(file, str) and file in met:
                continue
            for item in [file] if isinstance(file, RowProblem) else reader.file(file, partition_of(file, one)):
                empty = False
                yield item
            if isinstance(file, str):
                met.add(file)
    if empty:
        yield RowProblem(", ".join(described(source))[:200] or "manifest", None, None, "", "at least one row")


def _files(source: str) -> Iterator[str | RowProblem]:
    """Yield the URI of a manifest file or of all manifests below a folder; yield a problem if there are none."""
    try:
        with storage.neighbours_named():
            listed = storage.list_files(source)
    except storage.StorageError as error:
        yield RowProblem(source, None, None, "", f"a manifest; {error}")
        return
    if listed == [source]:
        yield source
        return
    tables = [file for file in layout.without_outputs(source, listed) if extension(file) is not None]
    files = [file for file in tables if not posixpath.basename(file).startswith((".", "_"))]
    if not files:
        expected = f"a folder with a manifest in it ({', '.join(EXTENSIONS)}) that is none of a run's own files"
        yield RowProblem(source, None, None, "", expected)
    yield from files


_PARAMETERS = dict.fromkeys([*PARAMETERS, *ALIASES]).keys()
_WANTED = dict.fromkeys([*EXPECTED, *_PARAMETERS]).keys()
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class _Reader:
    """The state of reading: files one after the other, and what was seen so far and must not be repeated."""

    def __init__(self, encoder_sha256: str, defaults: Mapping[str, object], settings: Settings) -> None:
        self._encoder = encoder_sha256
        self._settings = settings
        self._defaults = defaults
        self._base = ""
        self._unknown: set[str] = set()  # names under params that were complained of in this file
        self._folders: set[str] = set()  # names that folders give and that were complained of
        self._is_table = False  # whether what is read has a header, and rows without a value are no rows
        self._resolved: dict[tuple[str, str], StyleParams | list[Complaint]] = {}
        self._seeded: dict[tuple[int, str], tuple[StyleParams, StyleParams]] = {}  # the rest's identity, seed: both
        self._shapes: dict[tuple[int, int], tuple[int, int]] = {}  # so that equal ones are one
        self._rows: dict[str, Row] = {}  # by id
        self._named: dict[str, str] = {}  # output: id, where the one does not follow from the other

    def file(self, file: str, partition: Mapping[str, str]) -> Iterator[Row | Duplicate | RowProblem]:
        """Yield the rows, duplicates and problems of one file, whose folders may give columns for all its rows."""
        self._base = storage.parent(storage.absolute(file))
        named = storage.without_secrets(file)
        for name in partition.keys() - _WANTED - self._folders:
            self._folders.add(name)
            yield unknown_folder(named, name, partition[name])
        items = read_table(file, wanted=_WANTED)
        known = {name: value for name, value in partition.items() if name in _WANTED}
        yield from self._read(named, with_partition(named, items, known) if known else items)

    def records(self, records: Records) -> Iterator[Row | Duplicate | RowProblem]:
        """Yield the rows, duplicates and problems of rows at hand."""
        self._base = storage.absolute(".")
        yield from self._read(records.name, records.read(wanted=_WANTED))

    def _read(self, file: str, items: Iterator[Item]) -> Iterator[Row | Duplicate | RowProblem]:
        """Yield the rows, duplicates and problems of what a file holds."""
        self._unknown.clear()
        for item in items:
            if isinstance(item, Record):
                yield from self._row(file, item)
            elif isinstance(item, RowProblem):
                yield item
            else:
                self._is_table = item.whole
                for name in item.names:
                    if name not in _WANTED:
                        yield RowProblem(file, item.number, name[:80], "", _known_name(name, _WANTED))
                if item.whole and not {*PICTURE_COLUMNS} & set(item.names):
                    expected = "a header with the columns content and style, separated by commas"
                    yield RowProblem(file, item.number, None, shown(", ".join(item.names)), expected)
                    return

    def _row(self, file: str, record: Record) -> Iterator[Row | Duplicate | RowProblem]:
        """Yield the row of a record, or what is wrong with it."""
        number = record.number
        cells = {name: value for name, value in record.cells.items() if is_given(value)}
        if not cells and self._is_table:  # spreadsheets keep rows whose cells were emptied
            return
        raw, complaints = _as_written(cells)
        bad = {column for column, _, _ in complaints if column}
        for name in raw.params.keys() - _PARAMETERS - self._unknown if raw.params else ():
            if len(self._unknown) < MAX_COLUMNS:
                self._unknown.add(name)
                yield RowProblem(file, number, f"params.{name[:80]}", "", _known_name(name, _PARAMETERS))
        params = self._params(*self._settings.applied(raw.model_extra or {}, raw.params or {}))
        if isinstance(params, list):
            complaints += params
        elif "params" not in bad:  # which might hold that no content or style is needed
            complaints += missing_pictures(raw, params, bad)
        complaints += bad_styles(raw.style, self._base, params)
        complaints += bad_output(raw.output)
        complaints += bad_content_shape(raw, bad)
        if complaints or isinstance(params, list):
            yield from (RowProblem(file, number, *complaint) for complaint in complaints)
            return
        # What is not given follows from the rest: an id from the request, a picture's name from both.
        content = storage.resolve(raw.content, self._base) if raw.content else None
        style, _ = resolved_styles(raw.style, self._base)
        derived = derive_id(content, style, params, self._encoder)
        id = storage.without_secrets(raw.id) or derived
        output = raw.output or default_output(id, content, style)
        shape = (raw.height, raw.width) if raw.height and raw.width else None
        shape = self._shapes.setdefault(shape, shape) if shape else None
        yield self._distinct(Row(id, content, style, output, params, file, number, shape), derived)

    def _params(self, columns: Mapping[str, object], nested: Mapping[str, object]) -> StyleParams | list[Complaint]:
        """Return the parameters of a row, or what is wrong with them.

        Each set that is written in the same words is resolved once, but for its seed: rows share them.

        Args:
            columns: parameters that have a column of their own.
            nested: those in the column `params`.
        """
        if "seed" in columns and "seed" not in nested:
            unseeded = self._params({name: value for name, value in columns.items() if name != "seed"}, nested)
            if isinstance(unseeded, StyleParams):
                with contextlib.suppress(ParamError):
                    return self._reseeded(unseeded, columns["seed"])
        try:
            key = (self._base, repr((columns, nested)))
            if (known := self._resolved.get(key)) is not None:
                return known
            resolved = self._resolve(columns, nested)
        except RecursionError:
            return [(None, "", "style parameters that are not nested so deep")]
        if len(self._resolved) >= 4096:
            self._resolved.clear()
        if len(key[1]) < 4096:
            self._resolved[key] = resolved
        return resolved

    def _reseeded(self, params: StyleParams, seed: object) -> StyleParams:
        """Return parameters with another seed; equal ones are one object."""
        key = id(params), repr(seed)
        if key not in self._seeded:
            if len(self._seeded) >= 4096:
                self._seeded.clear()
            self._seeded[key] = params, params.reseeded(seed)
        return self._seeded[key][1]

    def _resolve(self, columns: Mapping[str, object], nested: Mapping[str, object]) -> StyleParams | list[Complaint]:
        """Return the parameters of a row with defaults and preset, or what is wrong with them; see `_params`."""
        given: dict[str, object] = {}
        written: dict[str, str] = {}  # parameter: column that gives it
        complaints: list[Complaint] = []
        everything = [(name, name, value) for name, value in columns.items()]
        everything += [(f"params.{name}", name, value) for name, value in nested.items() if name in _PARAMETERS]
        for column, name, value in everything:
            own = own_name(name, value)
            if not is_given(value):
                continue
            if own not in given:
                given[own], written[own] = value, column
            elif PARAMETERS[own].parse(value) != PARAMETERS[own].parse(given[own]):
                complaints.append((column, shown(value), f"what column {written[own]} says, {shown(given[own])}"))
        try:
            params = StyleParams.of(given, defaults=self._defaults)
        except ParamError as error:
            return complaints + [(written.get(p.name, p.name), shown(p.value), p.expected) for p in error.problems]
        for role, words in PICTURE_PARAMETERS.items():
            if (named := getattr(params, role)) in words:
                continue
            if len(named) > 4096 or _UNUSABLE.search(named):
                complaints.append((written.get(role, role), shown(named), URI_EXPECTED))
            uris = SEVERAL.join(storage.resolve(uri, self._base) for uri in each_of(role, named))
            params = dataclasses.replace(params, **cast(Any, {role: uris}))
        return complaints or params

    def _distinct(self, row: Row, derived: str) -> Row | Duplicate | RowProblem:
        """Return the row, or a problem or duplicate if another row has its id or its output."""
        first = self._rows.setdefault(row.id, row)
        if first is not row:
            other = place(first.file, first.number)
            if derive_id(first.content, first.style, first.params, self._encoder) != derived:
                expected = f"an id of its own: {other} has this one and asks for something else"
                return RowProblem(row.file, row.number, "id", shown(row.id), expected)
            if first.output != row.output:
                expected = f"{shown(first.output)}, since {other} asks for the same; give each an id to have both"
                return RowProblem(row.file, row.number, "output", shown(row.output), expected)
            return Duplicate(row.id, row.file, row.number)
        owner = self._owner(row)
        if owner is not row:
            expected = f"a name of its own: {place(owner.file, owner.number)} is written there"
            return RowProblem(row.file, row.number, "output", shown(row.output), expected)
        return row

    def _owner(self, row: Row) -> Row:
        """Return the first row whose picture has this row's name.

        Names that end in an id, as most do, are not kept a second time.
        """
        if first := self._named.get(row.output):
            return self._rows[first]
        named = self._rows.get(id_within(row.output))
        if named and named.output == row.output:
            return named
        self._named[row.output] = row.id
        return row


def _as_written(cells: dict[str, object]) -> tuple[RawRow, list[Complaint]]:
    """Return the cells of a row by column, and a complaint about each that cannot be used, which is left out."""
    complaints: list[Complaint] = []
    try:
        return RawRow.model_validate(cells), complaints
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(detail["loc"][0])
            if name in cells:  # else it was complained of already
                reason = f" ({detail['msg'].removeprefix('Value error, ')})" if detail["type"] == "value_error" else ""
                complaints.append((name, shown(cells.pop(name)), EXPECTED[name] + reason))
    return RawRow.model_validate(cells), complaints  # the rest may have problems too


def _known_name(name: str, known: Collection[str]) -> str:
    """Return the text of what was expected instead of an unknown name: a similar known name, or all of them."""
    close = did_you_mean(name, known)
    return f"a known name; {close}" if close else f"one of {', '.join(known)}"
