"""Fingerprints of rows: short strings that are equal where a result need not be computed again."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel.version import ALGORITHM_VERSION
from pipeline import storage
from pipeline.manifest import Row, Rows, name_in_fingerprint

Identities = Mapping[str, str | storage.StorageError]
"""By URI, a string that changes whenever the picture does, or why its store gives none."""

Identify = Callable[[Sequence[str]], Identities]
"""Returns the identities of pictures."""

UNKNOWN = "unknown"
"""What stands for the identity of a picture that is missing or whose store gives none."""

_HALF = 8
"""Hexadecimal digits of each half of a fingerprint."""

_AT_ONCE = 65_536
"""Pictures that are identified, and rows that are looked at, at a time."""


class Fingerprints(NamedTuple):
    """Fingerprints of rows, in their order.

    Attributes:
        texts: the fingerprints, 16 hexadecimal digits each.
        uncertain: whether a picture of the row has no known identity.
    """

    texts: pa.Array
    uncertain: NDArray[np.bool_]


def fingerprint(row: Row, encoder_sha256: str, identities: Identities) -> str:
    """Return the fingerprint of one row.

    Args:
        row: of a manifest.
        encoder_sha256: digest of the encoder's weights.
        identities: of every picture that the row reads.
    """
    of_one = fingerprints(Rows.of([row], encoder_sha256), lambda _: identities)
    return str(of_one.texts[0])


def fingerprints(rows: Rows, identify: Identify) -> Fingerprints:
    """Return the fingerprints of rows: 16 hexadecimal digits each.

    The first half stands for the request: pictures by URI, parameters, encoder, name of the output as it was asked for,
    and version of the algorithm. The second stands for the pictures as they are now. A picture without a known identity
    counts as `UNKNOWN`: whether it can be read turns out when it is read.

    Args:
        rows: with the encoder that is to compute them.
        identify: is asked for each picture once, a number of them at a time.
    """
    numbers, kinds = rows.kinds()
    others = list(dict.fromkeys(uri for kind in kinds for uri in kind.uris()))
    known = dict(zip(others, _identified(others, identify), strict=True))
    of_kinds = [[known[uri] for uri in kind.uris()] for kind in kinds]
    uncertain = np.array([None in identities for identities in of_kinds], bool)[numbers]
    behind = [[encode_basestring_ascii(one or UNKNOWN) for one in identities] for identities in of_kinds]
    # Equal contents are neighbours, and so are those of a folder, which are identified by its listing.
    order = np.asarray(pc.sort_indices(rows.column("content")).to_numpy(), np.int64)
    parts, last = [pa.array([], pa.string())], dict[str, str | None]()
    for start in range(0, len(order), _AT_ONCE):
        places = order[start : start + _AT_ONCE]
        some = rows.at(places)
        contents = some.column("content")
        identities = _identified_contents(contents, known | last, identify)
        uncertain[places] |= pc.and_(identities.is_null(), contents.is_valid()).to_numpy(False)
        last = {contents[-1].as_py(): identities[-1].as_py()}
        parts.append(_digests(some, identities, behind, numbers[places]))
    in_their_places = np.empty(len(order), np.int64)
    in_their_places[order] = np.arange(len(order))
    return Fingerprints(pa.concat_arrays(parts).take(pa.array(in_their_places)), uncertain)


def same_request(one: str, other: str) -> bool:
    """Return whether two fingerprints are of the same request, even if its pictures have changed."""
    return one[:_HALF] == other[:_HALF]


def same_requests(one: pa.Array, other: pa.Array) -> pa.Array:
    """Return for columns of fingerprints what `same_request` does for two."""
    halves = (pc.utf8_slice_codeunits(texts, 0, _HALF).cast(pa.large_string()) for texts in (one, other))
    return pc.equal(*halves)


def _identified(uris: Sequence[str], identify: Identify) -> Iterator[str | None]:
    """Yield the identity of each picture; None for one that has none."""
    for start in range(0, len(uris), _AT_ONCE):
        some = uris[start : start + _AT_ONCE]
        identities = identify(some)
        for uri in some:
            identity = identities[uri]
            yield None if isinstance(identity, storage.StorageError) else identity


def _identified_contents(uris: pa.Array, known: Mapping[str, str | None], identify: Identify) -> pa.Array:
    """Return the identity of each content; null for one that has none, and for null.

    Args:
        uris: of contents.
        known: identities that need not be asked for.
        identify: is asked for the others.
    """
    uris = uris.dictionary_encode()
    texts = uris.dictionary.to_pylist()
    identities = iter(_identified([uri for uri in texts if uri not in known], identify))
    found = pa.array([known[uri] if uri in known else next(identities) for uri in texts], pa.string())
    return found.take(uris.indices)


def _digests(rows: Rows, contents: pa.Array, behind: Sequence[Sequence[str]], numbers: NDArray[np.int64]) -> pa.Array:
    """Return the fingerprint of each row.

    Args:
        rows: any.
        contents: identity of the content of each, null where it has none.
        behind: by kinds of rows, the identities of the other pictures, as JSON.
        numbers: of the kind of each row.
    """
    version = json.dumps(ALGORITHM_VERSION)
    alone = [f"[{', '.join(known)}]" for known in behind]
    ends = [f"{', ' if known else ''}{', '.join(known)}]" for known in behind]
    requests = rows.values(["derived", "id", "output", "content"])
    found = []
    for (derived, id, output, uri), content, number in zip(requests, contents.to_pylist(), numbers, strict=True):
        name = encode_basestring_ascii(name_in_fingerprint(output, id))
        request = f'["{derived.hex()}", {name}, {version}]'
        identity = encode_basestring_ascii(UNKNOWN if content is None else content)
        pictures = alone[number] if uri is None else f"[{identity}{ends[number]}"
        found.append(_digest(request) + _digest(pictures))
    return pa.array(found, pa.string())


def _digest(text: str) -> str:
    """Return one half of a fingerprint."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HALF]
