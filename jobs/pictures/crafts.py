"""Styles that are cut, set, printed or dyed."""

import numpy as np

from jobs.pictures.noise import Field, at, grid, noise, over, palette, ramp, relief, shrink, step, voronoi


def glass(rng: np.random.Generator, size: int) -> Field:
    """Draw stained glass: jewel colours, streaked and glowing, in dark lead."""
    y, x = grid(size)
    bend = noise(rng, size, 5), noise(rng, size, 5)
    wide = voronoi(rng, y + 0.012 * bend[0], x + 0.012 * bend[1], 4)
    panes = voronoi(rng, y + 0.006 * bend[1], x + 0.006 * bend[0], 12)
    families = np.stack(
        [
            palette("0d2f7a 1a56b0 3f9ad6 8fd0e8"),
            palette("7a0f1e b81d2c e0452f f08a3c"),
            palette("c8870f edb62a f8dc6a fff2b8"),
            palette("0f5a3c 1f8a54 66b85a c2d86a"),
            palette("3d1a66 6a2f92 a45ab8 e0a0c8"),
        ]
    )
    family = rng.permutation(np.arange(wide.count) % 5 * 2 % 5)[wide.index]
    tint = rng.random(panes.count, dtype=np.float32)[panes.index]
    lean = rng.uniform(0, 2 * np.pi, panes.count).astype(np.float32)[panes.index]
    slope = (y - panes.y) * np.sin(lean) + (x - panes.x) * np.cos(lean)
    streak = noise(rng, size, (90, 12), octaves=2) + noise(rng, size, 30, octaves=3)
    tone = np.clip(0.15 + 0.6 * tint + 4.0 * slope + 0.05 * streak, 0, 1)
    options = np.stack([ramp(tone, colours) for colours in families])
    picture = np.take_along_axis(options, family[None, ..., None], axis=0)[0]
    lead_distance = np.minimum(panes.border, wide.border - 0.003)
    picture = picture * (0.62 + 0.5 * step(lead_distance, 0, 0.035))[..., None]
    lead = step(lead_distance, 0.0062, 0.0042)
    metal = palette("15130f")[0] + 1.4 * relief(size / 8 * np.minimum(lead_distance, 0.005), 0.20)[..., None]
    return over(picture + 0.015 * streak[..., None], metal.astype(np.float32), lead)


def mosaic(rng: np.random.Generator, size: int) -> Field:
    """Draw a mosaic: stone tiles laid in arcs and tilted, pale grout, bands of terracotta, ochre and sea green."""
    big = 2 * size
    y, x = grid(big)
    y, x = (v + 0.0016 * noise(rng, big, 40) + 0.01 * noise(rng, big, 4) for v in (y, x))
    fans = voronoi(rng, y, x, 3, jitter=0.8)
    tile = 0.0215
    turn = rng.uniform(0, 2 * np.pi, fans.count).astype(np.float32)[fans.index]
    radius = np.hypot(y - fans.y, x - fans.x) / tile
    ring = np.floor(radius)
    per_ring = np.maximum(np.round(2 * np.pi * (ring + 0.5)), 3)
    bow = (np.arctan2(y - fans.y, x - fans.x) + turn) / (2 * np.pi) % 1 * per_ring
    key = (fans.index * 7919 + ring.astype(np.int64) * 641 + np.floor(bow).astype(np.int64) * 97) % 8191
    v, u = radius - ring, bow - np.floor(bow)
    inner = np.minimum(np.minimum(v, 1 - v), np.minimum(u, 1 - u))
    inner = np.minimum(inner, fans.border / tile)
    stone = palette("7a2a1a b5522d d9873a e8c06a f2e2b8 4f8a80 1f5a66 16324a")
    band = (0.10 * ring + rng.random(fans.count)[fans.index] + 0.03 * rng.standard_normal(8191)[key]) % 1
    picture = ramp(band.astype(np.float32), np.concatenate([stone, stone[:1]]))
    picture = picture * (1 + 0.13 * rng.standard_normal((8191, 1), dtype=np.float32)[key])
    picture += 0.035 * rng.standard_normal((8191, 3), dtype=np.float32)[key]
    tilt = rng.uniform(-1, 1, (2, 8191)).astype(np.float32)[:, key]
    shine = 0.14 * (tilt[0] * (v - 0.5) + tilt[1] * (u - 0.5)) + 0.02 * noise(rng, big, 120, octaves=2)
    picture += (shine + relief(6 * step(inner, 0.05, 0.22), 0.10))[..., None]
    grout = palette("cfc2a6")[0] * (1 + 0.10 * noise(rng, big, 150)[..., None])
    return shrink(over(picture, grout.astype(np.float32), step(inner, 0.11, 0.06)), 2)


def woodcut(rng: np.random.Generator, size: int) -> Field:
    """Draw a coloured woodcut: black lines that swell and taper along hills and sky, over flat blocks of ink."""
    big = 2 * size
    y, x = grid(big)
    cy, cx = rng.uniform(0.12, 0.3), rng.uniform(0.2, 0.8)
    sun = np.hypot(y - cy, x - cx)
    blocks = ramp(1.3 * y, palette("2f5f78 8fb0a8 efd9a8 f0c08a"))
    tone = 0.62 - 0.75 * y + 0.10 * noise(rng, big, (5, 2), octaves=2)
    phase = (y + 0.022 * noise(rng, big, (2, 3), octaves=2)) * 70
    disc = step(sun, 0.096, 0.093)
    blocks = over(blocks, palette("d8452c")[0], disc)
    tone = np.where(disc > 0.5, 0.10, tone)
    halo = (sun > 0.096) & (sun < 0.25)
    phase, tone = np.where(halo, sun * 80, phase), np.where(halo, 0.2 + 1.6 * (sun - 0.096), tone)
    inks = palette("6d8f6a d9a441 3f6f66 b8572f e3c98a 35586e 8a9a4a")
    rng.shuffle(inks)
    base = 0.36
    for k in range(7):
        base += 0.07 + 0.006 * k
        crest = base + (0.055 - 0.003 * k) * noise(rng, big, (1, 3), octaves=3, gain=0.4)[0][None, :]
        inside = y > crest
        blocks = np.where(inside[..., None], inks[k] * (1.06 - 0.5 * (y - crest))[..., None], blocks)
        lean = rng.uniform(-1.4, 1.4)
        contour = (y - crest) + (0.35 * lean) * (x - 0.5) + 0.010 * noise(rng, big, 4, octaves=2)
        phase = np.where(inside, contour * rng.uniform(62, 95), phase)
        light = 0.20 + 1.5 * (y - crest) + 0.22 * noise(rng, big, 5, octaves=2)
        tone = np.where(inside, np.where(y - crest < 0.005, 1.0, light), tone)
    cut = np.abs(phase % 1 - 0.5) * 2
    chatter = 0.10 * noise(rng, big, (90, 30)) + 0.05 * noise(rng, big, big / 6)
    ink = step(np.clip(tone, 0.06, 0.95) + chatter - cut, -0.10, 0.10)
    grain = noise(rng, big, (160, 5), octaves=3)
    picture = blocks * (1 + 0.035 * grain)[..., None]
    return shrink(over(picture, palette("1b1a22")[0], ink * (0.94 + 0.05 * step(grain, -1.5, 0))), 2)


_DROPS = 220
_MARBLES = [
    "14304f 8f1d2c f2e6cc d99a2b 2f6f6a f2e6cc c8502f",
    "1d3f3a f0e2c4 7aa89a c9863a 24282f efe6d8 8a3a2a",
    "2a1f4f d86a8a f6e8dc 4f8fc0 f2c14a 6a2f5f f6e8dc",
]


def marbling(rng: np.random.Generator, size: int) -> Field:
    """Draw marbled paper: drops of ink that push each other aside, then drawn with combs and a stylus.

    Every pixel is followed backwards through the marbler's moves: out of the combs, then through the drops
    from the last to the first, until one of them holds it. Both moves preserve area, as floating ink does.
    """
    big = 2 * size
    y, x = grid(big)
    for _ in range(3):
        turn, pitch = rng.uniform(0, np.pi), rng.uniform(0.10, 0.25)
        across = y * np.cos(turn) - x * np.sin(turn)
        shift = 0.32 * pitch * np.cos(2 * np.pi * across / pitch + rng.uniform(0, 6)) * rng.uniform(0.5, 1.2)
        shift = shift + 0.02 * noise(rng, big, 3)
        y, x = y - shift * np.sin(turn), x - shift * np.cos(turn)
    for _ in range(2):
        cy, cx, reach = *rng.uniform(0.2, 0.8, 2), rng.uniform(0.12, 0.25)
        dy, dx = y - cy, x - cx
        spin = rng.choice([-1, 1]) * rng.uniform(1.5, 3.0) * np.exp(-((dy**2 + dx**2) / reach**2))
        y, x = cy + dy * np.cos(spin) - dx * np.sin(spin), cx + dy * np.sin(spin) + dx * np.cos(spin)
    inks = palette(str(rng.choice(_MARBLES)))
    owner = np.full(y.size, -1, dtype=np.int64)
    left = np.arange(y.size)
    y, x = y.ravel().astype(np.float32), x.ravel().astype(np.float32)
    sites = rng.uniform(-0.15, 1.15, (90, 2)).astype(np.float32)
    for drop in range(_DROPS):
        cy, cx = sites[rng.integers(len(sites))]
        area = np.float32(rng.uniform(0.04, 0.085) ** 2)
        distance = (y - cy) ** 2 + (x - cx) ** 2
        inside = distance < area
        owner[left[inside]] = drop
        out = ~inside
        left, pull = left[out], np.sqrt(1 - area / distance[out])
        y, x = cy + (y[out] - cy) * pull, cx + (x[out] - cx) * pull
    picture = inks[rng.integers(len(inks), size=_DROPS + 1)][owner].reshape(big, big, 3)
    veil = noise(rng, big, 60, octaves=3)
    return shrink(picture * (1 + 0.03 * veil)[..., None] + 0.012 * noise(rng, big, big / 2)[..., None], 2)


_DYES = [
    "f0e4c8 16264f a34a22 d9a03c 5f86a8",
    "f2e6cf 3a1a12 8f3a1e d08a3a b0683a",
    "eee6d0 123a34 9a3f4a d8a848 5a9a88",
]


def batik(rng: np.random.Generator, size: int) -> Field:
    """Draw wax-resist cloth: rosettes in indigo, cream and sienna, with dye in the cracks of the wax."""
    y, x = grid(size)
    y, x = (v + 0.004 * noise(rng, size, 8, octaves=2) for v in (y, x))
    repeat = rng.integers(3, 6)
    row = np.floor(y * repeat)
    v, u = y * repeat - row - 0.5, (x * repeat + 0.5 * (row % 2)) % 1 - 0.5
    kind = rng.integers(4, 9, 97)[(row * 31 + np.floor(x * repeat + 0.5 * (row % 2)) * 17).astype(np.int64) % 97]
    radius, bearing = np.hypot(v, u), np.arctan2(v, u)
    petals = 0.30 + 0.09 * np.cos(kind * bearing)
    cream, indigo, sienna, ochre, sky = palette(str(rng.choice(_DYES)))
    picture = np.broadcast_to(indigo, (size, size, 3)).astype(np.float32)
    scales = np.abs(np.sin(radius * 40)) * (radius > 0.43)
    picture = over(picture, sky, 0.8 * step(scales, 0.55, 0.85))
    picture = over(
        picture, np.where(kind % 2 == 0, 1.0, 0.0)[..., None] * (ochre - sky) + sky, step(radius, 0.405, 0.395)
    )
    stipple = voronoi(rng, y, x, 46, jitter=0.5)
    seed = step(np.hypot(y - stipple.y, x - stipple.x), 0.0050, 0.0035) * (radius > 0.42)
    picture = over(picture, cream, seed)
    for edge, colour in ((0.02, cream), (-0.015, sienna), (-0.075, cream), (-0.095, ochre), (-0.15, indigo)):
        picture = over(picture, colour, step(radius - petals, edge + 0.005, edge - 0.005))
    picture = over(picture, cream, step(np.abs(radius - 0.11), 0.016, 0.010))
    picture = over(picture, sienna, step(radius, 0.082, 0.075))
    vein = step(np.abs(np.sin(kind * bearing / 2)), 0.14, 0.07) * (radius > 0.13) * (radius < petals - 0.02)
    picture = over(picture, indigo, 0.85 * vein)
    bend = noise(rng, size, 14, octaves=4, gain=0.6), noise(rng, size, 14, octaves=4, gain=0.6)
    coarse = voronoi(rng, y + 0.012 * bend[0], x + 0.012 * bend[1], 9)
    fine = voronoi(rng, y + 0.006 * bend[1], x + 0.006 * bend[0], 24)
    broken = step(noise(rng, size, 6, octaves=2), -0.6, 0.9)
    crack = np.maximum(step(coarse.border, 0.0036, 0.0010), broken * step(fine.border, 0.0026, 0.0008))
    wax = step(picture.mean(axis=2), 0.25, 0.5)
    picture = over(picture, indigo, 0.85 * crack * wax)
    picture = picture * (1 + 0.06 * noise(rng, size, 5, octaves=4))[..., None]
    thread = np.sin(np.arange(size) * np.pi / 2.5)
    weave: Field = 0.022 * (thread[:, None] + thread[None, :]) * (1 + 0.5 * noise(rng, size, size / 4))
    return picture + weave[..., None]


def cubist(rng: np.random.Generator, size: int) -> Field:
    """Draw a cubist picture: overlapping planes of ochre, grey, blue, shaded from one edge, dabbed by a brush."""
    y, x = grid(size)
    dabs = noise(rng, size, (80, 30)) + 0.5 * noise(rng, size, (160, 50))
    picture = ramp(0.5 + 0.2 * noise(rng, size, 3, octaves=2), palette("4a4438 7d7058 a8977a"))
    colours = palette("2a2622 6b5a40 9a7b4a d3a85a f0e0b4 4f6a78 24445e 93a4a8 b0522a e0bd8c")
    colours = colours[rng.permutation(len(colours))[:7]]
    leaning = rng.choice([0.3, 0.7, 1.1]) + rng.uniform(0, 0.3)
    planes = 100
    for k in range(planes):
        cy, cx = rng.uniform(0, 1, 2)
        reach = 0.34 * np.exp(-1.9 * k / planes) * rng.uniform(0.7, 1.2)
        rows, columns = (slice(max(int((c - 2 * reach) * size), 0), int((c + 2 * reach) * size) + 1) for c in (cy, cx))
        v, u = y[rows, columns] - cy, x[rows, columns] - cx
        corners = rng.choice([0, leaning]) + np.arange(4) * np.pi / 2 + rng.normal(0, 0.30, 4)
        reaches = reach * rng.uniform(0.35, 1.0, 4)
        sides = [r - v * np.sin(a) - u * np.cos(a) for a, r in zip(corners, reaches, strict=True)]
        depth = np.min(sides, axis=0)
        lead = np.clip(sides[0] / (reach * 1.4), 0, 1)
        a = corners[0] + 0.4
        brushed = at(dabs, (v * np.sin(a) + u * np.cos(a) + 0.5) % 1, (u * np.sin(a) - v * np.cos(a) + 0.5) % 1)
        colour = colours[rng.integers(len(colours))] * (1.22 - 0.62 * lead + 0.07 * brushed)[..., None]
        fade = np.clip(1.2 - 0.9 * lead + 0.12 * brushed, 0.15, 1)
        patch = over(picture[rows, columns], colour.astype(np.float32), step(depth, -0.001, 0.001) * fade)
        line = step(np.abs(sides[0]), 0.0038, 0.0012) * (depth > -0.002)
        picture[rows, columns] = over(patch, palette("1d1a18")[0], line * rng.uniform(0.3, 1))
    return picture + relief(1.2 * dabs, 0.03)[..., None]
