"""The small copies of pictures on the page, named after what they show, so that a later page finds them."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import storage
from pipeline.options import Decoding
from pipeline.report.copier import NAME, THUMB, Copier, Wanted, copies_made
from pipeline.report.links import is_web

LOOKING = 16
"""Pictures whose versions are looked up one by one at once: that is waiting, not work."""

FEW = 1000
"""Pictures that are looked up one by one; of more, folders are listed."""

LOOKING_SHARE = 0.5
"""Share of the time that looking up what pictures are may take."""

NEIGHBOURS = 2000
"""Copies of one kind that are made before those of the next: the page begins with contents and results of some rows."""

NONE = b""
"""In the place of the name of a copy that there is not."""

Names = NDArray[np.bytes_]
"""Names of copies, 20 bytes each, or `NONE`."""


@dataclass
class Copies:
    """The small copies that a page shows of some pictures.

    Attributes:
        uri: returns where a picture is, by its number.
        thumbs: names of their thumbnails.
        views: names of their larger copies.
        sides: pixels of the long sides of those; a number for all, or one for each.
        first: number of the picture from which on they are made first: styles come after contents, and many rows show
            each of them.
    """

    uri: Callable[[int], str]
    thumbs: Names
    views: Names
    sides: Any
    first: int = 0

    def keep(self, there: Names) -> None:
        """Drop the names of copies that could not be made.

        Args:
            there: names of copies that exist.
        """
        self.thumbs = np.where(np.isin(self.thumbs, there), self.thumbs, NONE)
        self.views = np.where(np.isin(self.views, there), self.views, NONE)

    def wanted(self, number: int, missing: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> Wanted:
        """Return what is to be made of a picture: its URI, and the side of each copy by name.

        Args:
            number: of the picture.
            missing: for each picture, whether its thumbnail is to be made, and whether its larger copy is.
        """
        sides = self.sides if isinstance(self.sides, int) else int(self.sides[number])
        both = ((self.thumbs, THUMB, missing[0]), (self.views, sides, missing[1]))
        return self.uri(number), {names[number].decode(): side for names, side, lacks in both if lacks[number]}


def no_names(count: int) -> Names:
    """Return an array for names of copies of so many pictures."""
    return np.zeros(count, "S20")


class Shelf:
    """The small copies of the pictures of one page."""

    def __init__(self, folder: str, *, seconds: float | None = None) -> None:
        """Name the folder of the copies.

        Args:
            folder: any URI.
            seconds: after which no more copies are begun; None: any number.
        """
        self.late = 0
        self.copier = Copier(folder)
        self._seconds, self._began = seconds, time.monotonic()
        self._there = no_names(0)
        self._groups: Sequence[Copies] = ()

    def begin(self, limits: Decoding) -> None:
        """Begin to look at pictures: from now on the seconds count.

        Args:
            limits: what decoding one may take.
        """
        self.copier, self._began = Copier(self.copier.folder, limits), time.monotonic()

    def versions(self, uris: Collection[str]) -> dict[str, str | None]:
        """Return by URI what changes with a picture; None for one that cannot be read, or for which there was no time.

        Each request to a store that is gone is repeated for minutes: of many pictures the first ones tell.
        """
        wanted, known = list(uris), dict[str, str | None]()
        if not self._has_time(LOOKING_SHARE):
            self.late += len(wanted)
            return dict.fromkeys(wanted)
        one_by_one = wanted if len(wanted) <= FEW else [*wanted[:LOOKING], *filter(is_web, wanted[LOOKING:])]
        with ThreadPoolExecutor(LOOKING) as pool:
            known |= zip(one_by_one, pool.map(self.copier.identity, one_by_one), strict=True)
        rest = [uri for uri in wanted if uri not in known]
        listed = storage.identities([uri for uri in rest if not self.copier.is_lost(uri)])
        known |= {uri: None if isinstance(tag, storage.StorageError) else tag for uri, tag in listed.items()}
        return {uri: known.get(uri) for uri in wanted}

    def make(self, groups: Sequence[Copies]) -> None:
        """Create the copies that are wanted and not there yet, many at once: by tasks where there is a Ray cluster.

        The names of those that could not be had are dropped from the groups; `late` counts the pictures for which
        there was no time.

        Args:
            groups: copies of pictures of one kind each; they take turns.

        Raises:
            StorageError: if copies cannot be listed or written.
        """
        self._there = self._listed()
        self._groups = groups
        todo, pictures = _missing(groups, self._there)
        begun = 0
        made: list[bytes] = []

        def in_time() -> Iterator[Wanted]:
            nonlocal begun
            for wanted in todo:
                if not self._has_time(1.0):
                    return
                begun += 1
                yield wanted

        for names in copies_made(self.copier, in_time(), pictures):
            made += (name.encode() for name in names)
        self.late += pictures - begun
        there = np.concatenate([self._there, np.array(made, "S20")])
        for group in groups:
            group.keep(there)

    def tidy(self) -> None:
        """Delete copies that were not wanted; none where there was no time to find out what is wanted.

        Raises:
            StorageError: if one cannot be deleted.
        """
        if self.late:
            return
        old = self._there
        for group in self._groups:
            old = old[~(np.isin(old, group.thumbs) | np.isin(old, group.views))]
        with ThreadPoolExecutor(LOOKING) as pool:
            for start in range(0, len(old), NEIGHBOURS):
                list(pool.map(lambda name: storage.remove(self.copier.file(name.decode())), old[start:][:NEIGHBOURS]))

    def _has_time(self, share: float) -> bool:
        """Return whether less than a share of the seconds has passed."""
        return self._seconds is None or time.monotonic() - self._began < share * self._seconds

    def _listed(self) -> Names:
        """Return the names of the copies that are in the folder."""
        names = (entry.uri.rpartition("/")[2] for entry in storage.walk(self.copier.folder))
        try:
            return np.fromiter((name.encode()[:20] for name in names if NAME.fullmatch(name)), "S20")
        except storage.NotFound:
            return no_names(0)


def in_order(numbers: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Return numbers in order, but those from `first` on before all others."""
    return np.concatenate([numbers[numbers >= first], numbers[numbers < first]])


def _missing(groups: Sequence[Copies], there: Names) -> tuple[Iterator[Wanted], int]:
    """Return what is to be made, each copy once, and of how many pictures."""
    known, masks = there, []
    for group in groups:
        both = []
        for names in (group.thumbs, group.views):
            _, first = np.unique(names, return_index=True)
            lacks = np.zeros(len(names), np.bool_)
            lacks[first] = True
            lacks &= (names != NONE) & ~np.isin(names, known)
            known = np.concatenate([known, names[lacks]])
            both.append(lacks)
        masks.append((both[0], both[1]))
    todo = [in_order(np.flatnonzero(m[0] | m[1]), group.first) for group, m in zip(groups, masks, strict=True)]

    def in_turn() -> Iterator[Wanted]:
        for start in itertools.count(0, NEIGHBOURS):
            if not any(len(numbers) > start for numbers in todo):
                return
            for group, numbers, mask in zip(groups, todo, masks, strict=True):
                yield from (group.wanted(int(number), mask) for number in numbers[start : start + NEIGHBOURS])

    return in_turn(), sum(map(len, todo))
