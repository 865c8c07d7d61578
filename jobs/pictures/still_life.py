"""A content indoors: solids with soft light, cast shadows and reflections."""

import numpy as np

from jobs.pictures.noise import Field, grid, noise, over, palette, ramp, shrink, step
from jobs.pictures.scenes import finish


def fruit(rng: np.random.Generator, size: int) -> Field:
    """Draw a still life: fruit and a jug on a cloth, lit from a window on the left."""
    big = 2 * size
    y, x = grid(big)
    table = 0.60
    plaster = noise(rng, big, 6, octaves=6)
    picture = ramp(0.75 - 0.55 * x - 0.15 * y + 0.035 * plaster, palette("1e1a18 4a4038 7d6c58 b8a488"))
    folds = noise(rng, big, (2, 7), octaves=3) + 0.4 * np.sin(14 * (x + 0.6 * y))
    weave = noise(rng, big, big / 5)
    cloth = ramp(0.62 - 0.35 * x + 0.10 * folds + 0.03 * weave, palette("4a4a58 9a98a0 d8d0c4 f8f2e4"))
    stripe = step(np.abs((x + 0.35 * y + 0.008 * folds) * 7 % 1 - 0.5), 0.07, 0.05)
    cloth = over(cloth, cloth * palette("b84a3c")[0] * 1.25, 0.85 * stripe)
    picture = over(picture, cloth, step(y - table - 0.006 * folds, -0.001, 0.001))
    picture = _jug(rng, picture, y, x, 0.30 + rng.uniform(-0.05, 0.05))
    skins = [
        "5a0f14 b8241f e8603a f8b070",
        "7a4a08 d88a14 f4bc3a fff0a0",
        "2f4a10 6f8f20 b0c848 eef2a0",
        "3a1434 6a2450 a04a70 e0a0b0",
    ]
    spots = sorted((0.69 + 0.17 * rng.random(), 0.12 + 0.125 * k + rng.uniform(-0.03, 0.03)) for k in range(7))
    for k, (cy, cx) in enumerate(spots):
        radius = rng.uniform(0.065, 0.095)
        v, u = (y - cy) / radius, (x - cx) / radius
        shadow = np.exp(-(((u - 0.75) / 1.25) ** 2) - ((v - 0.72) / 0.38) ** 2)
        picture = picture * (1 - 0.62 * shadow * (y > table))[..., None]
        r2 = u**2 * (1 + 0.10 * v) + v**2 * 1.08
        z = np.sqrt(np.clip(1 - r2, 0, 1))
        lambert = np.clip(-0.62 * u - 0.50 * v + 0.60 * z, 0, 1)
        freckle = noise(rng, big, 100, octaves=2) * 0.03 + 0.03 * noise(rng, big, (8, 30))
        tone = 0.10 + 0.78 * lambert + freckle + 0.10 * np.clip(v * u, 0, 1)
        skin = ramp(tone, palette(skins[(k + int(rng.integers(2))) % 4]))
        gleam = np.exp(-(((u + 0.40) / 0.13) ** 2) - ((v + 0.42) / 0.17) ** 2)
        skin = skin + (0.55 * gleam)[..., None]
        picture = over(picture, skin.astype(np.float32), step(r2, 1.015, 0.985))
        stem = step(np.abs(u - 0.10 * (v + 0.8)), 0.05, 0.035) * (v < -0.72) * (v > -1.22)
        picture = over(picture, palette("2f2214")[0], stem)
    return finish(rng, shrink(picture, 2))


def _jug(rng: np.random.Generator, picture: Field, y: Field, x: Field, where: float) -> Field:
    """Draw a glazed jug, a solid of revolution, with a painted band and the window in its glaze."""
    t = (0.74 - y) / 0.50
    half = 0.072 + 0.062 * np.clip(np.sin(np.pi * np.clip(t * 1.25, 0, 1)), 0, 1) ** 1.3 + 0.030 * step(t, 0.86, 1.0)
    u = (x - where) / half
    inside = step(np.abs(u), 1.01, 0.99) * step(t, 0.0, 0.004) * step(t, 1.0, 0.996)
    shadow = np.exp(-(((x - where - 0.17) / 0.17) ** 2) - ((y - 0.75) / 0.045) ** 2)
    picture = picture * (1 - 0.6 * shadow * (y > 0.6))[..., None]
    handle = np.abs(np.hypot((x - where - 0.125) / 0.062, (y - 0.40) / 0.105) - 1)
    picture = over(picture, palette("28465c")[0], step(handle, 0.20, 0.16) * (x > where + 0.10))
    turned = 0.03 * noise(rng, y.shape[0], (60, 3))
    light = np.clip(0.62 - 0.52 * u - 0.30 * u**2, 0, 1) + turned
    glaze = ramp(light, palette("0c1c2a 1f4560 4a86a0 a8d0d4"))
    band = step(np.abs(t - 0.42 - 0.02 * np.sin(np.arcsin(np.clip(u, -1, 1)) * 9)), 0.075, 0.068)
    glaze = over(glaze, ramp(light, palette("2c2418 8a6a3c e0c080 fff0cc")), band)
    window = np.exp(-(((u + 0.45) / 0.11) ** 4) - ((t - 0.60) / 0.10) ** 4)
    picture = over(picture, glaze + (0.5 * window)[..., None], inside)
    mouth = np.hypot((x - where) / 0.096, (t - 0.985) / 0.030)
    picture = over(picture, palette("7ab0c0")[0], step(mouth, 1.04, 0.98))
    return over(picture, palette("0a141c")[0], step(mouth, 0.88, 0.80))
