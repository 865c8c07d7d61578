"""What an encoder is, without its filters: read without torch, which takes seconds to load."""

import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nst_kernel.layers import LAYERS

EMBEDDED = "vgg19_kmeans.safetensors"
"""Name of the embedded encoder's file."""

Kind = Literal["embedded", "torchvision", "caffe", "normalised"]
"""What numbers of programs hold for or not: the embedded filters, or others by the input that they expect."""


_SHA256 = re.compile("[0-9a-fA-F]{64}")


class WeightsError(ValueError):
    """Weights cannot be loaded or used; the message says why and what to do."""


class LayerMissing(ValueError):
    """A layer is wanted that the encoder's weights do not reach."""


@dataclass(frozen=True)
class Outline:
    """What is known of an encoder before it computes.

    Attributes:
        name: `imagenet`, `embedded`, or the file's name.
        sha256: digest of the file, hexadecimal.
        layers: that it has, from `conv1_1` on.
        kind: what its filters are.
    """

    name: str
    sha256: str
    layers: tuple[str, ...]
    kind: Kind

    def check_covers(self, layers: Iterable[str]) -> None:
        """Raise `LayerMissing`, with its name, for a layer that these weights do not reach."""
        check_covers(self.name, self.layers, layers)


def check_covers(name: str, covered: Sequence[str], layers: Iterable[str]) -> None:
    """Raise `LayerMissing` for a layer that is not among the `covered` ones of the weights called `name`."""
    for layer in sorted(layers):
        if layer not in covered:
            raise LayerMissing(
                f"the weights {name!r} have no layer {layer}: they cover {covered[0]} to {covered[-1]}. "
                f"Ask for layers within them, or give weights that reach {layer}."
            )


def check_pin(sha256: str | None, *, name: str) -> None:
    """Raise `WeightsError` for a digest that could not be one: it would pin nothing, or nearly nothing.

    Args:
        sha256: what was given for the weights; None: nothing.
        name: name of the weights.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise WeightsError(
            f"weights {name!r} are pinned to SHA-256 {sha256!r}, which has {len(sha256)} characters: expected 64 "
            "hexadecimal digits, as sha256sum prints them, or no digest at all"
        )


def digest_of(data: bytes, name: str, beginning: str) -> str:
    """Return the SHA-256 of a file of weights, hexadecimal; raise `WeightsError` if it begins in another way."""
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(beginning.lower()):
        raise WeightsError(
            f"weights {name!r} have SHA-256 {digest}, expected {beginning}: the file is damaged or another one"
        )
    return digest


def embedded_file() -> bytes:
    """Return the bytes of the embedded encoder's file."""
    return (importlib.resources.files("nst_kernel") / "encoder" / "embedded" / EMBEDDED).read_bytes()


def embedded_outline(*, sha256: str | None = None) -> Outline:
    """Return what is known of the embedded encoder, from the header of its file.

    Args:
        sha256: the digest that the file must have: 64 hexadecimal digits; None: any.

    Raises:
        WeightsError: if it has another digest.
    """
    check_pin(sha256, name="embedded")
    data = embedded_file()
    digest = digest_of(data, "embedded", sha256 or "")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    layers = tuple(layer for layer in LAYERS if f"{layer}.weight" in header)
    return Outline("embedded", digest, layers, "embedded")
