"""Masks of rows held against their pictures before work starts, from headers alone: whether each is there and fits."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nst_kernel.pictures import SAME_ASPECT, TILE_STEP
from pipeline.images import ImageError
from pipeline.manifest import Row
from pipeline.planning.batch import Failure
from pipeline.planning.headers import Shape

Headers = Mapping[str, Shape]
"""Shapes of pictures by URI, or why they have none."""


def uris_of(row: Row) -> list[str]:
    """Return the pictures whose headers tell whether the masks of a row fit: those, and what they are masks of."""
    named = row.pictures()
    own = named.get("style_mask", ())
    return [*named.get("content_mask", ()), *own, *(named.get("style", ()) if own else ())]


class Fault(NamedTuple):
    """Why the masks of a row cannot be used.

    Attributes:
        role: of the picture at fault: a mask, or the picture that it is of.
        failure: what is wrong with it.
    """

    role: str
    failure: Failure


def fault(row: Row, output: tuple[int, int], sizes: Headers) -> Fault | None:
    """Return why the masks of a row cannot be used, as far as headers tell; None where they can, or there are none.

    Args:
        row: any.
        output: (height, width) of its output.
        sizes: of the pictures of `uris_of`, and perhaps of others.
    """
    for role, uri, of, slack in _compared(row, output, sizes):
        size = sizes[uri]
        if isinstance(size, Failure):
            return Fault(role, size)
        if isinstance(of, Failure):
            return Fault("style", of)
        if said := aspect_fault(size, of, slack):
            return Fault(role, Failure.of(ImageError(said), uri))
    named = row.pictures()
    for role in ("content_mask", "style_mask"):
        of_role = {sizes[uri] for uri in named.get(role, ())}
        if len(named.get("content_mask", ())) > 1 and len(of_role) > 1:  # grey ones, of one picture
            listed = ", ".join(f"{size[1]} x {size[0]}" for size in of_role if not isinstance(size, Failure))
            said = f"the pictures of {role} have {listed} pixels: expected one size for all"
            return Fault(role, Failure.of(ImageError(said)))
    return None


def _compared(row: Row, output: tuple[int, int], sizes: Headers) -> Iterator[tuple[str, str, Shape, float]]:
    """Yield each mask of a row: its role and URI, the shape of its picture, and how far aspect ratios may differ."""
    named, params = row.pictures(), row.params
    slack = params.aspect_tolerance + (TILE_STEP / min(output) if params.tileable else 0)
    for uri in named.get("content_mask", ()):
        yield "content_mask", uri, output, slack
    own, styles = named.get("style_mask", ()), named.get("style", ())
    for place, uri in enumerate(own):
        # Grey pictures are all of the only style.
        yield "style_mask", uri, sizes[styles[min(place, len(styles) - 1)]], 0.0


def aspect_fault(mask: tuple[int, int], picture: tuple[int, int], slack: float) -> str | None:
    """Return what is wrong with a mask of that (height, width) for a picture of that one; None if it fits.

    Args:
        mask: its (height, width).
        picture: its (height, width).
        slack: by how much the logarithms of their aspect ratios may differ beyond rounding.
    """
    if abs(math.log(mask[1] * picture[0] / (mask[0] * picture[1]))) <= SAME_ASPECT + slack:
        return None
    return (
        f"the mask is {mask[1]} x {mask[0]} px, another aspect ratio than that of its picture, which is "
        f"{picture[1]} x {picture[0]} here: expected the same"
    )
