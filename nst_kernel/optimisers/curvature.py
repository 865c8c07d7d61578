"""The initial inverse Hessian H₀ of L-BFGS, learned from its steps by colour, frequency and place in the picture.

L-BFGS usually starts from a multiple of the identity. But a style loss is a thousand times more sensitive to broad
stripes of light than to fine ones of colour, and more sensitive where there is texture than in a clear sky, and in a
hundred evaluations L-BFGS does not learn that from its history of m pairs. So H₀ is the product of two diagonals
(Gilbert and Lemaréchal, *Some numerical experiments with variable-storage quasi-Newton algorithms*, 1989, learn one):

    H₀ = scale · a Fᵀ γ F a

F transforms to opponent colours and, orthonormally, to frequencies. γ has a value for each colour and ring of
frequencies, a one for each place. They are learned from pairs of a step s and the change of gradient y that it made:
where y = D·s with a diagonal D, the inverse of D is √(s²/y²). Here s² and y² are sums over a ring or a neighbourhood
and over the pairs so far, older ones discounted. The scale is such that y·H₀y = y·s holds for the last pair, as
γ = y·s / y·y makes it hold for the identity.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel import gpu

OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
"""Rows of an orthogonal transform of RGB: light, red against blue, and green against both."""

RINGS_PER_OCTAVE = 2
"""Rings of frequencies from one frequency to its double."""

DECAY = 0.9
"""Factor by which the sums over older pairs shrink with each new pair."""

NEIGHBOURHOOD = 8
"""Side in pixels of the square that is one place; between centres of places, a is interpolated."""

RING_AT_MOST, PLACE_AT_MOST = 30.0, 16.0
"""Factors by which γ of a ring and a of a place may differ from the geometric mean of all."""

NOTHING = 1e-10
"""Share of the largest sum that is added to all, so that a ring or place without data gets the mean."""


class Curvature:
    """The learned initial inverse Hessian H₀ of L-BFGS, for flat pictures (B, C·H·W) of one shape.

    What is learned lies in a `state` that the caller keeps, tensors by name with one row per sample: sums `ring_s` and
    `ring_y` (B, C, rings), `place_s` and `place_y` (B, 1, h, w), and what follows from them, `ring` (scale · γ) and
    `place` (a at every pixel, (B, 1, H, W)).

    Attributes:
        shape: (C, H, W).
        rings: number of rings of frequencies.
        ring: ring of each frequency of the half spectrum (H, W // 2 + 1), from 0 (highest) to `rings` - 1.
        count: how many frequencies of the whole spectrum one of each column of the half spectrum stands for: 1 or 2.
    """

    def __init__(self, shape: torch.Size, like: Tensor) -> None:
        """Prepare for pictures of a shape (C, H, W), with the type and on the device of `like`."""
        self.shape = C, H, W = shape
        dtype, device = like.dtype, like.device
        colours = torch.tensor(OPPONENT if len(OPPONENT) == C else torch.eye(C).tolist(), dtype=dtype, device=device)
        self.colours = colours / torch.linalg.vector_norm(colours, dim=1, keepdim=True)
        rows = torch.fft.fftfreq(H, dtype=dtype, device=device)
        columns = torch.fft.rfftfreq(W, dtype=dtype, device=device)
        self.rings = 1 + math.ceil(RINGS_PER_OCTAVE * math.log2(max(H, W) / 2))
        octaves = 1 + torch.log2(torch.hypot(rows[:, None], columns).clamp_min(1 / max(H, W)))  # at most a half
        self.ring = (-RINGS_PER_OCTAVE * octaves).floor().clamp(0, self.rings - 1).to(torch.int64)
        twice = torch.full_like(columns, 2.0)  # the half spectrum stands for its mirror image too
        twice[0] = 1.0
        if W % 2 == 0:
            twice[-1] = 1.0
        self.count = twice

    def initial_state(self, B: int, like: Tensor) -> dict[str, Tensor]:
        """Return the state of B samples that have made no step, with which H₀ is the identity."""
        C, H, W = self.shape
        rings, places = (B, C, self.rings), (B, 1, *(math.ceil(side / NEIGHBOURHOOD) for side in (H, W)))
        return {
            "ring_s": like.new_zeros(rings),
            "ring_y": like.new_zeros(rings),
            "place_s": like.new_zeros(places),
            "place_y": like.new_zeros(places),
            "ring": like.new_ones(rings),
            "place": like.new_ones(B, 1, H, W),
        }

    def forget(self, state: dict[str, Tensor], fresh: Tensor) -> None:
        """Reset the state of the samples where `fresh` (B, 1) is true to its values before the first step."""
        for name in ("ring_s", "ring_y", "place_s", "place_y"):
            state[name].masked_fill_(_like(fresh, state[name]), 0.0)
        for name in ("ring", "place"):
            state[name].masked_fill_(_like(fresh, state[name]), 1.0)

    def learn(self, state: dict[str, Tensor], s: Tensor, y: Tensor, ys: Tensor, usable: Tensor) -> None:
        """Update the state by one pair of each sample.

        Args:
            state: of all samples; it changes in place.
            s: steps (B, D).
            y: changes of gradient that they made (B, D).
            ys: inner products y·s (B, 1).
            usable: (B, 1), false for samples whose pair is ignored.
        """
        s, y = s.view(-1, *self.shape), y.view(-1, *self.shape)
        usable, ys = usable[:, :, None, None], ys[:, :, None, None]
        # a: from sums over neighbourhoods. Divided by y·s, pairs of long and of short steps count alike.
        for name, v in (("place_s", s), ("place_y", y)):
            new = DECAY * state[name] + _squares_by_place(v) / ys
            state[name].copy_(torch.where(usable, new, state[name]))
        a = _ratio(state["place_s"], state["place_y"], (2, 3), PLACE_AT_MOST).sqrt()
        a = nnf.interpolate(a, self.shape[1:], mode="bilinear")
        state["place"].copy_(torch.where(usable, a, state["place"]))
        usable, ys = usable[:, :, 0], ys[:, :, 0]
        # γ: from sums over rings, of the pair as it looks once a has been taken out of it.
        power = self._power(self._opponent(y, state["place"]))
        of_s = self._power(self._opponent(s, state["place"], divide=True))
        for name, new in (("ring_s", of_s), ("ring_y", power)):
            state[name].copy_(torch.where(usable, DECAY * state[name] + new / ys, state[name]))
        gamma = _ratio(state["ring_s"], state["ring_y"], (1, 2), RING_AT_MOST)
        # Scale: y·H₀y = y·s for this pair.
        scale = ys / (gamma * power).sum((1, 2), keepdim=True)
        state["ring"].copy_(torch.where(usable, scale * gamma, state["ring"]))

    def apply(self, state: dict[str, Tensor], v: Tensor) -> Tensor:
        """Return H₀·v of flat pictures v (B, D)."""
        place, shape = state["place"], self.shape[1:]
        v = self._opponent(v.view(-1, *self.shape), place)
        if self._served(v):
            # Without the passes in which torch scales a spectrum: together the transforms are to be divided by H·W.
            spectrum = gpu.scaled_by_ring(torch.fft.rfft2(v), self.ring, state["ring"] / math.prod(shape))
            back = torch.fft.irfft2(spectrum, s=shape, norm="forward")
            return gpu.transformed(back, self.colours.T, place).flatten(1)
        spectrum = torch.fft.rfft2(v, norm="ortho") * state["ring"][:, :, self.ring]
        back = torch.fft.irfft2(spectrum, s=shape, norm="ortho")
        return (place * _transformed(self.colours.T, back)).flatten(1)

    def _served(self, v: Tensor) -> bool:
        """Return whether pictures v (B, C, H, W) are for the GPU's kernels, which know three colours."""
        return self.shape[0] == len(OPPONENT) and gpu.serves(v)

    def _opponent(self, v: Tensor, place: Tensor, *, divide: bool = False) -> Tensor:
        """Return v (B, C, H, W) in opponent colours, multiplied by `place` (B, 1, H, W), or divided by it."""
        if self._served(v):
            return gpu.transformed(v, self.colours, place, divide=divide)
        return _transformed(self.colours, v / place if divide else place * v)

    def _power(self, v: Tensor) -> Tensor:
        """Return the sums of squares of the spectrum of v by colour and ring, (B, C, rings), of v (B, C, H, W)."""
        if gpu.serves(v):
            sums = gpu.power_by_ring(torch.fft.rfft2(v), self.ring, self.count, self.rings)
            return sums / math.prod(self.shape[1:])
        power = torch.view_as_real(torch.fft.rfft2(v, norm="ortho")).square().sum(-1).mul_(self.count)
        # Row by row first: all that is added to one number has to wait for each other.
        by_row = power.new_zeros(*power.shape[:3], self.rings).scatter_add_(3, self.ring.expand_as(power), power)
        return by_row.sum(2)


def _transformed(M: Tensor, v: Tensor) -> Tensor:
    """Return the colours of v (B, C, H, W) transformed by a matrix M (C, C)."""
    return torch.bmm(M.expand(len(v), -1, -1), v.flatten(2)).view(v.shape)


def _ratio(ss: Tensor, yy: Tensor, dims: tuple[int, int], at_most: float) -> Tensor:
    """Return √(s²/y²) divided by its geometric mean along `dims`, clipped to a factor `at_most` either way."""
    least = torch.finfo(ss.dtype).tiny
    ss, yy = (sums + NOTHING * sums.amax(dims, keepdim=True) + least for sums in (ss, yy))
    logs = 0.5 * (ss.log() - yy.log())
    bound = math.log(at_most)
    return (logs - logs.mean(dims, keepdim=True)).clamp(-bound, bound).exp()


def _squares_by_place(v: Tensor) -> Tensor:
    """Return the means over neighbourhoods of v² (B, C, H, W), summed over colours, (B, 1, h, w)."""
    if gpu.serves(v):
        return gpu.squares_by_place(v, NEIGHBOURHOOD)
    return nnf.avg_pool2d(v.square().sum(1, keepdim=True), NEIGHBOURHOOD, ceil_mode=True)


def _like(mask: Tensor, v: Tensor) -> Tensor:
    """View a mask (B, 1) so that it broadcasts against v (B, ...)."""
    return mask.view(-1, *(1,) * (v.dim() - 1))
