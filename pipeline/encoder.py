"""Weights by name or from any URI, for actors and for the command line."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline import storage

if TYPE_CHECKING:
    from nst_kernel import Weights


@lru_cache(maxsize=1)
def load_encoder(source: str) -> Weights:
    """Return the weights of an encoder, kept for the next call.

    Args:
        source: `embedded`, `imagenet`, or the URI of a file, with `#sha256=…` behind it if it must have that digest.

    Raises:
        WeightsError: if they are not to be had or not to be used.
    """
    from nst_kernel import WeightsError, load_weights  # torch comes along
    from nst_kernel.encoder import parse_weights

    uri, _, digest = source.partition("#sha256=")
    if uri in ("embedded", "imagenet"):
        return load_weights(uri, sha256=digest or None)
    try:
        data = storage.read_bytes(uri)
    except storage.StorageError as error:
        raise WeightsError(f"{error}. Give a file, or one of the names embedded and imagenet.") from error
    return parse_weights(data, name=uri.rpartition("/")[2], sha256=digest or None)
