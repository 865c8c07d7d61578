"""The styles that a row names: a picture, several with `|` between them, or all pictures of a folder."""

import functools
import posixpath
import sys
from collections.abc import Iterator

from nst_kernel.params import StyleParams
from pipeline import storage
from pipeline.images import EXTENSIONS
from pipeline.manifest.columns import Complaint
from pipeline.manifest.roles import SEVERAL, each_of
from pipeline.manifest.row import shown


@functools.lru_cache(4096)
def resolved_styles(text: str, base: str) -> tuple[str | None, str]:
    """Return the URIs of styles, with `|` between them, and what is wrong with them; empty where nothing is.

    Equal texts are one object in memory, as rows are many and styles few.

    Args:
        text: as a row has it; a name that ends in a slash is a folder, and stands for the pictures in it.
        base: the folder that relative paths start from.
    """
    uris: list[str] = []
    for named in each_of("style", text):
        uri = storage.resolve(named, base)
        if not named.endswith("/"):
            uris.append(uri)
            continue
        try:
            uris += _pictures_in(uri)
        except (storage.StorageError, ValueError) as error:
            return None, f"a folder of style pictures: {error}"
    return sys.intern(SEVERAL.join(uris)) if uris else None, ""


def _pictures_in(folder: str) -> list[str]:
    """Return the URIs of the pictures right in a folder, sorted.

    Raises:
        ValueError: if there is none, or one whose name has a `|`.
        StorageError: if it cannot be listed.
    """
    names = [(entry.uri, posixpath.basename(entry.uri)) for entry in storage.walk(folder, leave_out=lambda _: "below")]
    pictures = sorted(uri for uri, name in names if name[:1] != "." and name.lower().endswith(EXTENSIONS))
    if not pictures:
        raise ValueError(f"{folder} has no picture")
    if strange := [uri for uri in pictures if SEVERAL in uri]:
        raise ValueError(f"{strange[0]} has a {SEVERAL} in its name, which stands between styles: rename it")
    return pictures


def bad_styles(text: str, base: str, params: object) -> Iterator[Complaint]:
    """Yield what is wrong with the styles of a row, and each parameter that has not as many values as there are.

    Args:
        text: as a row has it.
        base: the folder that relative paths start from.
        params: the style parameters, or whatever is in their place where they cannot be used.
    """
    styles, fault = resolved_styles(text, base)
    if fault:
        yield "style", shown(text), fault
    elif isinstance(params, StyleParams):
        for problem in params.misfits(len(each_of("style", styles))):
            yield problem.name, shown(problem.value), problem.expected
