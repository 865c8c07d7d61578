"""Masks as Python code has them, in arrays and tensors, for `stylize`: what they mean, and what is wrong with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.pictures.labels import SAME_ASPECT, TOLERANCE, MaskError, masks_of_labels


@dataclass(frozen=True)
class Masked:
    """A picture with the masks of its regions.

    Attributes:
        picture: as `stylize` takes it without masks; None: a texture has regions, and no content.
        masks: a picture of labels, uint8 (h, w, 3) RGB, of which each flat colour is a region, the same in a content
            and its styles; or soft masks, a list with one for each region in an order that a content and its styles
            share: (h, w), floats in [0, 1] or uint8, of the share that each pixel has in it. An array (R, h, w) is
            such a list. They have the aspect ratio of their picture.
    """

    picture: Any
    masks: Any


def masks_given(content: Masked, styles: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
    """Return the masks (R, h, w), in [0, 1], of the regions of a content, and those of each of its styles.

    Args:
        content: with its masks.
        styles: all with masks of the kind that the content has; or none of them. Then each is, with labels, where
            those of the content are white, or, with one soft mask for each style, as a whole in its own region.

    Raises:
        MaskError: for masks that are no masks, or do not fit each other or their pictures.
    """
    own = [style for style in styles if isinstance(style, Masked)]
    if own and len(own) < len(styles):
        strange = next(place for place, style in enumerate(styles, 1) if not isinstance(style, Masked))
        raise MaskError(f"style {strange} has no masks: expected some for each style, or for none")
    there, *others = (_Given.of(each.masks, name) for each, name in zip([content, *own], _named(own), strict=True))
    if unlike := [other for other in others if (other.labels is None) != (there.labels is None)]:
        kind = "soft masks" if there.labels is None else "a picture of labels"
        raise MaskError(f"{unlike[0].name}: expected {kind}, as the content has")
    for each, masked in zip((there, *others), [content, *own], strict=True):
        each.check_aspect(masked.picture)
    if there.labels is not None:
        of_labels = masks_of_labels(there.labels, [other.labels for other in others if other.labels is not None])
        masks, *of_styles = (torch.from_numpy(each).float() / 255 for each in of_labels)
        return masks, of_styles if own else of_styles * len(styles)
    if own:
        if differing := [other for other in others if len(other.soft) != len(there.soft)]:
            raise MaskError(
                f"{differing[0].name}: {len(differing[0].soft)} masks, and the content has {len(there.soft)}: expected "
                "one for each region; where a style lacks a region, its mask is 0 everywhere"
            )
        return there.soft, [other.soft for other in others]
    if len(there.soft) != len(styles):
        raise MaskError(
            f"{len(there.soft)} soft masks of the content and {len(styles)} styles without masks: expected one for "
            "each style, or styles with masks too"
        )
    return there.soft, list(torch.eye(len(styles)).view(len(styles), -1, 1, 1))


def _named(styles: Sequence[Masked]) -> list[str]:
    """Return what messages call the masks of a content and of its styles."""
    return ["the masks of the content", *(f"the masks of style {place}" for place in range(1, len(styles) + 1))]


@dataclass(frozen=True)
class _Given:
    """Masks of one picture: labels (h, w, 3), or soft ones (R, h, w) in [0, 1]; `name` is for messages."""

    name: str
    labels: NDArray[np.uint8] | None
    soft: Tensor

    @classmethod
    def of(cls, masks: Any, name: str) -> "_Given":
        """Return masks as they are given.

        Raises:
            MaskError: with what is wrong with them.
        """
        if isinstance(masks, list | tuple):
            each = [_soft(mask, f"{name}, number {place}") for place, mask in enumerate(masks, 1)]
            if not each or len({mask.shape for mask in each}) > 1:
                sizes = ", ".join(f"{mask.shape[1]} x {mask.shape[0]}" for mask in each) or "no mask"
                raise MaskError(f"{name}: {sizes}: expected one for each region, all of one size")
            return cls.of_soft(torch.stack(each), name)
        array = _array(masks)
        if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
            return cls(name, array, torch.empty(0, *array.shape[:2]))
        if array.ndim == 3:
            return cls.of(list(array), name)
        raise MaskError(
            f"{name} are {array.dtype} {array.shape}: expected a picture of labels, uint8 (h, w, 3), or a list of "
            "masks (h, w), one for each region"
        )

    @classmethod
    def of_soft(cls, masks: Tensor, name: str) -> "_Given":
        """Return soft masks of a picture; raise MaskError if all are 0, or one of a content is."""
        empty = [place for place, mask in enumerate(masks, 1) if mask.max() < TOLERANCE / 255]
        if len(empty) == len(masks) or (empty and name == _named([])[0]):
            raise MaskError(f"{name}, number {empty[0]}: it is 0 everywhere: expected 1 where the region is")
        return cls(name, None, masks)

    def check_aspect(self, picture: Any) -> None:
        """Raise MaskError unless the masks have the aspect ratio of their picture."""
        if picture is None:
            return
        shape = _array(picture).shape
        height, width = self.soft.shape[1:]
        if len(shape) == 3 and abs(math.log(width * shape[0] / (height * shape[1]))) > SAME_ASPECT:
            raise MaskError(
                f"{self.name} are {width} x {height} px, another aspect ratio than that of the picture, which is "
                f"{shape[1]} x {shape[0]}: expected the same"
            )


def _array(given: Any) -> NDArray[Any]:
    """Return an array, tensor or picture as an array on the CPU."""
    return np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)


def _soft(mask: Any, name: str) -> Tensor:
    """Return a soft mask (h, w) in [0, 1] as float32; raise MaskError for what is none."""
    array = _array(mask)
    kind = "uint8" if array.dtype == np.uint8 else "floats" if array.dtype.kind in "fb" else ""
    if not kind or array.ndim != 2 or not array.size:
        raise MaskError(f"{name}: {array.dtype} {array.shape}: expected floats in [0, 1] or uint8, of shape (h, w)")
    soft = torch.from_numpy(np.array(array, np.float32)) / (255 if kind == "uint8" else 1)
    if not bool(((soft >= 0) & (soft <= 1)).all()):
        raise MaskError(f"{name}: values from {soft.min():g} to {soft.max():g}: expected them in [0, 1]")
    return soft
