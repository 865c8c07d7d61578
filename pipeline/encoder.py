"""Weights by name or from any URI, for actors and for the command line."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline import storage

if TYPE_CHECKING:
    from nst_kernel import Weights
    from nst_kernel.encoder import Outline


PIN = "#sha256="
"""What stands between the URI of weights and the digest that they must have."""


def split_pin(source: str) -> tuple[str, str | None]:
    """Return the name or URI of weights without its pin, and the digest of the pin; None where there is no pin."""
    uri, pin, digest = source.rpartition(PIN)
    return (uri, digest) if pin else (source, None)


def outline_of(source: str) -> Outline:
    """Return what is known of an encoder before it computes; for the embedded one, torch is not loaded.

    Args:
        source: as for `load_encoder`, which raises the same errors.
    """
    uri, digest = split_pin(source)
    return _embedded(digest) if uri == "embedded" else load_encoder(source).outline


@lru_cache(maxsize=2)
def _embedded(digest: str | None) -> Outline:
    """Return what is known of the embedded encoder, kept for the next call."""
    from nst_kernel.encoder import embedded_outline

    return embedded_outline(sha256=digest)


@lru_cache(maxsize=1)
def load_encoder(source: str) -> Weights:
    """Return the weights of an encoder, kept for the next call.

    Args:
        source: `embedded`, `imagenet`, or the URI of a file, with `#sha256=…` behind it, 64 hexadecimal digits, if it
            must have that digest.

    Raises:
        WeightsError: if they are not to be had or not to be used.
    """
    from nst_kernel.encoder import WeightsError, check_pin, load_weights, parse_weights  # torch comes along

    uri, digest = split_pin(source)
    check_pin(digest, name=uri)  # before a large file is fetched
    if uri in ("embedded", "imagenet"):
        return load_weights(uri, sha256=digest)
    try:
        with storage.neighbours_named():
            data = storage.read_bytes(uri)
    except storage.StorageError as error:
        raise WeightsError(f"{error}. Give a file, or one of the names embedded and imagenet.") from error
    return parse_weights(data, name=storage.without_query(uri).rpartition("/")[2], sha256=digest)
