"""The statistics that a style loss may compare, and its forms for each, by the names that parameters have for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from nst_kernel.encoder import GRAM, MOMENTS, Gram
from nst_kernel.objective import losses, moments


@dataclass(frozen=True)
class StyleTerms:
    """A kind of style loss.

    Attributes:
        statistic: what is taken of features, linear in their positions, so that styles can be blended.
        losses: by `StyleParams.objective`, the loss of a layer from the statistic of the output and the target.
        target: returns the target of a layer from the statistic of the style.
    """

    statistic: Gram
    losses: Mapping[str, Callable[[Tensor, Tensor], Tensor]]
    target: Callable[[Tensor], Tensor] = lambda statistic: statistic


STYLE_TERMS: Mapping[str, StyleTerms] = {
    "gram": StyleTerms(
        GRAM,
        {
            "paper": losses.style_layer_loss,
            "relative": losses.relative_style_loss,
            "mean": losses.mean_style_loss,
        },
    ),
    "covariance": StyleTerms(
        MOMENTS,
        {
            "paper": moments.covariance_loss,
            "relative": moments.relative_covariance_loss,
            "mean": moments.mean_covariance_loss,
        },
    ),
    "w2": StyleTerms(
        MOMENTS,
        {
            "paper": moments.w2_loss,
            "relative": moments.relative_w2_loss,
            "mean": moments.mean_w2_loss,
        },
        target=moments.rooted,
    ),
}
"""Kinds of style loss by `StyleParams.statistics`."""
