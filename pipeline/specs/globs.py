"""Patterns of files: `*`, `?` and `[…]` within a name, `**` for any folders, as in shells and pathlib.

Unlike there, case does not count: `*.jpg` fits IMG_1.JPG too, as cameras call their files.
"""

import functools
import posixpath
import re

from pipeline import storage
from pipeline.images import EXTENSIONS

RAW = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    *(".raw", ".rwl", ".3fr", ".fff", ".iiq", ".x3f", ".erf", ".kdc", ".dcr", ".mos", ".mrw", ".mef", ".gpr"),
)
"""Extensions of what cameras write before it is a picture, in any case."""

SYSTEM_FOLDERS = ("@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information", "__macosx")
"""Folders that storage devices and systems keep for themselves, in small letters: previews, deleted files, remains."""

_WILD, _ESCAPED = re.compile(r"[*?[]"), re.compile(r"\[([*?[])\]")


def is_glob(text: str) -> bool:
    """Return whether a path or URI is a pattern: has wildcards that are not `escaped`.

    The query of a web address is none, nor is the version of an object on S3.
    """
    return bool(_WILD.search(_ESCAPED.sub("", storage.without_query(text))))


def escaped(text: str) -> str:
    """Return a pattern that matches only the given text."""
    return _WILD.sub(r"[\g<0>]", text)


def literal(text: str) -> str:
    """Return the text that `escaped` made a pattern of."""
    return _ESCAPED.sub(r"\1", text)


def with_literal_names(uri: str, base: str) -> str:
    """Return a pattern in which names that exist exactly as they are written are escaped, from the first one on.

    In object stores, whose names have brackets but hardly ever `*` or `?`, only names with brackets are looked up.

    Args:
        uri: the pattern.
        base: the folder that a relative one starts from.
    """
    if not is_glob(uri):
        return uri
    names = uri.split("/")
    for place, name in enumerate(names):
        if not is_glob(name):
            continue
        whole = storage.absolute(storage.resolve("/".join([*map(literal, names[:place]), name]), base))
        if (storage.is_uri(whole) and {"*", "?"} & set(name)) or not storage.exists(whole):
            break
        names[place] = escaped(name)
    return "/".join(names)


def none_fits(uri: str) -> str:
    """Return what to say, behind an error, of a pattern that nothing fits; empty unless it has brackets."""
    if "[" not in _ESCAPED.sub("", uri):
        return ""
    name = escaped(literal(uri))
    return f"; [ ] stands for one of several letters: a name that has them itself is written with [[] for [, as {name}"


def split(uri: str) -> tuple[str, str | None]:
    """Split a pattern into the folder above its first wildcard and the rest; None where there is no wildcard."""
    names = uri.split("/") if is_glob(uri) else []
    for place, name in enumerate(names):
        if is_glob(name):
            root = literal("/".join(names[:place]))
            return root or ("/" if place else "."), "/".join(names[place:])
    return literal(uri), None


def matches(pattern: str, path: str) -> bool:
    """Return whether a relative path fits a pattern; one without a slash is for names in any folder."""
    return bool(_compiled(pattern if "/" in pattern else f"**/{pattern}").match(path))


def covers(pattern: str, folder: str) -> bool:
    """Return whether a pattern fits every file below a folder: it ends in `**` after that folder or one above."""
    head, slash, last = pattern.rpartition("/")
    names = folder.split("/")
    above = ("/".join(names[: count + 1]) for count in range(len(names)))
    return last == "**" and (not slash or any(_compiled(head).match(path) for path in above))


def extension(path: str) -> str:
    """Return the extension of a name, with its dot; empty where it has none."""
    return posixpath.splitext(storage.without_query(path))[1]


def is_picture(path: str) -> bool:
    """Return whether a name has the extension of a picture."""
    return storage.without_query(path).lower().endswith(EXTENSIONS)


def is_raw(path: str) -> bool:
    """Return whether a name has the extension of a camera's raw file."""
    return storage.without_query(path).lower().endswith(RAW)


def is_hidden(path: str) -> bool:
    """Return whether a file or a folder of a path is hidden: its name starts with a dot."""
    return path.startswith(".") or "/." in path


def stem(uri: str) -> str:
    """Return the name of a file without its extension."""
    name = storage.without_query(uri).rpartition("/")[2]
    return name.rpartition(".")[0] or name


def found(uri: str) -> list[str]:
    """List the files that a pattern fits, sorted, without hidden ones.

    Raises:
        ValueError: if there are none.
        StorageError: if the folder cannot be listed.
    """
    root, pattern = split(uri)
    below = [(entry.uri, relative(entry.uri, root)) for entry in storage.walk(root)]
    fitting = sorted(file for file, path in below if not is_hidden(path) and matches(pattern or "**", path))
    if not fitting:
        raise ValueError(f"{uri}: expected at least one file that fits{none_fits(uri)}")
    return fitting


def relative(uri: str, root: str) -> str:
    """Return the path of a file relative to a folder."""
    return storage.relative(uri, root)


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of relative paths; as in pathlib, `**` at the end stands for files at any depth.

    Object stores allow folders without a name.
    """
    names = pattern.split("/")
    parts = ["(?:[^/]*/)*" if name == "**" else _name(name) + "/" for name in names[:-1]]
    parts.append("(?:[^/]*/)*[^/]+" if names[-1] == "**" else _name(names[-1]))
    return re.compile("".join(parts) + r"\Z", re.DOTALL | re.IGNORECASE)


def _name(pattern: str) -> str:
    """Return the regular expression for one path component of a glob pattern, such as `*.jpg`."""
    expression, place = "", 0
    while place < len(pattern):
        letter = pattern[place]
        end = pattern.find("]", place + 2) if letter == "[" else -1
        if letter in "*?":
            expression += "[^/]*" if letter == "*" else "[^/]"
        elif end > 0:
            inside = pattern[place + 1 : end].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
            expression += f"[^{inside[1:]}/]" if inside.startswith("!") else f"[{inside}]"
            place = end
        else:
            expression += re.escape(letter)
        place += 1
    return expression
