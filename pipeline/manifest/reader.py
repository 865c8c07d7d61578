"""The reader of manifests: rows with resolved parameters and stable ids, or every problem at once."""

import heapq
import itertools
import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from nst_kernel.params import ALIASES, ParamError, StyleParams
from pipeline import layout, storage
from pipeline.manifest.distinct import repeated
from pipeline.manifest.formats import Records, Source, described, each, read_table
from pipeline.manifest.partitions import partition_of, unknown_folder, with_partition
from pipeline.manifest.row import EXTENSIONS, Duplicate, Manifest, ManifestError, Row, RowProblem, extension, shown
from pipeline.manifest.row_reader import WANTED, RowReader
from pipeline.manifest.rows import Rows
from pipeline.manifest.settings import Settings
from pipeline.process import garbage as collector


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
    settings = settings or Settings()
    read = _read(source, encoder_sha256, defaults, settings)
    if problems := list(read.problems()):
        raise ManifestError(problems)
    return Manifest(read.distinct(), read.duplicates(), settings.remarks(len(read.rows)))


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

    Arguments are those of `read_manifest`. Ends after `MAX_PROBLEMS` problems, and with one more that says so.
    """
    read = _read(source, encoder_sha256, defaults, settings or Settings())
    yield from _up_to_limit(read.items())


def _up_to_limit(items: Iterator[Row | Duplicate | RowProblem]) -> Iterator[Row | Duplicate | RowProblem]:
    """Yield items up to the problem that is one too many, and then one that says so."""
    problems = 0
    for item in items:
        yield item
        if isinstance(item, RowProblem):
            problems += 1
            if problems == MAX_PROBLEMS:
                expected = f"fewer problems: reading stopped after the first {problems:,}, so there may be more"
                yield RowProblem(item.file, None, None, "", expected)
                return


class _Noted(NamedTuple):
    """A problem, and how many rows were read before it."""

    before: int
    problem: RowProblem


class _Read(NamedTuple):
    """What was read of a manifest.

    Attributes:
        rows: those that can be used by themselves, in the order of the files.
        noted: problems of files and rows, in the order in which they occurred.
        later: by the place of a row that repeats an earlier one or conflicts with it, what it is instead of a row.
    """

    rows: Rows
    noted: list[_Noted]
    later: Mapping[int, RowProblem | Duplicate]

    def problems(self) -> Iterator[RowProblem]:
        """Yield each problem, up to the limit, in the order of the files."""
        conflicts = (_Noted(place, item) for place, item in self.later.items() if isinstance(item, RowProblem))
        # What is wrong with a row was noted before the next one was read.
        ordered = heapq.merge(self.noted, conflicts, key=lambda noted: noted.before)
        yield from (item for item in _up_to_limit(noted.problem for noted in ordered) if isinstance(item, RowProblem))

    def duplicates(self) -> list[Duplicate]:
        """Return the rows that repeat others."""
        return [item for item in self.later.values() if isinstance(item, Duplicate)]

    def distinct(self) -> Rows:
        """Return the rows without those that repeat others."""
        if not self.later:
            return self.rows
        is_first = np.ones(len(self.rows), bool)
        is_first[list(self.later)] = False
        return self.rows.at(np.flatnonzero(is_first))

    def items(self) -> Iterator[Row | Duplicate | RowProblem]:
        """Yield each row, duplicate and problem in the order of the files."""
        noted = iter([*self.noted, None])
        following = next(noted)
        for place, row in enumerate(self.rows):
            while following and following.before <= place:
                yield following.problem
                following = next(noted)
            yield self.later.get(place, row)
        while following:
            yield following.problem
            following = next(noted)


def _read(source: Source, encoder_sha256: str, defaults: Mapping[str, object] | None, settings: Settings) -> _Read:
    """Return what a manifest holds; arguments are those of `read_manifest`."""
    usable, wrong = _usable(defaults or {})
    reader = RowReader(encoder_sha256, usable, settings)
    problems = itertools.chain(wrong, _problems_of(source, reader))
    noted = [_Noted(reader.columns.count, problem) for problem in itertools.islice(problems, MAX_PROBLEMS)]
    rows = reader.columns.rows()
    if not rows and not noted[len(wrong) :]:
        nothing = ", ".join(described(source))[:200] or "manifest"
        noted.append(_Noted(0, RowProblem(nothing, None, None, "", "at least one row")))
    return _Read(rows, noted, repeated(rows))


def _usable(defaults: Mapping[str, object]) -> tuple[dict[str, object], list[RowProblem]]:
    """Return those defaults that can be used, and what is wrong with the others."""
    try:
        StyleParams.of({}, defaults=defaults)
    except ParamError as error:
        problems = [
            RowProblem("defaults", None, each.name, shown(each.value), each.expected) for each in error.problems
        ]
        bad = {each.name for each in error.problems}
        return {name: value for name, value in defaults.items() if ALIASES.get(name, name) not in bad}, problems
    return dict(defaults), []


def _problems_of(source: Source, reader: RowReader) -> Iterator[RowProblem]:
    """Yield the problems of everything that a source names, while a reader takes the rows."""
    met: set[str] = set()
    folders: set[str] = set()  # names that folders give and that were complained of
    for one in each(source):
        if isinstance(one, Records):
            yield from reader.read(one.name, storage.absolute("."), one.read(wanted=WANTED))
            continue
        for file in _files(one):
            if isinstance(file, RowProblem):
                yield file
            elif file not in met:
                met.add(file)
                yield from _problems_of_file(file, partition_of(file, one), reader, folders)


def _problems_of_file(
    file: str, partition: Mapping[str, str], reader: RowReader, folders: set[str]
) -> Iterator[RowProblem]:
    """Yield the problems of one file, whose folders may give columns for all its rows, while a reader takes these."""
    named = storage.without_secrets(file)
    for name in partition.keys() - WANTED - folders:
        folders.add(name)
        yield unknown_folder(named, name, partition[name])
    items = read_table(file, wanted=WANTED)
    known = {name: value for name, value in partition.items() if name in WANTED}
    base = storage.parent(storage.absolute(file))
    yield from reader.read(named, base, with_partition(named, items, known) if known else items)


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
