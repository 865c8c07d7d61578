"""Canonical spellings of places, by which two names of one file or folder are known to be one."""

import itertools
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.storage.errors import StorageError
from pipeline.storage.uris import VERSION, local_path, split_scheme

_ALIASES = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}
"""Schemes that mean the same store as another one."""

_NAMES_TRIED = 20
"""Names in a folder of which one may tell whether case matters there."""


def plain(uri: str) -> str:
    """Return a URI as listings spell it: a path of this machine is absolute, other schemes have one spelling each."""
    path = local_path(uri)
    if path is not None:
        return path if path.startswith("/") else str(Path(path).absolute())
    scheme, rest = split_scheme(uri)
    return f"{_ALIASES.get(scheme.lower(), scheme.lower())}://{rest.lstrip('/')}"


def relative(uri: str, folder: str) -> str:
    """Return the path of a file below a folder, however each of them is spelled; empty for the folder itself."""
    return plain(uri).removeprefix(plain(folder).rstrip("/")).removeprefix("/")


def canonical(uri: str) -> str:
    """Return the one spelling of a file or folder, all links followed. It is for comparisons: nothing is opened by it.

    A path of this machine becomes absolute; where its file system ignores case, so does the spelling. In other URIs
    aliases of schemes, double slashes and dots are resolved, and a version that is asked for is left out.
    """
    path = local_path(uri)
    return _of_store(uri) if path is None else _folding(path)(os.path.realpath(Path(path).absolute()))


class Places:
    """Canonical spellings of many files, each as a place: a link there is not followed, since a writer replaces it.

    Links in folders above are followed. Each folder is looked up once, so that a million files take a second.
    """

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, Callable[[str], str]]] = {}

    def __call__(self, uri: str) -> str:
        """Return the canonical spelling of a place."""
        path = local_path(uri)
        folder, slash, name = (path or "").rpartition("/")
        if path is None or name in ("", ".", ".."):
            return canonical(uri)
        folder = folder or slash or "."
        if folder not in self._folders:
            self._folders[folder] = canonical(folder), _folding(folder)
        where, fold = self._folders[folder]
        return f"{where.rstrip('/')}/{fold(name)}"


def is_within(place: str, folder: str) -> bool:
    """Return whether a place is a folder or below it; both are canonical."""
    return f"{place}/".startswith(f"{folder.rstrip('/')}/")


def check_inside(uri: str, folder: str, *, follow: bool = False) -> None:
    """Check that a place is below a folder, so that no link and no `..` has led out of it.

    Args:
        uri: of the file.
        folder: that it must be below.
        follow: whether the file is to be read, so that it counts where it leads if it is a link itself; a writer
            replaces the link.

    Raises:
        StorageError: if it is not.
    """
    if follow and not _may_lead_elsewhere(uri, folder):
        return
    place, above = canonical(uri) if follow else Places()(uri), canonical(folder)
    if place == above or not is_within(place, above):
        raise StorageError(
            f"{uri} is refused: it is {place}, expected a place below {folder}; if a link leads there, remove it"
        )


def _may_lead_elsewhere(uri: str, folder: str) -> bool:
    """Return whether a path below a folder has links in it, or is not spelled as one below it.

    Of a file of this machine each part below the folder is looked up once, which takes some microseconds.
    """
    whole, top = plain(uri), plain(folder).rstrip("/")
    names = whole.removeprefix(f"{top}/").split("/")
    if not whole.startswith(f"{top}/") or not {"", ".", ".."}.isdisjoint(names):
        return True
    below = itertools.accumulate(names, os.path.join, initial=top)
    return local_path(uri) is not None and any(map(os.path.islink, itertools.islice(below, 1, None)))


def is_link(uri: str) -> bool:
    """Return whether a file is a symbolic link on this machine."""
    path = local_path(uri)
    return path is not None and Path(path).is_symlink()


def links_in(folder: str) -> Iterator[str]:
    """Yield the names of the symbolic links in a folder of this machine; nothing for other stores."""
    path = local_path(folder)
    if path is None:
        return
    try:
        with os.scandir(path or "/") as listed:
            yield from (entry.name for entry in listed if entry.is_symlink())
    except OSError:  # what cannot be listed is complained of where it is read
        return


def _of_store(uri: str) -> str:
    """Return the canonical spelling of a URI that is no path of this machine."""
    scheme, rest = split_scheme(plain(uri))
    if scheme == "s3":
        rest = rest.partition(VERSION)[0]
    return f"{scheme}://{posixpath.normpath(f'/{rest}').lstrip('/')}"


def _exactly(text: str) -> str:
    """Return a name as it is."""
    return text


def _folded(text: str) -> str:
    """Return a name in the one spelling that stands for all spellings that a file system takes for one name."""
    return unicodedata.normalize("NFC", text).casefold()


def _folding(path: str) -> Callable[[str], str]:
    """Return how names at a path of this machine are spelled: exactly, or folded where their file system ignores case.

    The deepest folder that exists decides, by a name in it that has letters, else by its own name.
    """
    folder = Path(path).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    with_letters = (name for name in _some_names(folder) if name.swapcase() != name)
    known = next(with_letters, None)
    if known is None and not folder.is_mount():
        folder, known = folder.parent, folder.name
    return _folded if known and _is_one_file(folder / known, folder / known.swapcase()) else _exactly


def _some_names(folder: Path) -> list[str]:
    """Return a few names in a folder; none if it cannot be listed."""
    try:
        with os.scandir(folder) as listed:
            return [entry.name for entry in itertools.islice(listed, _NAMES_TRIED)]
    except OSError:
        return []


def _is_one_file(one: Path, other: Path) -> bool:
    """Return whether two names lead to one file or folder."""
    try:
        return one.samefile(other)
    except OSError:
        return False
