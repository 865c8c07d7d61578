"""Styles laid with brush, dab, wash and crayon."""

import numpy as np

from jobs.pictures.noise import Field, at, grid, noise, over, palette, ramp, step, voronoi
from jobs.pictures.strokes import Brush, Canvas


def _flow(potential: Field) -> Field:
    """Return the direction along the contours of a potential: curl noise, which has no sources or sinks."""
    dy, dx = np.gradient(potential)
    return np.asarray(np.arctan2(-dx, dy), dtype=np.float32)


def night(rng: np.random.Generator, size: int) -> Field:
    """Draw a whirling night sky: thick blue strokes around yellow lights, dark hills below."""
    y, x = grid(size)
    potential = 0.05 * noise(rng, size, 3, octaves=2) - 0.25 * y
    tone = 0.34 + 0.13 * noise(rng, size, 4, octaves=3)
    lights = np.zeros_like(y)
    for _ in range(rng.integers(6, 10)):
        cy, cx, radius = rng.uniform(0.03, 0.68), rng.uniform(0.03, 0.97), rng.uniform(0.05, 0.13)
        distance = np.hypot(y - cy, x - cx) / radius
        potential += rng.choice([-1, 1]) * 0.28 * radius * 4 * np.exp(-((distance / 1.7) ** 2))
        rings = 0.75 + 0.25 * np.cos(5.5 * distance)
        lights = np.maximum(lights, np.exp(-((distance / 1.1) ** 2)) * rings)
        tone += 0.20 * np.exp(-((distance / 2.2) ** 2))
    guide = ramp(tone, palette("0a1238 14266b 2447a0 3f7cc4 86b8d6 cfe0d0"))
    guide = over(guide, ramp(lights, palette("7fb0b8 d8cf62 f4c430 fff3b0")), step(lights, 0.15, 0.6))
    ridge = 0.80 + 0.05 * noise(rng, size, (1, 3), octaves=2)[size // 2][None, :]
    land = step(y - ridge, 0.0, 0.015)
    guide = over(guide, ramp(0.5 + 0.25 * noise(rng, size, 9, octaves=2), palette("0b1a2a 16364a 2d5a4e 6a7f3c")), land)
    canvas = Canvas(rng, size, palette("101c4a")[0])
    angle = _flow(potential)
    canvas.paint(guide, angle, Brush(900, 0.16, 0.026))
    canvas.paint(guide, angle, Brush(3000, 0.085, 0.0135, jitter=0.09))
    canvas.paint(guide, angle, Brush(1600, 0.05, 0.009, jitter=0.13))
    return canvas.picture(thickness=0.14)


def harvest(rng: np.random.Generator, size: int) -> Field:
    """Draw fields under a hot sun: rows of ochre, orange and olive strokes that follow the lie of the land."""
    y, x = grid(size)
    cy, cx = rng.uniform(0.08, 0.25), rng.uniform(0.2, 0.8)
    sun = np.hypot(y - cy, x - cx)
    guide = ramp(0.5 - 2.2 * (sun - 0.35) + 0.06 * noise(rng, size, 5), palette("e8743a f29c3d f7c04a fbe08a fff4c0"))
    angle = np.arctan2(y - cy, x - cx) + np.pi / 2 + 0.25 * noise(rng, size, 3)
    bands = palette("b5361f e07b28 6f7a2a f0b03a c9562a 8d8b35 f5c95a 7a3b1e d98e2b")
    rng.shuffle(bands)
    base, tilt = 0.36, 0.0
    for k, colour in enumerate(np.concatenate([bands, bands])[:11]):
        base += 0.035 + 0.009 * k
        tilt = rng.uniform(-0.25, 0.25)
        edge = base + tilt * (x - 0.5) + 0.018 * noise(rng, size, (1, 2.5), octaves=2)[0][None, :]
        inside = step(y - edge, 0, 0.006)
        stripes = 0.10 * np.sin((x + rng.uniform(-1, 1) * y) * rng.uniform(60, 130))
        guide = over(guide, colour * (1 + stripes[..., None] + 0.10 * noise(rng, size, 12)[..., None]), inside)
        lean = np.arctan(tilt) if rng.random() < 0.6 else -np.pi / 2 + rng.uniform(-0.5, 0.5)
        angle = np.where(inside > 0.5, lean + 0.22 * noise(rng, size, 5), angle)
    canvas = Canvas(rng, size, palette("8a4a1c")[0])
    canvas.paint(guide, angle, Brush(1000, 0.11, 0.030))
    canvas.paint(guide, angle, Brush(3200, 0.055, 0.015, jitter=0.10))
    canvas.paint(guide, angle, Brush(2600, 0.038, 0.008, jitter=0.15))
    return canvas.picture(thickness=0.18)


def dots(rng: np.random.Generator, size: int) -> Field:
    """Draw in the manner of pointillism: a bright riverside of round dabs, pure colours mixing only in the eye."""
    y, x = grid(size)
    shore = 0.40 + 0.05 * noise(rng, size, (1, 2))[0][None, :] + rng.uniform(-0.15, 0.15) * (x - 0.5)
    tone = 0.5 + 0.20 * noise(rng, size, (7, 3), octaves=3)
    guide = ramp(1.6 * y + 0.3 * (tone - 0.5), palette("5f9ad6 93c2e6 f3e0b8 f8bd94"))
    guide = over(guide, ramp(tone, palette("1f4f9f 3a86c0 6fc0c0 e4dca8")), step(y - shore, 0, 0.01))
    lawn = shore + 0.20 + 0.06 * noise(rng, size, (1, 2))[0][None, :]
    guide = over(guide, ramp(tone, palette("2a5f34 5a9a34 b4c93f f2dc4a")), step(y - lawn, 0, 0.01))
    crowns = ["14382f 2f6b3a 98b53a", "6a1f4a d0483f f8a04a", "2f2f7a 6450b0 c498dc", "1a4a5a 2f8a78 b8d060"]
    for cy in np.sort(rng.uniform(0.30, 0.92, int(rng.integers(6, 10)))):
        cx, reach = rng.uniform(0, 1), rng.uniform(0.05, 0.09) + 0.07 * cy
        shade = np.hypot((y - cy - reach * 0.9) * 3.2, x - cx - reach * 0.5)
        guide = over(guide, palette("2a3f78")[0], 0.7 * step(shade, reach * 1.2, reach * 0.8) * (y > lawn))
        crown = np.hypot(y - cy + reach * 0.3, x - cx) + 0.010 * noise(rng, size, 14)
        light = 0.5 + (cx - x + cy - y) * 0.5 / reach
        guide = over(guide, ramp(light, palette(str(rng.choice(crowns)))), step(crown, reach * 1.02, reach * 0.94))
    contrast = np.clip(1.15 * guide.mean(axis=2, keepdims=True) * 2 - guide, 0, 1)
    canvas = Canvas(rng, size, palette("efe6d2")[0])
    angle = 3 * noise(rng, size, 6)
    layers = ((5200, 0.021, 0.0), (5200, 0.017, 0.0), (900, 0.015, 0.9), (4600, 0.0145, 0.12), (900, 0.011, -0.5))
    for count, width, partner in layers:
        mixed = guide + partner * (contrast - guide)
        canvas.paint(mixed, angle, Brush(count, width * 1.2, width, jitter=0.075, bristle=0.04, ragged=0))
    return canvas.picture(thickness=0.10)


def watercolour(rng: np.random.Generator, size: int) -> Field:
    """Draw transparent washes on rough paper: pools with dark rims, blooms, granulating pigment, spatter."""
    y, x = grid(size)
    paper = noise(rng, size, size / 5, octaves=2)
    picture = np.broadcast_to(palette("faf5e9"), (size, size, 3)).astype(np.float32)
    pigments = palette("1f7fa8 e0523a f2b12e 3f8f5a 8a4fa0 2f4fa0 ee8f8a 4fb0b0")
    pigments = pigments[rng.permutation(len(pigments))[:5]]
    for k in range(20):
        cy, cx = rng.uniform(0, 1, 2)
        radius = 0.30 - 0.23 * k / 20 + rng.uniform(0, 0.04)
        shape = np.hypot((y - cy) * rng.uniform(0.9, 1.8), (x - cx) * rng.uniform(0.7, 1.2)) - radius
        shape = shape + 0.20 * radius * noise(rng, size, 4, octaves=6, gain=0.55)
        soft = rng.choice([0.003, 0.008, 0.09], p=[0.55, 0.25, 0.2])
        pool = step(shape, soft, -soft)
        rim = np.exp(-(((shape + 0.005) / 0.005) ** 2)) * (soft < 0.02)
        bloom = step(noise(rng, size, 4, octaves=6, gain=0.6), -1.3, 1.6)
        depth = pool * (0.12 + 0.68 * bloom * (0.55 + 0.45 * k / 20)) * (1 + 0.13 * paper) + 0.35 * rim * pool
        colour = np.clip(pigments[rng.integers(len(pigments))] + rng.normal(0, 0.03, 3), 0, 1)
        picture = picture * (1 - np.clip(depth, 0, 1)[..., None] * (1 - colour)).astype(np.float32)
    for _ in range(26):
        cy, cx, radius = *rng.random(2), 0.0025 * np.exp(rng.normal(0, 0.6))
        drop = step(np.hypot(y - cy, x - cx), radius + 0.001, radius - 0.001)
        picture = over(picture, picture * pigments[rng.integers(len(pigments))], 0.85 * drop)
    return picture + 0.030 * (paper - np.roll(paper, 1, axis=(0, 1)))[..., None]


def crayon(rng: np.random.Generator, size: int) -> Field:
    """Draw with wax crayon on grained paper: loose hatching in bright fields, layered in two directions."""
    y, x = grid(size)
    wobble = noise(rng, size, 4, octaves=2), noise(rng, size, 4, octaves=2)
    areas = voronoi(rng, y + 0.03 * wobble[0], x + 0.03 * wobble[1], 4)
    colours = palette("d8342c f08a24 f6cf2e 3f9c46 2a7fc0 6a3f9a e45a92 1d4f86 7ac142")
    own = colours[rng.integers(len(colours), size=areas.count)]
    partner = np.clip(0.35 * own + 0.65 * colours[rng.integers(len(colours), size=areas.count)], 0, 1)
    heading = rng.uniform(0, np.pi, areas.count).astype(np.float32)
    tooth = noise(rng, size, size / 2.2, octaves=2, gain=0.8)
    picture = np.broadcast_to(palette("f7f1e4"), (size, size, 3)).astype(np.float32)
    for pigment, turn, cover in ((own, 0.0, 0.9), (partner, 0.5, -0.25), (own * 0.72, -0.3, -0.55)):
        strand = noise(rng, size, (52, 3)) + 0.6 * noise(rng, size, (120, 5))
        angle = (heading + turn)[areas.index]
        v = (y - areas.y) * np.cos(angle) - (x - areas.x) * np.sin(angle) + 0.004 * wobble[0]
        u = (y - areas.y) * np.sin(angle) + (x - areas.x) * np.cos(angle)
        offset = 0.13 * (areas.index % 7)
        hatch = at(strand, (v + 0.5 + offset) % 1, (u + 0.5 + offset) % 1)
        wax = step(hatch + 0.65 * tooth + cover, -0.6, 0.9) * step(areas.border, 0.0005, 0.006)
        shade = pigment[areas.index] * (1 + 0.06 * hatch - 0.03 * tooth)[..., None]
        picture = over(picture, shade.astype(np.float32), 0.9 * wax)
    outline = step(areas.border + 0.0015 * noise(rng, size, 60), 0.0080, 0.003) * step(tooth, -1.3, 0.2)
    return over(picture, palette("2a2430")[0], 0.85 * outline)
