"""How far a picture gives way, by colour, frequency and place: the initial Hessian of L-BFGS, learned on the way.

The usual one is a multiple of the identity. But a style loss pulls a thousand times harder at broad stripes of light
than at fine ones of colour, and harder where there is texture than in a clear sky, and in a hundred evaluations L-BFGS
does not learn that from pairs alone. So H₀ is a diagonal twice (after Gilbert and Lemaréchal, *Some numerical
experiments with variable-storage quasi-Newton algorithms*, 1989, who learn one diagonal):

    H₀ = scale · a Fᵀ γ F a

F goes to opponent colours and, orthonormally, to frequencies; γ has a value for each colour and ring of frequencies,
a one for each place. Where y = D·s with a diagonal D, its inverse is √(s²/y²); here both are sums over a ring or a
neighbourhood and over the pairs so far, old ones discounted. The scale is such that H₀ agrees with the last pair on
y·H₀y = y·s, as γ = y·s / y·y does for the identity.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor

OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
"""Light, red against blue, and green against both: orthogonal."""

RINGS_PER_OCTAVE = 2
DECAY = 0.9
"""Of what older pairs say, with each new one."""

NEIGHBOURHOOD = 8
"""Pixels, each way, that make one place; between their centres a is interpolated."""

RING_AT_MOST, PLACE_AT_MOST = 30.0, 16.0
"""By what factor a ring or a place may differ from the geometric mean of all."""

NOTHING = 1e-10
"""Of the largest ring or place: added to all, so that one that nothing is known of is like the mean."""


class Curvature:
    """H₀ for pictures of one shape (C, H, W), given flat; what is learned is in the caller's `state`, per sample."""

    def __init__(self, shape: torch.Size, like: Tensor) -> None:
        self.shape = C, H, W = shape
        dtype, device = like.dtype, like.device
        colours = torch.tensor(OPPONENT if len(OPPONENT) == C else torch.eye(C).tolist(), dtype=dtype, device=device)
        self.colours = colours / torch.linalg.vector_norm(colours, dim=1, keepdim=True)
        rows = torch.fft.fftfreq(H, dtype=dtype, device=device)
        columns = torch.fft.rfftfreq(W, dtype=dtype, device=device)
        self.rings = 1 + math.ceil(RINGS_PER_OCTAVE * math.log2(max(H, W) / 2))
        octaves = 1 + torch.log2(torch.hypot(rows[:, None], columns).clamp_min(1 / max(H, W)))  # at most a half
        self.ring = (-RINGS_PER_OCTAVE * octaves).floor().clamp(0, self.rings - 1).to(torch.int64).flatten()
        twice = torch.full_like(columns, 2.0)  # a half of the spectrum stands for the other too
        twice[0] = 1.0
        if W % 2 == 0:
            twice[-1] = 1.0
        self.count = twice.expand(H, -1).flatten()

    def nothing_known(self, B: int, like: Tensor) -> dict[str, Tensor]:
        """The state of B samples that have made no step: H₀ is the identity."""
        C, H, W = self.shape
        rings, places = (B, C, self.rings), (B, 1, *(math.ceil(side / NEIGHBOURHOOD) for side in (H, W)))
        return {
            "ring_s": like.new_zeros(rings),
            "ring_y": like.new_zeros(rings),
            "place_s": like.new_zeros(places),
            "place_y": like.new_zeros(places),
            "ring": like.new_ones(rings),  # scale · γ
            "place": like.new_ones(B, 1, H, W),  # a
        }

    def forget(self, state: dict[str, Tensor], fresh: Tensor) -> None:
        """Samples where `fresh` (B, 1) is true are as if they had made no step."""
        for name in ("ring_s", "ring_y", "place_s", "place_y"):
            state[name].masked_fill_(_like(fresh, state[name]), 0.0)
        for name in ("ring", "place"):
            state[name].masked_fill_(_like(fresh, state[name]), 1.0)

    def learn(self, state: dict[str, Tensor], s: Tensor, y: Tensor, ys: Tensor, usable: Tensor) -> None:
        """Take in steps s and changes of gradient y (B, D), with y·s (B, 1), where `usable` (B, 1) is true."""
        s, y = s.view(-1, *self.shape), y.view(-1, *self.shape)
        usable, ys = usable[:, :, None, None], ys[:, :, None, None]
        for name, v in (("place_s", s), ("place_y", y)):
            new = DECAY * state[name] + _by_place(v.square().sum(1, keepdim=True)) / ys
            state[name].copy_(torch.where(usable, new, state[name]))
        a = _ratio(state["place_s"], state["place_y"], (2, 3), PLACE_AT_MOST).sqrt()
        a = nnf.interpolate(a, self.shape[1:], mode="bilinear")
        state["place"].copy_(torch.where(usable, a, state["place"]))
        usable, ys = usable[:, :, 0], ys[:, :, 0]
        power = self._power(state["place"] * y)
        for name, new in (("ring_s", self._power(s / state["place"])), ("ring_y", power)):
            state[name].copy_(torch.where(usable, DECAY * state[name] + new / ys, state[name]))
        gamma = _ratio(state["ring_s"], state["ring_y"], (1, 2), RING_AT_MOST)
        scale = ys / (gamma * power).sum((1, 2), keepdim=True)
        state["ring"].copy_(torch.where(usable, scale * gamma, state["ring"]))

    def apply(self, state: dict[str, Tensor], v: Tensor) -> Tensor:
        """H₀·v of flat v (B, D)."""
        place = state["place"]
        spectrum = self._spectrum(place * v.view(-1, *self.shape))
        spectrum = spectrum * state["ring"][:, :, self.ring].view(spectrum.shape)
        back = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="ortho")
        picture: Tensor = torch.einsum("ji,bjhw->bihw", self.colours, back)
        return (place * picture).flatten(1)

    def _spectrum(self, v: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.rfft2(torch.einsum("ij,bjhw->bihw", self.colours, v), norm="ortho")
        return spectrum

    def _power(self, v: Tensor) -> Tensor:
        """Squares of v (B, C, H, W) summed by colour and ring, (B, C, rings)."""
        power = torch.view_as_real(self._spectrum(v)).square().sum(-1).flatten(2).mul_(self.count)
        return power.new_zeros(*power.shape[:2], self.rings).scatter_add_(2, self.ring.expand_as(power), power)


def _ratio(ss: Tensor, yy: Tensor, dims: tuple[int, int], at_most: float) -> Tensor:
    """√(s²/y²), over its geometric mean along `dims` and within a factor `at_most` of it."""
    least = torch.finfo(ss.dtype).tiny
    ss, yy = (sums + NOTHING * sums.amax(dims, keepdim=True) + least for sums in (ss, yy))
    logs = 0.5 * (ss.log() - yy.log())
    bound = math.log(at_most)
    return (logs - logs.mean(dims, keepdim=True)).clamp(-bound, bound).exp()


def _by_place(v: Tensor) -> Tensor:
    """Means over neighbourhoods of v (B, 1, H, W)."""
    return nnf.avg_pool2d(v, NEIGHBOURHOOD, ceil_mode=True)


def _like(mask: Tensor, v: Tensor) -> Tensor:
    """A mask (B, 1) that broadcasts against v (B, ...)."""
    return mask.view(-1, *(1,) * (v.dim() - 1))
