"""Learning of one convolution without labels, by spherical k-means on whitened patches.

Coates and Ng, "Learning Feature Representations with K-means" (2012), with three changes that style transfer asks
for. Whitening divides by the variance of the patches *and* of what two disturbances of the pictures, pixel noise
and a change of light, do to them: without it units follow the pixel grid, which shows as checkerboards, and
absolute tone, which is then pushed too far. Patches are drawn by contrast, so that sky and wall do not use up the
centroids. Centroids that starve or double another are sown again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

CHUNK = 8192
"""Patches compared with all centroids at once: bounds memory, and fixes the order of summation."""

CHANNELS = 128
"""Principal directions of a layer's input channels that its patches are made of."""

FLAT = 0.25
"""Chance that a patch without any contrast is kept, relative to one of median contrast or more."""

STARVED, DOUBLE = 0.1, 0.95
"""A centroid is sown again below this share of its even part, or above this cosine with a larger centroid."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings with which one convolution is learned.

    Attributes:
        epsilon: added to every variance before whitening, as a multiple of the mean variance; large is gentle.
        disturbances: by name, the weight of the variance that a disturbance causes against the pictures' own.
        rank: directions kept of the whitened patches, those that carry most signal.
        firing: least and largest share of patches on which a unit responds, spread evenly over the units.
        gain: 1 gives every unit the same mean activation; 0 all units one scale, which leaves rare ones quiet.
        patches: how many patches k-means sees.
        iterations: how often it sees them.
    """

    epsilon: float = 0.01
    disturbances: Mapping[str, float]
    rank: int = 512
    firing: tuple[float, float] = (0.35, 0.55)
    gain: float = 0.5
    patches: int = 60_000
    iterations: int = 15


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return relu(weight * x + bias) of x (B, C, H, W), the border replicated: (B, N, H, W)."""
    return nnf.relu(nnf.conv2d(nnf.pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias))


def learn_convolution(
    chunks: Sequence[Tensor],
    filters: int,
    recipe: Recipe,
    *,
    disturbed: Mapping[str, Sequence[Tensor]],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Learn a 3x3 convolution from its input; its activations after the ReLU have mean 1 over all units.

    Args:
        chunks: the layer's input, in chunks (B, C, H, W).
        filters: N, how many to learn.
        recipe: how.
        disturbed: by the recipe's names, the same input with the pictures disturbed; may be fewer chunks.
        generator: the source of chance.

    Returns:
        weight (N, C, 3, 3) and bias (N,).
    """
    basis = _channel_basis(chunks)
    patches = _informative(chunks, basis, recipe.patches, generator)
    mean = patches.mean(0)
    z = patches - mean
    signal = z.T @ z / len(z)
    nuisance = torch.zeros_like(signal)
    for name, strength in recipe.disturbances.items():
        nuisance += strength * _disturbance(chunks, disturbed[name], basis, recipe.patches // 3, generator)
    whiten = _whitening(signal, nuisance, recipe)
    y = z @ whiten
    norm = y.norm(dim=1, keepdim=True)
    # Patches of low norm keep a shorter vector, and so a smaller say in where a centroid lies.
    y /= norm + 0.1 * norm.mean()
    w = spherical_kmeans(y, filters, recipe.iterations, generator) @ whiten.T
    response = z @ w.T
    firing = torch.linspace(*recipe.firing, filters)[torch.randperm(filters, generator=generator)]
    rank = ((1 - firing) * (len(z) - 1)).long()
    threshold = response.sort(dim=0).values[rank, torch.arange(filters)]
    activation = nnf.relu(response - threshold).mean(0)
    scale = activation.pow(-recipe.gain)
    scale /= (activation * scale).mean()
    weight = torch.einsum("nrk,cr->nck", w.view(filters, -1, 9), basis) * scale.view(-1, 1, 1)
    return weight.reshape(filters, -1, 3, 3).contiguous(), -(w @ mean + threshold) * scale


def spherical_kmeans(x: Tensor, k: int, iterations: int, generator: torch.Generator) -> Tensor:
    """Return unit centroids (k, D) of samples x (n, D), each sample assigned to the one it projects on furthest.

    During the first two thirds of the iterations, starved and doubled centroids start again from samples among the
    quarter that is explained worst.
    """
    d = nnf.normalize(x[torch.randperm(len(x), generator=generator)[:k]], dim=1)
    for step in range(iterations):
        total, count, fit = torch.zeros_like(d), torch.zeros(k), torch.empty(len(x))
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK]
            value, nearest = (part @ d.T).max(1)
            total.index_add_(0, nearest, part * value[:, None])
            count += torch.bincount(nearest, minlength=k)
            fit[start : start + CHUNK] = value
        d = nnf.normalize(total, dim=1)
        if step < 2 * iterations // 3:
            order = count.argsort(descending=True)
            doubles = ((d[order] @ d[order].T).tril(-1) > DOUBLE).any(1)
            bad = count < STARVED * len(x) / k
            bad[order[doubles]] = True
            worst = fit.topk(max(k, len(x) // 4), largest=False).indices
            chosen = worst[torch.randperm(len(worst), generator=generator)[: int(bad.sum())]]
            d[bad] = nnf.normalize(x[chosen], dim=1)
    return d


def _channel_basis(chunks: Sequence[Tensor]) -> Tensor:
    """Return the leading principal directions (C, R) of the channels, R = min(C, CHANNELS): keeps patches short."""
    C = chunks[0].shape[1]
    if C <= CHANNELS:
        return torch.eye(C)
    flat = [x.transpose(0, 1).flatten(1) for x in chunks]
    x = torch.cat([f[:, :: max(1, f.shape[1] // 2000)] for f in flat], dim=1)
    _, basis = _principal(torch.cov(x))
    return basis[:, -CHANNELS:].contiguous()


def _patches(x: Tensor, basis: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return n patches (n, R, 9) at random places of x (B, C, H, W), their channels in the basis (C, R)."""
    B, _, H, W = x.shape
    padded = nnf.pad(x, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    b, r, c = (torch.randint(0, high, (n,), generator=generator) for high in (B, H, W))
    return torch.stack([padded[b, r + i, c + j] @ basis for i in range(3) for j in range(3)], dim=2)


def _informative(chunks: Sequence[Tensor], basis: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return about n patches (n, R·9), the better half of twice as many: drawn by chance, flat ones less often."""
    share = -(-n // len(chunks))
    kept = []
    for x in chunks:
        p = _patches(x, basis, 2 * share, generator)
        contrast = p.std(dim=2).norm(dim=1)
        chance = (contrast / (contrast.median() + 1e-8)).clamp(FLAT, 1)
        kept.append(p[(torch.rand(len(p), generator=generator) / chance).argsort()[:share]].flatten(1))
    return torch.cat(kept)


def _disturbance(
    chunks: Sequence[Tensor], disturbed: Sequence[Tensor], basis: Tensor, n: int, generator: torch.Generator
) -> Tensor:
    """Return second moments (R·9, R·9) of what a disturbance of the pictures changes, over about n patches."""
    change = torch.cat(
        [
            _patches(y - x, basis, n // len(disturbed), generator).flatten(1)
            for x, y in zip(chunks, disturbed, strict=False)
        ]
    )
    return change.T @ change / len(change)


def _whitening(signal: Tensor, nuisance: Tensor, recipe: Recipe) -> Tensor:
    """Return directions (D, R) in which signal, as a share of signal and nuisance, has at most unit variance.

    Both are second moments (D, D) of patches. Where a disturbance outweighs the signal little of it remains; the
    directions with the least are left out.
    """
    variance, basis = _principal(signal + nuisance)
    variance = variance.clamp_min(0) + recipe.epsilon * signal.diagonal().mean()
    whiten = basis / variance.sqrt()
    _, kept = _principal(whiten.T @ signal @ whiten)
    return whiten @ kept[:, -recipe.rank :]


def _principal(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (D,), ascending, and eigenvectors (D, D), as columns, of symmetric moments (D, D)."""
    variance, basis = torch.linalg.eigh(moments)
    return variance, basis
