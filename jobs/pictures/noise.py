"""Tools that pictures are drawn with: smooth noise, cells, blurs and colour ramps on square fields.

A *field* is a float array (size, size); a *picture* is (size, size, 3), sRGB-encoded values that are
nominally in [0, 1]. Coordinates are fractions of the side: y grows downwards, x to the right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


def grid(size: int) -> tuple[Field, Field]:
    """Return the pixel centres (y, x) of a square picture, each (size, size) in (0, 1)."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(line, line, indexing="ij")
    return y, x


def noise(
    rng: np.random.Generator,
    size: int,
    cells: float | tuple[float, float],
    *,
    octaves: int = 1,
    gain: float = 0.5,
) -> Field:
    """Return smooth value noise (size, size) of zero mean and unit deviation.

    `cells` is how many bumps fit along the side (or down and across, for grain that has a direction). Every
    further octave doubles it and multiplies the amplitude by `gain`; octaves finer than a pixel are left out.
    """
    down, across = cells if isinstance(cells, tuple) else (cells, cells)
    total = np.zeros((size, size), dtype=np.float32)
    for octave in range(octaves):
        rows, columns = (min(n * 2**octave, size) for n in (down, across))
        lattice = rng.standard_normal((int(rows) + 5, int(columns) + 5), dtype=np.float32)
        left, top = rng.random(2) + 1
        window = (left, top, left + columns, top + rows)
        bumps = Image.fromarray(lattice).resize((size, size), Image.Resampling.BICUBIC, box=window)
        total += gain**octave * np.asarray(bumps)
        if max(down, across) * 2**octave >= size:
            break
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), dtype=np.float32)


def ridges(rng: np.random.Generator, size: int, cells: float, octaves: int) -> Field:
    """Return a mountain relief (size, size): like `noise`, with sharp crests instead of round bumps."""
    folds = (0.55**k * -np.abs(noise(rng, size, cells * 2**k)) for k in range(octaves) if cells * 2**k < size)
    total = np.sum(list(folds), axis=0)
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), dtype=np.float32)


def blur(field: Field, sigma: float) -> Field:
    """Blur a field (H, W) by a Gaussian of `sigma`, a fraction of the side, edges mirrored."""
    pixels = sigma * field.shape[0]
    margin = min(int(3 * pixels) + 1, field.shape[0] - 1)
    padded = np.pad(field, margin, mode="reflect")
    height, width = padded.shape
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    spectrum = np.fft.rfft2(padded) * np.exp(-2 * (np.pi * pixels) ** 2 * (fy**2 + fx**2))
    return np.fft.irfft2(spectrum, s=padded.shape)[margin:-margin, margin:-margin].astype(np.float32)


def step(field: Field, low: float, high: float) -> Field:
    """Return a smooth step: 0 where field <= low, 1 where field >= high (or the reverse when low > high)."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def palette(colours: str) -> Field:
    """Return colours (N, 3) in [0, 1] from hex codes separated by spaces: `palette("102040 f0d060")`."""
    codes = [bytes.fromhex(code) for code in colours.split()]
    return np.array([list(code) for code in codes], dtype=np.float32) / 255


def ramp(t: Field, colours: Field) -> Field:
    """Return the colour at t in [0, 1] along evenly spaced colours (N, 3); shape (*t.shape, 3)."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, colours[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def over(picture: Field, colour: Field, alpha: Field) -> Field:
    """Lay a colour (3,) or picture over `picture` with opacity `alpha` (H, W)."""
    return np.asarray(picture + (colour - picture) * alpha[..., None], dtype=np.float32)


def shrink(picture: Field, factor: int) -> Field:
    """Average factor x factor pixels, which gives a picture that was drawn too large its smooth edges."""
    size = picture.shape[0] // factor
    return np.asarray(picture.reshape(size, factor, size, factor, -1).mean(axis=(1, 3)), dtype=np.float32)


def at(field: Field, y: Field, x: Field) -> Field:
    """Return the nearest values of a field or picture at fractional coordinates, clamped to its edges."""
    size = field.shape[0]
    rows, columns = (np.clip((v * size).astype(np.int32), 0, size - 1) for v in (y, x))
    return np.asarray(field[rows, columns])


def relief(height: Field, strength: float) -> Field:
    """Return light (H, W) around 0 on a height map lit from the upper left: what makes paint look thick."""
    dy, dx = np.gradient(height)
    return np.asarray(strength * np.tanh(-(dx + 1.3 * dy)), dtype=np.float32)


@dataclass(frozen=True)
class Cells:
    """A Voronoi tessellation: for each pixel its cell, how far the nearest border is, and the cell's seed."""

    index: Indices
    border: Field
    y: Field
    x: Field
    count: int


def voronoi(rng: np.random.Generator, y: Field, x: Field, across: int, *, jitter: float = 0.9) -> Cells:
    """Return cells around `across` x `across` jittered seeds, seen from coordinates (y, x), which may be warped.

    `index` lies in [0, count), so `table[cells.index]` gives each cell something of its own.
    """
    side = across + 6
    seeds = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).astype(np.float32)
    seeds += 0.5 + jitter * (rng.random(seeds.shape, dtype=np.float32) - 0.5)
    v, u = y * across + 3, x * across + 3
    row, column = v.astype(np.int64), u.astype(np.int64)
    near = np.full(y.shape, np.inf, dtype=np.float32)
    second = near.copy()
    owner, rival = np.zeros(y.shape, dtype=np.int64), np.zeros(y.shape, dtype=np.int64)
    for dy in (-2, -1, 0, 1, 2):
        for dx in (-2, -1, 0, 1, 2):
            r, c = np.clip(row + dy, 0, side - 1), np.clip(column + dx, 0, side - 1)
            index = r * side + c
            seed = seeds[r, c]
            distance = (v - seed[..., 0]) ** 2 + (u - seed[..., 1]) ** 2
            first = distance < near
            runner_up = ~first & (distance < second) & (index != owner)
            rival = np.where(first, owner, np.where(runner_up, index, rival))
            second = np.where(first, near, np.where(runner_up, distance, second))
            owner, near = np.where(first, index, owner), np.where(first, distance, near)
    flat = seeds.reshape(-1, 2)
    apart = np.linalg.norm(flat[owner] - flat[rival], axis=-1) + 1e-6
    border = ((second - near) / (2 * apart * across)).astype(np.float32)
    own = ((flat[owner] - 3) / across).astype(np.float32)
    return Cells(owner, border, own[..., 0], own[..., 1], side * side)
