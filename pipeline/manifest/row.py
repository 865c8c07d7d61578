"""The rows of a manifest as everything after it uses them, and the problems that a manifest can have."""

import operator
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

from nst_kernel.params import StyleParams
from pipeline import storage
from pipeline.manifest.roles import PICTURE_COLUMNS, PICTURE_PARAMETERS, by_role, each_of
from pipeline.words import counted

EXTENSIONS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")
"""What the name of a manifest may end in."""

SHOWN = 80
"""Characters of a value in a message."""

_picture_values = operator.attrgetter(*PICTURE_COLUMNS, *(f"params.{name}" for name in PICTURE_PARAMETERS))


class _Repr(reprlib.Repr):
    """The representation of values in messages: short, and without secrets in URIs, which are taken out first."""

    def repr_str(self, x: str, level: int) -> str:
        """Return a text in quotes, shortened in its middle."""
        return super().repr_str(storage.without_secrets(x), level)


_repr = _Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = SHOWN
_repr.maxlevel = 3


def extension(file: str) -> str | None:
    """Return which of `EXTENSIONS` a name ends in, or None."""
    name = storage.without_query(file).lower()
    return next((known for known in EXTENSIONS if name.endswith(known)), None)


def shown(value: object) -> str:
    """Return a value as messages show it: one line of at most 80 characters, control characters escaped."""
    text = _repr.repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def place(file: str, number: int | None) -> str:
    """Return where to look in a manifest, in words: `a.csv, line 3`."""
    if number is None:
        return file
    return f"{file}, {'row' if extension(file) in ('.parquet', None) else 'line'} {number}"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing in a manifest that cannot be used.

    Attributes:
        file: URI of the file, or `defaults`.
        number: line (CSV, JSON Lines) or row (Parquet), from 1; None: the whole file.
        column: name as written there, `params.size` for a nested one; None: the whole row.
        value: what stands there, as `shown` gives it; empty if nothing does.
        expected: what was expected, and what to do.
    """

    file: str
    number: int | None
    column: str | None
    value: str
    expected: str

    def __post_init__(self) -> None:
        for name in ("file", "expected"):
            object.__setattr__(self, name, storage.without_secrets(getattr(self, name)))

    def __str__(self) -> str:
        where = place(self.file, self.number)
        if self.column is not None:
            where += f", column {self.column if self.column.isprintable() else shown(self.column)}"
        value = f" {self.value}:" if self.value else ""
        return f"{where}:{value} expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Row:
    """One picture to be computed, as a manifest requests it.

    Attributes:
        id: given, or derived from what decides the picture.
        content: URI of the content picture; None if the row has none, and `params` need none.
        style: URI of the style picture, or of several with `|` between them; None if the row has none, and `params`
            need none.
        output: name of the result below OUTPUT/images/.
        params: every parameter; `init` is resolved too where it is the URI of an image.
        file: the manifest that has the row.
        number: its line (CSV, JSON Lines; a CSV header is line 1) or row (Parquet) in that file, from 1.
        content_shape: (height, width) of the content picture as it is shown, pixels, where the manifest has it.
        traceparent: the trace that the row is a part of, as W3C's Trace Context writes it, where the manifest has one.
    """

    id: str
    content: str | None
    style: str | None
    output: str
    params: StyleParams
    file: str
    number: int
    content_shape: tuple[int, int] | None = None
    traceparent: str | None = None

    def pictures(self) -> dict[str, tuple[str, ...]]:
        """Return the URIs of every picture that the row reads, by role, in the order of `ROLES`."""
        return by_role(_picture_values(self))

    def uris(self) -> list[str]:
        """Return the URIs of every picture that the row reads, in the order of `pictures`."""
        return [uri for uris in self.pictures().values() for uri in uris]

    @property
    def deciding(self) -> str | None:
        """URI of the picture that decides the shape of the output: the content, or else the heaviest style."""
        if self.content or not self.style:
            return self.content
        styles = each_of("style", self.style)
        return styles[self.params.heaviest(len(styles))]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that requests the same as an earlier row with its id; it is left out.

    Attributes:
        id: of both.
        file: of the manifest that the row is in.
        number: of its line or row in it.
        first: where the earlier row is, in words.
    """

    id: str
    file: str
    number: int
    first: str


@dataclass(frozen=True)
class Manifest:
    """Rows of distinct ids, in the order of the files.

    Attributes:
        rows: of the manifest.
        duplicates: that only repeat one of them.
        remarks: on parameters that were asked for beside it.
    """

    rows: Sequence[Row]
    duplicates: list[Duplicate]
    remarks: tuple[str, ...] = ()


class ManifestError(ValueError):
    """A manifest that cannot be used; `problems` lists every problem, those of whole files before those of rows."""

    def __init__(self, problems: list[RowProblem]) -> None:
        self.problems = problems = sorted(problems, key=lambda problem: problem.number is not None)
        lines = [f"the manifest has {counted(len(problems), 'problem')}", *map(str, problems[:20])]
        if len(problems) > 20:
            lines.append(f"and {len(problems) - 20:,} more")
        super().__init__("\n  ".join(lines))
