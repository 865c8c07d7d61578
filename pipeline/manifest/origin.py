"""What the rows of a manifest follow from, as a digest: where it is what it was, so are the rows."""

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from pipeline import storage
from pipeline.manifest.parts import How, Task
from pipeline.manifest.pieces import Piece
from pipeline.manifest.roles import PICTURE_PARAMETERS
from pipeline.manifest.rows import Rows

WORTH_KEEPING = 2**20
"""Bytes of files from which on their rows are worth keeping: below, they are read as soon."""


def origin_of(tasks: Sequence[Task], how: How) -> str:
    """Return a digest of everything that rows follow from; empty where it is not known, or they are few.

    Of rows at hand nothing is known, and of files on the web nothing that can be relied upon.

    Args:
        tasks: what rows are read from.
        how: they are read.
    """
    pieces = [piece for task in tasks if isinstance(task, tuple) for piece in task]
    files = {piece.uri: piece for piece in pieces}
    lengths = [piece.length or 0 for piece in files.values()]
    if not all(isinstance(task, tuple) for task in tasks) or sum(lengths) < WORTH_KEEPING:
        return ""
    identities = [] if any(map(storage.is_on_the_web, files)) else list(storage.identities(list(files)).values())
    if not identities or any(isinstance(identity, storage.StorageError) for identity in identities):
        return ""
    parts = {
        "files": [[*_named(piece), str(identity)] for piece, identity in zip(files.values(), identities, strict=True)],
        "defaults": how.defaults,
        "settings": [how.settings.values, how.settings.override],
        "encoder": how.encoder_sha256,
        "code": code(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()


def _named(piece: Piece) -> tuple[object, ...]:
    """Return how a file is named, where it lies, and which columns its folders give to its rows."""
    return piece.file, piece.uri, dict(piece.columns)


def has_secrets(rows: Rows) -> bool:
    """Return whether a URI of a row has a password, a signature or a key, which is written nowhere."""
    contents = rows.column("content")
    # Few have a user or a query.
    suspects = contents.filter(pc.match_substring_regex(contents, "[?@]").fill_null(False)).unique()
    texts = [
        *suspects.to_pylist(),
        *rows.column("style").dictionary.to_pylist(),
        *rows.column("file").dictionary.to_pylist(),
    ]
    texts += [getattr(params, role) for params in rows.params for role in PICTURE_PARAMETERS]
    return any(storage.without_secrets(text) != text for text in texts)


@functools.cache
def code() -> str:
    """Return a digest of the code of the packages that read rows: another version may read them otherwise."""
    import nst_kernel
    import pipeline

    digest = hashlib.sha256()
    for package in (nst_kernel, pipeline):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
