"""Pictures as tensors: their sizes, colours and depth, masks of their regions, and their opacity."""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from nst_kernel.pictures.colour import Moments, grey, is_grey, light_matched, matched, moments, recoloured
    from nst_kernel.pictures.depth import to_uint8, to_uint16
    from nst_kernel.pictures.given import Masked, masks_given
    from nst_kernel.pictures.labels import SAME_ASPECT, MaskError, masks_of, masks_of_labels
    from nst_kernel.pictures.masks import eroded, ramped, resize_masks
    from nst_kernel.pictures.opacity import straight
    from nst_kernel.pictures.sizes import MIN_SIDE, TILE_STEP, fit, fit_style, tiled
    from nst_kernel.pictures.tensors import resize, to_tensor

__all__ = [
    "MIN_SIDE",
    "SAME_ASPECT",
    "TILE_STEP",
    "MaskError",
    "Masked",
    "Moments",
    "eroded",
    "fit",
    "fit_style",
    "grey",
    "is_grey",
    "light_matched",
    "masks_given",
    "masks_of",
    "masks_of_labels",
    "matched",
    "moments",
    "ramped",
    "recoloured",
    "resize",
    "resize_masks",
    "straight",
    "tiled",
    "to_tensor",
    "to_uint8",
    "to_uint16",
]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.pictures.colour": (
            "Moments",
            "grey",
            "is_grey",
            "light_matched",
            "matched",
            "moments",
            "recoloured",
        ),
        "nst_kernel.pictures.depth": ("to_uint8", "to_uint16"),
        "nst_kernel.pictures.given": ("Masked", "masks_given"),
        "nst_kernel.pictures.labels": ("SAME_ASPECT", "MaskError", "masks_of", "masks_of_labels"),
        "nst_kernel.pictures.masks": (
            "eroded",
            "ramped",
            "resize_masks",
        ),
        "nst_kernel.pictures.opacity": ("straight",),
        "nst_kernel.pictures.sizes": (
            "MIN_SIDE",
            "TILE_STEP",
            "fit",
            "fit_style",
            "tiled",
        ),
        "nst_kernel.pictures.tensors": (
            "resize",
            "to_tensor",
        ),
    },
)
