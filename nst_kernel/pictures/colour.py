"""The colours of pictures: their luma and statistics, and how one picture takes those of another.

Everything is in sRGB values as pictures have them, as the papers and programs do it: Gatys, Bethge, Hertzmann and
Shechtman, *Preserving color in neural artistic style transfer* (arXiv 1606.05897); Pitié and Kokaram, *The linear
Monge-Kantorovitch linear colour mapping for example-based colour transfer* (2007).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Shares of R, G and B in the light of a pixel, Y of YIQ."""

GREY_WITHIN = 1.5 / 255
"""By how much the channels of a grey pixel may differ: one of 256 levels, as rounding and conversions leave it."""

LEAST_VARIANCE = 1e-5
"""Variance, along any direction of colours, that a picture is taken to have at least: a bit less than one of 256 levels
squared. A picture of fewer colours, such as a grey one, would be divided by zero."""


class Moments(NamedTuple):
    """The mean (3,) and the covariance (3, 3) of the pixels of a picture, in float64 on the CPU."""

    mean: Tensor
    covariance: Tensor


def luma(x: Tensor) -> Tensor:
    """Return the light Y (..., 1, H, W) of pictures (..., 3, H, W)."""
    return (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)


def grey(x: Tensor) -> Tensor:
    """Return pictures (..., 3, H, W) as grey ones of equal light, with three equal channels."""
    return luma(x).expand_as(x).contiguous()


def is_grey(x: Tensor) -> bool:
    """Return whether a picture (3, H, W) is grey: R, G and B differ by no more than rounding. It waits for a GPU."""
    return bool((x.amax(0) - x.amin(0) <= GREY_WITHIN).all())


def moments(
    pictures: Sequence[Tensor], weights: Sequence[float] = (1.0,), opacities: Sequence[Tensor | None] = ()
) -> Moments:
    """Return the moments of the pixels of pictures; each picture counts by its weight, whatever its size.

    Args:
        pictures: (3, H, W).
        weights: of the pictures.
        opacities: of the pictures, (H, W) in [0, 1], by which their pixels count; None: all of one count alike, and
            none at all: those of every picture do.
    """
    total = sum(weights)
    mean, second = (torch.zeros(shape, dtype=torch.float64, device=pictures[0].device) for shape in (3, (3, 3)))
    for picture, weight, opacity in zip(pictures, weights, opacities or [None] * len(pictures), strict=True):
        pixels = picture.double().flatten(1)
        if opacity is None:
            mean += weight / total * pixels.mean(1)
            second += weight / total * (pixels @ pixels.T) / pixels.shape[1]
        else:
            shares = _shares(picture, opacity).flatten()
            mean += weight / total * (pixels @ shares)
            second += weight / total * ((pixels * shares) @ pixels.T)
    mean, second = mean.cpu(), second.cpu()  # what follows is nothing for a GPU
    return Moments(mean, second - mean.outer(mean))


def matched(x: Tensor, own: Moments, other: Moments, *, transport: bool = False) -> Tensor:
    """Return a picture (3, H, W) with the mean and covariance of another, clipped to [0, 1]: A (x − μ_own) + μ_other.

    A is the symmetric one of least mean square change (Pitié and Kokaram) with `transport`, else
    Σ_other^½ Σ_own^−½ (Gatys et al., eq. 5 to 7, with the root that does not depend on the order of channels).
    Where they add 1e-5 to the variances, those of x have it as their least value, so that the moments are met exactly.
    """
    if transport:
        root, inverse = _power(own.covariance, 0.5), _power(own.covariance, -0.5)
        A = inverse @ _power(root @ other.covariance @ root, 0.5, least=0.0) @ inverse
    else:
        A = _power(other.covariance, 0.5, least=0.0) @ _power(own.covariance, -0.5)
    A, before, after = (part.to(x.device) for part in (A, own.mean.unsqueeze(1), other.mean.unsqueeze(1)))
    pixels = A @ (x.double().flatten(1) - before) + after
    return pixels.view(x.shape).clamp(0, 1).to(x.dtype)


def light_matched(x: Tensor, other: Tensor, opacity: Tensor | None = None, of_other: Tensor | None = None) -> Tensor:
    """Return a picture (3, H, W) in grey, with the mean and deviation of another's light, clipped to [0, 1].

    It is (σ_other / σ_x)·(Y − μ_x) + μ_other.

    Args:
        x: the picture.
        other: the other one.
        opacity: of `x`, (H, W) in [0, 1], by which its pixels count; None: all count alike.
        of_other: that of the other one.
    """
    Y, to = luma(x.double()), luma(other.double())
    (mean, deviation), (mean_to, deviation_to) = _mean_and_deviation(Y, opacity), _mean_and_deviation(to, of_other)
    scale = deviation_to / deviation.clamp_min(LEAST_VARIANCE**0.5)
    return (scale * (Y - mean) + mean_to).clamp(0, 1).expand(x.shape).to(x.dtype).contiguous()


def _mean_and_deviation(light: Tensor, opacity: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of light (1, H, W) whose pixels count by their opacity (H, W)."""
    if opacity is None:
        return light.mean(), light.std(correction=0)
    shares = _shares(light, opacity)
    mean = (light[0] * shares).sum()
    return mean, ((light[0] - mean).square() * shares).sum().sqrt()


def _shares(picture: Tensor, opacity: Tensor) -> Tensor:
    """Return by how much each pixel of a picture (C, H, W) counts: shares (H, W) in float64 whose sum is 1.

    Of a picture that is transparent everywhere all count alike.
    """
    shares = torch.ones(picture.shape[-2:], dtype=torch.float64, device=picture.device)
    if opacity.max() > 0:
        shares = opacity.to(shares)
    return shares / shares.sum()


def recoloured(x: Tensor, colours: Tensor) -> Tensor:
    """Return pictures (..., 3, H, W) of the light of x and the colours of others, I and Q of YIQ, clipped to [0, 1].

    YIQ is linear in RGB, so that it is `colours` with the difference of light added to every channel.
    """
    return (colours + (luma(x.clamp(0, 1)) - luma(colours))).clamp(0, 1)


def _power(M: Tensor, exponent: float, least: float = LEAST_VARIANCE) -> Tensor:
    """Return a power of a symmetric matrix (3, 3) whose eigenvalues are at least `least`."""
    values, vectors = torch.linalg.eigh(M)
    power: Tensor = vectors @ values.clamp_min(least).pow(exponent).diag() @ vectors.T
    return power
