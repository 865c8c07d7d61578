"""Fingerprints: what was asked of a row, as a short string."""

import hashlib
import json
from collections.abc import Mapping

from nst_kernel.version import ALGORITHM_VERSION
from pipeline import storage
from pipeline.manifest import Row, derive_id

Identities = Mapping[str, str | storage.StorageError]
"""By URI what changes whenever a picture does, or why it cannot be told."""


UNKNOWN = "unknown"


def fingerprint(row: Row, encoder_sha256: str, identities: Identities) -> str:
    """Of what was asked: the row's meaning with the version of the algorithm, and its pictures as they are now.

    Equal ones need no second run. The first half is of the meaning, the second of the pictures. One whose identity
    cannot be told, since it is missing or its store does not say, counts as unknown: whether it can be read is found
    out by reading it.
    """
    known = [identities[uri] for uri in row.pictures().values()]
    pictures = [UNKNOWN if isinstance(identity, storage.StorageError) else identity for identity in known]
    meaning = [derive_id(row.content, row.style, row.params, encoder_sha256), row.output, ALGORITHM_VERSION]
    return _half(meaning) + _half(pictures)


def _half(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]
