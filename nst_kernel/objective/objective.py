"""The objective of a batch: a callable from pixels to losses, one row per sample."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nst_kernel.cost import Saving, tile_of
from nst_kernel.encoder import Distance, Gram, Guided, Statistic, Vgg19, border_of, computing_in, resolve_precision
from nst_kernel.objective import losses
from nst_kernel.objective.style_terms import STYLE_TERMS
from nst_kernel.objective.targets import Targets
from nst_kernel.params import StyleParams


class Objective:
    """L_total = α·L_content + β·L_style (eq. 7) + tv + range terms, for samples that share a graph.

    Weights are per sample; layers, pooling and the form of the terms are those of the first sample, and
    `StyleParams.graph` says when two samples agree on them.

    Attributes:
        names: of the columns of a result: `total`, `content`, `style`, `tv`, `range`, `laplacian` if any sample has it,
            then `style/<layer>`.
    """

    def __init__(
        self, encoder: Vgg19, targets: Targets, params: Sequence[StyleParams], *, saving: Saving = "nothing"
    ) -> None:
        self.encoder, self.targets, self.params, self.saving = encoder, targets, params, saving
        self.shared = shared = params[0]
        factor, by_layer = FORMS[shared.objective]
        terms = STYLE_TERMS[shared.statistics]
        self.style_term = terms.losses[shared.objective]
        self.statistics = _statistics(targets, terms.statistic)
        like = encoder.mean
        # By layer, what Σ (F − P)² is multiplied by to be the loss.
        self.content_factors = {layer: factor(P.to(like.dtype)) for layer, P in targets.content.items()}
        self.names = (
            "total",
            "content",
            "style",
            "tv",
            "range",
            *(("laplacian",) if targets.laplacians else ()),
            *(f"style/{layer}" for layer in targets.style),
        )

        def column(values: Sequence[Sequence[float]]) -> Tensor:
            return torch.tensor(values, dtype=like.dtype, device=like.device)

        self.weights = column([(p.content_weight, p.style_weight, p.tv_weight, p.range_weight) for p in params])
        self.smooth = [
            (
                forms[shared.tileable],
                torch.tensor([p.tv_weight > 0 and p.tv_form == name for p in params], device=like.device),
            )
            for name, forms in VARIATIONS.items()
            if any(p.tv_weight > 0 and p.tv_form == name for p in params)
        ]
        self.bounded = any(p.range_weight > 0 for p in params)
        self.laplacian_term = LAPLACIANS[shared.objective]
        self.laplacian_weights = column([[p.laplacian_weight] for p in params])
        self.pools = column([[float(pool in p.laplacian_pools) for pool in targets.laplacians] for p in params])
        self.content_weights = column([by_layer(targets.content, p.content_layer_weights) for p in params])
        self.style_weights = column([by_layer(targets.style, p.layer_weights) for p in params])

    def __call__(self, x: Tensor) -> Tensor:
        """Return losses (B, len(names)) of pictures x (B, 3, H, W); column 0, the total, is what is minimised."""
        if self.targets.grey is not None:  # then the gradient is grey too: its mean over channels
            x = torch.where(self.targets.grey, x.mean(1, keepdim=True), x)
        precision = resolve_precision(self.shared.precision, x.device)
        with computing_in(precision, often=torch.is_grad_enabled()):
            _, statistics = self.encoder.observe(
                x,
                (),
                self.statistics,
                precision=precision,
                pooling=self.shared.pooling,
                border=border_of(self.encoder, tileable=self.shared.tileable),
                checkpoint=self.saving == "checkpoint",
                tile=tile_of(self.saving),
            )
        none = x.new_zeros(len(x))
        content = _weighted(
            [self._content_loss(layer, statistics[_of_content(layer)]) for layer in self.targets.content],
            self.content_weights,
            none,
        )
        per_layer = [self._style_loss(layer, statistics[layer]) for layer in self.targets.style]
        style = _weighted(per_layer, self.style_weights, none)
        # Zero for a sample without the term, whether or not a batch-mate has it.
        tv = none
        for form, chosen in self.smooth:
            tv = torch.where(chosen, form(x), tv)
        outside = torch.where(self.weights[:, 3] > 0, losses.out_of_range(x), none) if self.bounded else none
        terms = torch.stack([content, style, tv, outside], dim=1)
        total = (self.weights * terms).sum(1, keepdim=True)
        if self.targets.laplacians:
            laplacian = self._laplacian(x).unsqueeze(1)
            total, terms = total + self.laplacian_weights * laplacian, torch.cat([terms, laplacian], dim=1)
        return torch.cat([total, terms, *(loss.unsqueeze(1) for loss in per_layer)], dim=1)

    def columns(self, sample: int) -> dict[str, int]:
        """Return the columns of a sample by name: a term that only batch-mates have is left out."""
        left_out = "laplacian" if self.params[sample].laplacian_weight == 0 else ""
        return {name: column for column, name in enumerate(self.names) if name != left_out}

    def _content_loss(self, layer: str, distance: Tensor) -> Tensor:
        """Return the loss of a content layer, per sample (B,), from Σ (F − P)²/M."""
        _, _, H, W = self.targets.content[layer].shape
        return self.content_factors[layer] * (H * W * distance)

    def _style_loss(self, layer: str, statistic: Tensor) -> Tensor:
        """Return E_l of a layer, per sample (B,): with regions Σ_r λ_r·e(g_r, a_r), e as without."""
        regions, target = self.targets.regions, self.targets.style[layer]
        if regions is None:
            return self.style_term(statistic, target)
        return regions.weighted(layer, self.style_term(statistic.flatten(0, 1), target.flatten(0, 1)))

    def _laplacian(self, x: Tensor) -> Tensor:
        """Return the Laplacian loss of pixels x (B, 3, H, W), per sample (B,), zero for a sample that has none."""
        parts = [self.laplacian_term(losses.laplacian(x, pool), D) for pool, D in self.targets.laplacians.items()]
        loss = torch.where(self.pools > 0, torch.stack(parts, dim=1), 0.0).sum(1)
        return torch.where(self.laplacian_weights[:, 0] > 0, loss, 0.0)

    def select(self, samples: Tensor) -> "Objective":
        """Return the objective of some of the samples, by index (n,)."""
        params = [self.params[b] for b in samples.tolist()]
        return Objective(self.encoder, self.targets.select(samples), params, saving=self.saving)


def _statistics(targets: Targets, inner: Gram) -> dict[str, Statistic]:
    """Return what is taken of features: by style layer, of the whole picture or of every region; and of the content."""
    regions = targets.regions
    of_style = {layer: Guided.by(inner, regions.masks[layer]) if regions else inner for layer in targets.style}
    return {**of_style, **{_of_content(layer): Distance(P) for layer, P in targets.content.items()}}


def _of_content(layer: str) -> str:
    """Return the name of the distance of a layer's activations from those of the content."""
    return f"{layer}/content"


def _as_given(layers: Mapping[str, Tensor], given: tuple[float, ...]) -> tuple[float, ...]:
    """Return w_l of the layers that take part: as given, or equal with sum 1."""
    return (given or (1 / len(layers),) * len(layers)) if layers else ()


def _as_given_or_one(layers: Mapping[str, Tensor], given: tuple[float, ...]) -> tuple[float, ...]:
    """Return w_l of the layers that take part: as given, or 1 each."""
    return (given or (1.0,) * len(layers)) if layers else ()


def _shares(layers: Mapping[str, Tensor], given: tuple[float, ...]) -> tuple[float, ...]:
    """Return w_l of the layers that take part with sum 1, so that their proportions are no matter of strength."""
    weights, total = _as_given(layers, given), sum(given) or 1.0
    return tuple(weight / total for weight in weights)


FORMS = {
    "paper": (losses.content_factor, _as_given),
    "relative": (losses.relative_content_factor, _shares),
    "mean": (losses.mean_content_factor, _as_given_or_one),
}
"""Factor of a content layer's Σ (F − P)², and weights of layers, by `StyleParams.objective`."""


LAPLACIANS = {
    "paper": losses.laplacian_loss,
    "relative": losses.relative_laplacian_loss,
    "mean": losses.mean_laplacian_loss,
}
"""Loss of Laplacians by `StyleParams.objective`."""

VARIATIONS = {
    "mean": (losses.total_variation, losses.wrapped_variation),
    "sum": (losses.half_sum_variation, losses.wrapped_half_sum_variation),
    "nine_point": (losses.nine_point_variation, losses.wrapped_nine_point_variation),
}
"""Total variation by `StyleParams.tv_form`: of a picture with borders, and of one that goes on at its other side."""


def _weighted(terms: list[Tensor], weights: Tensor, none: Tensor) -> Tensor:
    """Return Σ_l w_l·E_l (eq. 5) per sample (B,): terms each (B,), weights (B, len(terms))."""
    return (torch.stack(terms, dim=1) * weights).sum(1) if terms else none
