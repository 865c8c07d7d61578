"""From records to rows: cells as they are written, the parameters and pictures that they name, or what is wrong."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from pydantic import ValidationError

from nst_kernel.params import StyleParams, by_name, known_name
from pipeline import storage
from pipeline.manifest.columns import (
    EXPECTED,
    MAX_SIDE,
    Complaint,
    RawRow,
    bad_content_shape,
    bad_output,
    missing_pictures,
)
from pipeline.manifest.ids import Frame, around_seed, request_digest
from pipeline.manifest.items import MAX_COLUMNS, End, Header, Item, Once, Record
from pipeline.manifest.names import default_output
from pipeline.manifest.parameters import KEPT, PARAMETER_NAMES, ParameterReader
from pipeline.manifest.roles import PICTURE_COLUMNS, SEVERAL, each_of
from pipeline.manifest.row import RowProblem, shown
from pipeline.manifest.rows import Columns
from pipeline.manifest.settings import Given, Settings, is_given
from pipeline.manifest.styles import bad_styles, resolved_styles

WANTED = dict.fromkeys([*EXPECTED, *PARAMETER_NAMES]).keys()
"""Columns that a manifest may have."""


IN_PARAMS = "params"
"""The first word of the keys of what is named once of names under `params`, at most `MAX_COLUMNS` times in a file."""


class _Alike(NamedTuple):
    """What records have in common whose cells are equal but for those of `_OWN`.

    Attributes:
        params: their parameters, with the seed of those that give none.
        number: of these parameters among the distinct ones.
        repeats: parameters that somebody asked for and that they give themselves.
    """

    params: StyleParams
    number: int
    repeats: Collection[str]


_OWN = frozenset(("content", "style", "id", "output", "seed", "width", "height"))
"""Columns whose cells are looked at in each record, also where the others are known to be as they should be."""


class RowReader:
    """The state of reading: the rows of files one after the other, and what of each is used for the next.

    Attributes:
        columns: the rows.
        reads_folders: whether the style of one is a folder of pictures.
    """

    def __init__(self, encoder_sha256: str, defaults: Mapping[str, object], settings: Settings) -> None:
        """Begin with no rows; arguments are those of `read_manifest`."""
        self.columns, self.reads_folders = Columns(encoder_sha256), False
        self._encoder = encoder_sha256
        self._settings = settings
        self._parameters = ParameterReader(defaults)
        self._below = ""  # what stands in front of a plain relative path
        self._unknown: set[str] = set()  # names under params that were complained of in this file
        self._is_table = False  # whether what is read has a header, and rows without a value are no rows
        self._alike: dict[str, _Alike] = {}
        self._frames: dict[tuple[str, int], tuple[str | None, Frame]] = {}

    def read(self, file: str, base: str, items: Iterator[Item]) -> Iterator[RowProblem | Once | End]:
        """Take the rows of what a file holds, and yield what is wrong, and the end of what was read.

        Args:
            file: as problems name it.
            base: the folder that relative paths start from.
            items: that it holds.
        """
        self._parameters.base = base
        self._below = storage.resolve("x", base)[:-1]
        for kept in (self._unknown, self._alike, self._frames):
            kept.clear()
        for item in items:
            if isinstance(item, Record):
                if not self._take_at_sight(file, item):
                    yield from self._row(file, item)
            elif isinstance(item, Header):
                self._is_table = item.whole
                if not item.is_repeated:
                    yield from _of_header(file, item)
                if item.whole and not {*PICTURE_COLUMNS} & set(item.names):
                    return
            else:
                yield item

    def _row(self, file: str, record: Record) -> Iterator[RowProblem | Once]:
        """Take the row of a record, or yield what is wrong with it."""
        number, base = record.number, self._parameters.base
        cells = {name: value for name, value in record.cells.items() if is_given(value)}
        if not cells and self._is_table:  # spreadsheets keep rows whose cells were emptied
            return
        raw, complaints = _as_written(cells)
        bad = {column for column, _, _ in complaints if column}
        unknown = raw.params.keys() - PARAMETER_NAMES if raw.params else set[str]()
        for name in unknown - self._unknown:
            if len(self._unknown) < MAX_COLUMNS:
                self._unknown.add(name)
                problem = RowProblem(file, number, f"params.{name[:80]}", "", known_name(name, PARAMETER_NAMES))
                yield Once(problem, (IN_PARAMS, name))
        given = self._settings.applied(raw.model_extra or {}, raw.params or {})
        params = self._parameters.read(*given)
        if isinstance(params, list):
            complaints += params
        elif "params" not in bad:  # which might hold that no content or style is needed
            complaints += missing_pictures(raw, params, bad)
        complaints += bad_styles(raw.style, base, params)
        complaints += bad_output(raw.output)
        complaints += bad_content_shape(raw, bad)
        if complaints or isinstance(params, list):
            yield from (RowProblem(file, number, *complaint) for complaint in complaints)
            return
        content = storage.resolve(raw.content, base) if raw.content else None
        asked = params, self.columns.number_of(params), params.seed
        shape = (raw.height, raw.width) if raw.height and raw.width else (None, None)
        self._take((content, raw.style, raw.id, raw.output), asked, (file, number, *shape, raw.traceparent or None))
        if not unknown and not raw.traceparent:  # which is each row's own
            self._remember(record.cells, raw, given)

    def _take(
        self,
        written: tuple[str | None, str, str, str],
        asked: tuple[StyleParams, int, int],
        rest: tuple[str, int, int | None, int | None, str | None],
    ) -> None:
        """Take a row. What is not given follows from the rest: an id from the request, a picture's name from both.

        Args:
            written: content, resolved; style; id; output; the last three are empty where they are not given.
            asked: parameters; their place among the distinct ones; the seed.
            rest: file, number, height, width and the trace that the row is a part of.
        """
        content, text, given_id, output = written
        params, place, seed = asked
        if (known := self._frames.get((text, place))) is None:
            style, _ = resolved_styles(text, self._parameters.base)
            self.reads_folders |= any(named.endswith("/") for named in each_of("style", text))
            known = style, around_seed(style, params, self._encoder)
            _keep(self._frames, (text, place), known)
        style, frame = known
        derived = request_digest(content, frame, seed)
        id = storage.without_secrets(given_id) or derived.hex()
        self.columns.add_values(
            (id, derived, content, style, output or default_output(id, content, style), place, seed, *rest)
        )

    def _remember(self, cells: Mapping[str, Any], raw: RawRow, given: tuple[Given, Given]) -> None:
        """Remember the cells of a faultless record, so that others with these need no close look.

        Those with a seed among nested parameters are left out, as it must agree with one that has a column.

        Args:
            cells: of the record.
            raw: the same, by column.
            given: parameters that have a column, and nested ones.
        """
        columns, nested = given
        key = _key(cells)
        if len(key) >= KEPT or "seed" in nested or "seed" in by_name(self._settings.values):
            return
        params = self._parameters.read({name: value for name, value in columns.items() if name != "seed"}, nested)
        if isinstance(params, StyleParams):
            repeats = self._settings.repeated(raw.model_extra or {}, raw.params or {})
            _keep(self._alike, key, _Alike(params, self.columns.number_of(params), repeats))

    def _take_at_sight(self, file: str, record: Record) -> bool:
        """Take the row of a record and return True if it is as plain as most are; else it needs a close look.

        It must have a content, as without one it depends on the parameters what else there must be, and the parameters
        of an earlier record that had no fault.
        """
        cells = record.cells
        content, style, id, output = map(cells.get, ("content", "style", "id", "output"))
        style, id, output = style or "", "" if id is None else id, "" if output is None else output
        if not (content and _is_plain(content) and _is_plain(id) and _is_plain(output) and isinstance(style, str)):
            return False
        if len(content) > 4096 or len(id) > 200 or len(output) > 1024 or any(bad_output(output)):
            return False
        if (known := self._alike.get(_key(cells))) is None:
            return False
        seed, height, width = _count(cells.get("seed")), _count(cells.get("height")), _count(cells.get("width"))
        if seed is None or height is None or width is None:
            return False
        has_shape = 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE
        if not has_shape and (height, width) != (_NONE, _NONE):
            return False
        self._settings.own.update(known.repeats)
        self._take(
            (self._resolved(content), style.strip(), id, output),
            (known.params, known.number, known.params.seed if seed == _NONE else seed),
            (file, record.number, *((height, width) if has_shape else (None, None)), None),
        )
        return True

    def _resolved(self, path: str) -> str:
        """Return the URI of a picture; for a relative path without dots and empty parts at once."""
        if path[0] == "/" or path[-1] in "./" or "//" in path or "./" in path:
            return storage.resolve(path, self._parameters.base)
        return self._below + path


def _of_header(file: str, header: Header) -> Iterator[RowProblem | Once]:
    """Yield what is wrong with the names of columns."""
    for name in header.names:
        if name not in WANTED:
            problem = RowProblem(file, header.number, name[:80], "", known_name(name, WANTED))
            yield problem if header.whole else Once(problem, ("name", name))
    if header.whole and not {*PICTURE_COLUMNS} & set(header.names):
        expected = "a header with the columns content and style, separated by commas"
        yield RowProblem(file, header.number, None, shown(", ".join(header.names)), expected)


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    """Keep a value for the next record, of not too many."""
    if len(kept) >= KEPT:
        kept.clear()
    kept[key] = value


def _key(cells: Mapping[str, Any]) -> str:
    """Return what is equal for records whose cells are, but for those of `_OWN`; of these, an odd style takes part.

    One style has as many parameters of its own as any other; a folder, or several with `|` between them, may not.
    """
    style = cells.get("style")
    is_one = _is_plain(style) and 0 < len(style) <= 4096 and SEVERAL not in style and style[-1] != "/"
    return repr((is_one or [style], {name: value for name, value in cells.items() if name not in _OWN}))


def _is_plain(value: object) -> TypeGuard[str]:
    """Return whether a cell is text that may stand as it is written: without control characters and space around it."""
    return isinstance(value, str) and value.isprintable() and value.strip() == value


_NONE = -1
"""What stands for the number in a cell that has none."""


def _count(value: object) -> int | None:
    """Return the number that a cell plainly has, `_NONE` for an empty one, or None where it needs a closer look."""
    if value is None or value == "":
        return _NONE
    if isinstance(value, str):
        return int(value) if len(value) <= 18 and value.isascii() and value.isdecimal() else None
    return value if type(value) is int and 0 <= value < 2**63 else None


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
