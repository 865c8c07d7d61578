"""Fingerprints of rows: short strings that are equal where a result need not be computed again."""

import hashlib
import json
from collections.abc import Mapping

from nst_kernel.version import ALGORITHM_VERSION
from pipeline import storage
from pipeline.manifest import Row, asked_output, derive_id

Identities = Mapping[str, str | storage.StorageError]
"""By URI, a string that changes whenever the picture does, or why its store gives none."""


UNKNOWN = "unknown"
"""What stands for the identity of a picture that is missing or whose store gives none."""

_HALF = 8
"""Hexadecimal digits of each half of a fingerprint."""


def fingerprint(row: Row, encoder_sha256: str, identities: Identities) -> str:
    """Return the fingerprint of a row: 16 hexadecimal digits.

    The first half stands for the request: pictures by URI, parameters, encoder, name of the output as it was
    asked for, and version of the algorithm. The second stands for the pictures as they are now. A picture without a
    known identity counts as `UNKNOWN`: whether it can be read turns out when it is read.

    Args:
        row: of a manifest.
        encoder_sha256: digest of the encoder's weights.
        identities: of every picture that the row reads.
    """
    known = [identities[uri] for uri in row.uris()]
    pictures = [UNKNOWN if isinstance(identity, storage.StorageError) else identity for identity in known]
    name = asked_output(row.output, row.id)
    request = [derive_id(row.content, row.style, row.params, encoder_sha256), name, ALGORITHM_VERSION]
    return _digest(request) + _digest(pictures)


def same_request(one: str, other: str) -> bool:
    """Return whether two fingerprints are of the same request, even if its pictures have changed."""
    return one[:_HALF] == other[:_HALF]


def _digest(json_value: object) -> str:
    """Return one half of a fingerprint."""
    return hashlib.sha256(json.dumps(json_value).encode()).hexdigest()[:_HALF]
