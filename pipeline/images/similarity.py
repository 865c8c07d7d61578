"""The similarity of two pictures: peak signal-to-noise ratio, and structural similarity (Wang et al. 2004)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.images.decode import Pixels


@dataclass(frozen=True)
class Similarity:
    """The result of comparing two pictures.

    Attributes:
        psnr: dB; infinite if they are equal; None if they cannot be compared.
        ssim: up to 1; None if they cannot be compared.
        obstacle: why they cannot be compared; empty if they were.
        lost: whether they cannot be compared because the newer one, and it alone, cannot be read.
    """

    psnr: float | None = None
    ssim: float | None = None
    obstacle: str = ""
    lost: bool = False


EQUAL = Similarity(float("inf"), 1.0)
"""The similarity of equal pictures."""


def similarity(before: Pixels, after: Pixels) -> Similarity:
    """Return the similarity of two pictures; those of different sizes cannot be compared.

    SSIM is the mean over Gaussian windows of 11 x 11 pixels and over the channels, with the constants of its paper
    (Wang, Bovik, Sheikh, Simoncelli, 2004).

    Args:
        before: uint8 (H, W, 3).
        after: uint8 (H, W, 3).
    """
    if before.shape != after.shape:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in (before, after))
        return Similarity(obstacle=f"the pictures are {sizes} pixels")
    if np.array_equal(before, after):
        return EQUAL
    import skimage.metrics  # SciPy comes along, which equal pictures need not wait for

    measures: Any = skimage.metrics  # its hints leave out most functions
    ssim = measures.structural_similarity(
        before, after, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return Similarity(float(measures.peak_signal_noise_ratio(before, after, data_range=255)), float(ssim))
