"""Masks of regions from pictures: of labels, or grey ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 48
"""Least difference in a channel, of 255, of two colours that are two labels: JPEG moves flat colours by less."""

THICK = 3
"""Pixels: a colour is a label if it fills a square of this side; what is thinner are smooth edges between labels."""

MAX_REGIONS = 16
"""Labels of a picture; one with more colours is no picture of labels."""

SAME_ASPECT = 0.03
"""Share by which the aspect ratios of a mask and its picture may differ: at small sizes, by rounding."""

WHITE = np.full((1, 1, 3), 255, np.uint8)

Labels = NDArray[np.uint8]
"""A picture of labels (H, W, 3) or some of their colours (n, 3), RGB."""

Masks = NDArray[np.uint8]
"""Where each of R regions is in a picture, (R, H, W) from 0 to 255."""


class MaskError(ValueError):
    """Masks that cannot be used; the message says which, and what was expected."""


def masks_of_labels(content: Labels, styles: Sequence[Labels]) -> list[Masks]:
    """Return the masks (R, H, W), of 0 and 255, of the regions of a content picture and then of each style.

    Each colour of the content's labels is a region, the one with the most pixels first; colours that styles alone have
    are no region. A pixel belongs to the label of its picture that is nearest in colour, so that the noise of JPEG and
    smooth edges do no harm.

    Args:
        content: picture of labels.
        styles: pictures of labels of any shapes; empty: one mask (R, 1, 1), that of a style that is white as a whole.

    Raises:
        MaskError: if a picture has no flat colours, or too many, or less than 3 x 3 pixels of a region, or no region
            is in any style.
    """
    pictures = [content, *(styles or [WHITE])]
    names = ["the mask of the content", *(f"mask {k} of the styles" for k in range(1, len(pictures)))]
    palettes = [_palette(picture, name) for picture, name in zip(pictures, names, strict=True)]
    for picture, name, own in zip(pictures, names, palettes, strict=True):
        for colour in np.concatenate(palettes):
            pixels = int((picture == colour).all(-1).sum())
            if 0 < pixels < THICK**2 and not _is_among(colour, own):
                size = f"{pixels} pixel{'s'[: pixels > 1]} of {_named(colour)}"
                raise MaskError(f"{name} has {size}: expected none, or {THICK} x {THICK} of a region at least")
    palette = palettes[0]
    if not any(_is_among(label, own) for own in palettes[1:] for label in palette):
        there = f"the regions of the content are {', '.join(map(_named, palette))}"
        if not styles:
            raise MaskError(f"{there}: without masks of the styles, expected one that is #ffffff, which gets the style")
        others = ", ".join(map(_named, np.concatenate(palettes[1:])))
        raise MaskError(f"{there}, those of the styles {others}: expected one at least that both have")
    return [_by_label(picture, own, palette) for picture, own in zip(pictures, palettes, strict=True)]


def masks_of(content: Sequence[Labels], own: Sequence[Labels], styles: int) -> tuple[Masks, list[Masks]]:
    """Return the masks (R, H, W) of the regions of a content, and of each of its styles, from pictures.

    Args:
        content: a picture of labels; or several grey pictures, one for each region, white where it is.
        own: pictures of labels, one for each style; or grey pictures of the only style, one for each region; or none.
            Then every style is where the labels are white, or, with grey pictures, each as a whole in its own region.
        styles: how many styles there are.

    Raises:
        MaskError: for pictures from which there follow no regions.
    """
    if len(content) == 1:
        masks, *of_styles = masks_of_labels(content[0], own)
        return masks, of_styles if own else of_styles * styles
    alone = (255 * np.eye(len(content), dtype=np.uint8)).reshape(len(content), -1, 1, 1)
    return _of_grey(content, "the content"), [_of_grey(own, "the style")] if own else list(alone[:styles])


def _of_grey(pictures: Sequence[Labels], whose: str) -> Masks:
    """Return the masks (R, H, W) that grey pictures are."""
    if len({picture.shape for picture in pictures}) > 1:
        sizes = ", ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures)
        raise MaskError(f"masks of {whose} have {sizes} pixels: expected one size for all")
    for number, picture in enumerate(pictures, 1):
        if picture.max() < TOLERANCE:
            raise MaskError(f"mask {number} of {whose} is black: expected white where the region is")
    return np.stack([picture.mean(2, dtype=np.float32).round().astype(np.uint8) for picture in pictures])


def _palette(picture: Labels, name: str) -> Labels:
    """Return the colours of labels (R, 3), the most frequent first."""
    pad = THICK // 2
    padded = np.pad(picture.astype(np.int16), ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (THICK, THICK), axis=(0, 1))
    flat = (windows.max((-2, -1)) - windows.min((-2, -1))).max(-1) < TOLERANCE
    codes, counts = np.unique(_coded(picture[flat]), return_counts=True)
    palette: list[NDArray[np.uint8]] = []
    for colour in _decoded(codes[np.argsort(-counts, kind="stable")]):
        if not _is_among(colour, palette):
            palette.append(colour)
        if len(palette) > MAX_REGIONS:
            raise MaskError(f"{name} has more than {MAX_REGIONS} colours: expected flat ones, one for each region")
    if not palette:
        raise MaskError(
            f"{name} has no {THICK} x {THICK} pixels of one colour: expected flat ones, one for each region"
        )
    return np.stack(palette)


def _by_label(picture: Labels, own: Labels, palette: Labels) -> Masks:
    """Return the masks (R, H, W) of the labels of a palette in a picture whose own labels are given."""
    codes, inverse = np.unique(_coded(picture).ravel(), return_inverse=True)
    colours = _decoded(codes)
    distances = np.abs(colours[:, None].astype(np.int64) - own[None].astype(np.int64)).sum(2)
    nearest = distances.argmin(1)[inverse.reshape(-1)].reshape(picture.shape[:2])
    as_own = np.array([[_difference(label, each) < TOLERANCE for each in own] for label in palette])
    masks: Masks = (255 * as_own.astype(np.uint8))[:, nearest]
    return masks


def _coded(picture: Labels) -> NDArray[np.uint32]:
    """Return the colours (..., 3) of a picture as one number each (...)."""
    red, green, blue = (picture[..., channel].astype(np.uint32) for channel in range(3))
    codes: NDArray[np.uint32] = (
        np.left_shift(red, 16, dtype=np.uint32) | np.left_shift(green, 8, dtype=np.uint32) | blue
    )
    return codes


def _decoded(codes: NDArray[np.uint32]) -> Labels:
    """Return the colours (n, 3) that numbers (n,) stand for."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)


def _is_among(colour: NDArray[np.uint8], palette: Sequence[NDArray[np.uint8]] | Labels) -> bool:
    """Return whether a colour is one of a palette's, to the tolerance."""
    return any(_difference(colour, label) < TOLERANCE for label in palette)


def _named(colour: NDArray[np.uint8]) -> str:
    """Return a colour as it is written in web pages, such as #ff0000."""
    return f"#{bytes(colour).hex()}"


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Return the largest difference of two colours in a channel."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())
