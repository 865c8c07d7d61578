"""Brush strokes: many at once, each following a flow, with bristles, ragged ends and a body of paint."""

from dataclasses import dataclass

import numpy as np

from jobs.pictures.noise import Field, at, noise, relief, shrink

_SUPERSAMPLE = 2
_SAMPLES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Brush:
    """How a layer is painted. Lengths are fractions of the side; `count` strokes are laid in random order.

    `jitter` is the spread of colour between strokes, `bristle` that of light across one stroke, `ragged` how
    unevenly the bristles lift off at its end (0: a clean dab).
    """

    count: int
    length: float
    width: float
    jitter: float = 0.06
    bristle: float = 0.10
    ragged: float = 0.35


class Canvas:
    """A primed canvas that takes layers of strokes; `picture()` lights it and scales it to `size`."""

    def __init__(self, rng: np.random.Generator, size: int, ground: Field) -> None:
        self._rng, self._size = rng, size
        side = size * _SUPERSAMPLE
        self._colour = np.broadcast_to(ground, (side, side, 3)).astype(np.float32).reshape(-1, 3)
        self._height = (0.15 * noise(rng, side, side / 3)).reshape(-1)

    def paint(self, guide: Field, angle: Field, brush: Brush) -> None:
        """Lay strokes coloured by the `guide` picture along the direction `angle` (radians from x to y)."""
        side = self._size * _SUPERSAMPLE
        steps = max(2, int(1.5 * brush.length * side))
        lanes = max(3, int(1.7 * brush.width * side))
        chunk = max(1, _SAMPLES_AT_ONCE // (steps * lanes))
        for done in range(0, brush.count, chunk):
            self._lay(guide, angle, brush, min(chunk, brush.count - done), steps, lanes)

    def _lay(self, guide: Field, angle: Field, brush: Brush, count: int, steps: int, lanes: int) -> None:
        rng, side = self._rng, self._size * _SUPERSAMPLE
        y, x = rng.random((2, count), dtype=np.float32) * 1.1 - 0.05
        stretch = brush.length / steps * rng.uniform(0.6, 1.3, count).astype(np.float32)
        path = np.empty((4, count, steps), dtype=np.float32)
        for s in range(steps):
            a = at(angle, y, x)
            path[:, :, s] = y, x, np.sin(a), np.cos(a)
            y, x = y + stretch * np.sin(a), x + stretch * np.cos(a)
        py, px, sine, cosine = path[..., None]

        middle = steps // 2
        colour = at(guide, path[0, :, middle], path[1, :, middle])
        colour = colour * (1 + brush.jitter * rng.standard_normal((count, 1), dtype=np.float32))
        colour += 0.6 * brush.jitter * rng.standard_normal((count, 3), dtype=np.float32)

        along = np.linspace(0, 1, steps, dtype=np.float32)[None, :, None]
        across = np.linspace(-1, 1, lanes, dtype=np.float32)[None, None, :]
        swell = np.sqrt(np.clip(1 - (2 * along - 1) ** 4, 0, 1)) * (0.85 + 0.3 * (0.5 - along))
        half = brush.width / 2 * rng.uniform(0.6, 1.25, (count, 1, 1)).astype(np.float32) * swell
        hairs = rng.standard_normal((count, 1, lanes), dtype=np.float32)
        hairs = (hairs + np.roll(hairs, 1, axis=2)) / 1.4
        lifts = 1 - brush.ragged * np.abs(rng.standard_normal((count, 1, lanes), dtype=np.float32))

        row = np.floor((py + across * half * cosine) * side).astype(np.int64)
        column = np.floor((px - across * half * sine) * side).astype(np.int64)
        wet = (row >= 0) & (row < side) & (column >= 0) & (column < side) & (along <= lifts)
        stroke, _, lane = np.nonzero(wet)
        pixel = (row * side + column)[wet]
        # Later strokes cover earlier ones: of repeated indices numpy keeps the last value.
        shade = 1 + brush.bristle * hairs[stroke, 0, lane] * (1 - 0.3 * np.abs(across[0, 0, lane]))
        self._colour[pixel] = colour[stroke] * shade[:, None]
        profile = np.sqrt(np.clip(1.02 - across[0, 0] ** 2, 0, 1))
        self._height[pixel] = profile[lane] * (1 + 2 * brush.bristle * hairs[stroke, 0, lane])

    def picture(self, *, thickness: float = 0.16) -> Field:
        """Return the painting (size, size, 3), its ridges lit from the upper left."""
        side = self._size * _SUPERSAMPLE
        light = relief(self._height.reshape(side, side), thickness)
        return shrink(self._colour.reshape(side, side, 3) + light[..., None], _SUPERSAMPLE)
