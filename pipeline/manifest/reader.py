"""The reader of manifests: rows with resolved parameters and stable ids, or every problem at once."""

import dataclasses
import heapq
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nst_kernel.params import ALIASES, ParamError, StyleParams
from pipeline import layout, storage
from pipeline.manifest.distinct import repeated
from pipeline.manifest.formats import Records, Source, described, each
from pipeline.manifest.in_order import in_order
from pipeline.manifest.on_cluster import read_by_tasks
from pipeline.manifest.origin import has_secrets, origin_of
from pipeline.manifest.partitions import partition_of, unknown_folder
from pipeline.manifest.parts import MAX_PROBLEMS, Gathering, How, Noted, Task
from pipeline.manifest.pieces import BYTES, Piece, cut
from pipeline.manifest.row import EXTENSIONS, Duplicate, Manifest, ManifestError, Row, RowProblem, extension, shown
from pipeline.manifest.row_reader import WANTED
from pipeline.manifest.rows import Origin, Rows
from pipeline.manifest.settings import Settings
from pipeline.process import garbage as collector


@collector.paused()
def read_manifest(
    source: Source,
    *,
    encoder_sha256: str,
    defaults: Mapping[str, object] | None = None,
    settings: Settings | None = None,
    connect: Callable[[], object] | None = None,
    kept: Callable[[str], Manifest | None] | None = None,
) -> Manifest:
    """Return every row of a manifest, or raise with every problem of it.

    Args:
        source: a file, a folder of files, or several of either, at any URI. In a folder, files of other kinds, those
            whose names start with a dot or an underscore, and what runs have left there are passed over. Or rows at
            hand, whose relative paths start where this process is.
        encoder_sha256: of the encoder's weights, part of a derived id.
        defaults: style parameters for rows that do not give them. They must be valid by themselves.
        settings: those of them that somebody asked for now, so that rows which give them too are counted or overruled.
        connect: connects to a cluster, or starts one, that reads a large manifest; None: this process reads it, or the
            cluster that it is connected to.
        kept: returns what an earlier run has kept of a manifest, by the digest of its origin; None: nobody keeps any.

    Raises:
        ManifestError: if anything cannot be used, or there is no row.
    """
    how = How(encoder_sha256, defaults or {}, settings or Settings())
    tasks = list(_tasks(source))
    origin = origin_of(tasks, how) if kept else ""
    if kept and origin and (manifest := kept(origin)):
        return manifest
    read = _read(source, tasks, how, connect)
    if problems := list(read.problems()):
        raise ManifestError(problems)
    rows, duplicates, remarks = read.distinct(), read.duplicates(), how.settings.remarks(len(read.rows))
    # What was changed meanwhile, follows from what else is in a folder, or must not be written, is not kept.
    if origin and read.is_settled and not has_secrets(rows) and origin_of(tasks, how) == origin:
        rows.origin = Origin(origin, duplicates, remarks)
    return Manifest(rows, duplicates, remarks)


def iter_rows(
    source: Source,
    *,
    encoder_sha256: str,
    defaults: Mapping[str, object] | None = None,
    settings: Settings | None = None,
) -> Iterator[Row | Duplicate | RowProblem]:
    """Yield the rows of a manifest one at a time, and each problem at the point where it occurs.

    Arguments are those of `read_manifest`; no cluster is connected to. Ends after `MAX_PROBLEMS` problems, and with one
    more that says so.
    """
    read = _read(source, list(_tasks(source)), How(encoder_sha256, defaults or {}, settings or Settings()))
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


class _Read(NamedTuple):
    """What was read of a manifest.

    Attributes:
        rows: those that can be used by themselves, in the order of the files.
        noted: problems of files and rows, in the order in which they occurred.
        later: by the place of a row that repeats an earlier one or conflicts with it, what it is instead of a row.
        is_settled: whether rows follow from their files alone, and not from what else is in a folder.
    """

    rows: Rows
    noted: list[Noted]
    later: Mapping[int, RowProblem | Duplicate]
    is_settled: bool

    def problems(self) -> Iterator[RowProblem]:
        """Yield each problem, up to the limit, in the order of the files."""
        conflicts = (Noted(place, item) for place, item in self.later.items() if isinstance(item, RowProblem))
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


def _read(source: Source, tasks: Sequence[Task], how: How, connect: Callable[[], object] | None = None) -> _Read:
    """Return what a manifest holds.

    Args:
        source: as for `read_manifest`.
        tasks: what its parts are read from.
        how: its rows are read; its settings count which of them give what was asked for.
        connect: as for `read_manifest`.
    """
    usable, wrong = _usable(how.defaults)
    how = how._replace(defaults=usable)
    gathering = Gathering(how.encoder_sha256, wrong)
    for part, records in in_order(read_by_tasks(tasks, how, connect), how):
        how.settings.own.update(part.own)
        gathering.add(part, records)
        if gathering.is_full:
            break
    rows, noted = gathering.rows(), gathering.noted
    collector.give_back()
    if not rows and not noted[len(wrong) :]:
        nothing = ", ".join(described(source))[:200] or "manifest"
        noted.append(Noted(0, RowProblem(nothing, None, None, "", "at least one row")))
    return _Read(rows, noted, repeated(rows), gathering.is_settled)


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


def _tasks(source: Source) -> Iterator[Task]:
    """Yield what parts of a source are read from, in its order: small files together, of large ones each piece."""
    together: list[Piece] = []
    for one in _named(source):
        if isinstance(one, Piece) and one.is_whole and sum(map(_weight, (*together, one))) <= BYTES:
            together.append(one)
            continue
        if together:
            yield tuple(together)
            together = []
        yield (one,) if isinstance(one, Piece) else one
    if together:
        yield tuple(together)


_TO_OPEN = 64 * 1024
"""Bytes that are read in the time in which a file is opened."""


def _weight(whole: Piece) -> int:
    """Return how many bytes a file has, and what it costs to open it."""
    return BYTES if whole.length is None else _TO_OPEN + whole.length


def _named(source: Source) -> Iterator[Piece | Records | RowProblem]:
    """Yield what a source names, in its order: each file once, in pieces."""
    met: set[str] = set()
    folders: set[str] = set()  # names that folders give and that were complained of
    for one in each(source):
        if isinstance(one, Records):
            yield one
            continue
        named = [file for file in _files(one) if not (isinstance(file, str) and file in met)]
        files = [file for file in named if isinstance(file, str)]
        met.update(files)
        uris = map(storage.absolute, files)
        wholes = [Piece(file, uri, partition_of(file, one)) for file, uri in zip(files, uris, strict=True)]
        yield from (file for file in named if isinstance(file, RowProblem))
        for pieces in storage.map_in_threads(cut, wholes, threads=storage.Policy.from_environment().concurrency):
            yield from _unknown_folders(pieces[0], folders)
            known = {name: value for name, value in pieces[0].columns.items() if name in WANTED}
            yield from (dataclasses.replace(piece, columns=known) for piece in pieces)


def _unknown_folders(piece: Piece, folders: set[str]) -> Iterator[RowProblem]:
    """Yield a problem for each folder of a file that gives a column which no manifest has, by its name once.

    Args:
        piece: the first one of the file.
        folders: names that have been complained of.
    """
    for name in piece.columns.keys() - WANTED - folders:
        folders.add(name)
        yield unknown_folder(storage.without_secrets(piece.file), name, piece.columns[name])


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
