"""Contents out of doors: drawn scenes with soft shading that stand in for photographs."""

import numpy as np

from jobs.pictures.noise import Field, at, blur, grid, noise, over, palette, ramp, ridges, step


def _sky(rng: np.random.Generator, y: Field, x: Field, colours: str, clouds: str, cover: float) -> Field:
    """Draw a sky from zenith to horizon with streaky clouds, lit where they are thin."""
    size = y.shape[0]
    mass = noise(rng, size, (7, 3), octaves=6, gain=0.55)
    picture = ramp(y * 1.6 + 0.02 * mass, palette(colours))
    thick = step(mass + cover - 0.6 * np.abs(y - 0.25), 0.2, 2.0)
    return over(picture, ramp(0.75 - 0.5 * thick + 0.1 * y, palette(clouds)), 0.85 * thick)


def _profile(rng: np.random.Generator, size: int, cells: float, octaves: int = 6) -> Field:
    """Return a skyline (1, size) of unit deviation."""
    skyline = noise(rng, size, (1, cells), octaves=octaves)
    return skyline[size // 2 : size // 2 + 1]


def finish(rng: np.random.Generator, picture: Field) -> Field:
    """Add what a lens and a sensor add: falling light towards the corners, and grain."""
    size = picture.shape[0]
    y, x = grid(size)
    vignette = 1 - 0.45 * ((y - 0.5) ** 2 + (x - 0.5) ** 2)
    return np.asarray(picture * vignette[..., None] + 0.010 * noise(rng, size, size)[..., None], np.float32)


def _water(rng: np.random.Generator, picture: Field, y: Field, x: Field, level: float, tint: Field) -> Field:
    """Mirror what is above `level` into the water below it, broken by ripples that grow towards the viewer."""
    near = np.clip((y - level) / (1 - level), 0, 1)
    size = y.shape[0]
    depth = 1 / (0.06 + near)
    swell = noise(rng, size, (40, 8), octaves=3)
    ripple = at(swell, (depth * 0.9) % 1, x) * near**0.7
    mirror = at(picture, 2 * level - y + 0.035 * ripple, x + 0.012 * ripple)
    water = over(mirror * 0.86, tint, 0.18 + 0.30 * near) + 0.030 * ripple[..., None]
    return over(picture, water.astype(np.float32), step(y, level - 0.001, level + 0.001))


def _pine(picture: Field, y: Field, x: Field, rough: Field, foot: tuple[float, float], tall: float) -> Field:
    """Draw a conifer standing at `foot` (y, x): tiers of branches, darker on the right."""
    t = (foot[0] - y) / tall
    tiers = 0.55 + 0.45 * (1 - (t * 9 + 0.15 * rough) % 1)
    reach = 0.24 * tall * np.clip(1 - t, 0, 1) * tiers * (1 + 0.22 * rough)
    body = step(np.abs(x - foot[1]) - reach, 0.0015, -0.0015) * ((t > 0.06) & (t < 1))
    trunk = step(np.abs(x - foot[1]), 0.018 * tall + 0.001, 0.018 * tall) * ((t > 0) & (t <= 0.2))
    light = np.clip(0.45 - 2.2 * (x - foot[1]) / tall + 0.16 * rough, 0, 1)
    return over(over(picture, palette("20160f")[0], trunk), ramp(light, palette("0a1512 16271d 38492c")), body)


def lake(rng: np.random.Generator, size: int) -> Field:
    """Draw a mountain lake at dusk, peaks and pines mirrored in it."""
    y, x = grid(size)
    level = 0.62
    picture = _sky(rng, y, x, "2c4478 6a7aac c896a4 f6b080 fcd898", "6a5478 d8806a ffd8a0", 0.7)
    sun = np.hypot(y - level + 0.12, x - rng.uniform(0.3, 0.7))
    picture = picture + (0.5 * np.exp(-((sun / 0.20) ** 2)))[..., None] * palette("ffd890")[0]
    for k in range(4):
        crest = 0.30 + 0.085 * k - (0.075 - 0.014 * k) * np.abs(_profile(rng, size, 2.2 + k)) + 0.03
        rock = ridges(rng, size, 7, 6)
        shade = _slope(rock)
        crest = crest + 0.006 * rock
        colour = ramp(
            0.45 + shade,
            palette(
                ("565c80 807ea0 d0a8a8", "3e466a 6a6e90 c49890", "27304e 4a5470 9a8488", "121a2c 263044 58545c")[k]
            ),
        )
        snow = step(0.5 * rock - (y - crest) * 17 + 12 * (0.30 - crest), -1.2, -0.3) * (k < 2)
        colour = over(colour, ramp(0.5 + shade, palette("8088b0 d0b8c0 fff0e0")), 0.9 * snow)
        mist = step(y - crest, 0.0, 0.26)
        colour = over(colour, palette("c89a92")[0], 0.45 * mist)
        picture = over(picture, colour, step(y - crest, -0.0012, 0.0012))
    shore = level - 0.012 + 0.006 * _profile(rng, size, 9)
    picture = over(picture, palette("121a1c")[0] + 0.02 * noise(rng, size, 80)[..., None], step(y - shore, 0, 0.002))
    rough = noise(rng, size, 90, octaves=2)
    for _ in range(38):
        picture = _pine(picture, y, x, rough, (level - 0.004, rng.uniform(-0.02, 1.02)), rng.uniform(0.04, 0.10))
    picture = _water(rng, picture, y, x, level, palette("1c2a4c")[0])
    bank = 0.93 - 0.10 * np.abs(x - 0.55) ** 1.2 * 2 + 0.012 * _profile(rng, size, 8)
    ground = ramp(0.5 + 0.25 * noise(rng, size, 40, octaves=4), palette("0c100c 22261a 4a4428"))
    picture = over(picture, ground, step(y - bank, 0, 0.004))
    for side in (0.03, 0.14, 0.90, 0.99):
        where = side + rng.uniform(-0.03, 0.03)
        picture = _pine(picture, y, x, rough, (rng.uniform(0.90, 0.99), where), rng.uniform(0.36, 0.62))
    return finish(rng, picture)


def _slope(rock: Field) -> Field:
    """Return light on rock, lit from the left, about -0.5 to 0.5."""
    lit = np.gradient(rock, axis=1) * (rock.shape[0] / 40)
    return np.asarray(0.5 * np.tanh(1.2 * lit), dtype=np.float32)


_WALLS = ["c9a27a", "b5785a", "d8c09a", "9a6a5a", "a88a6a", "8a7a80", "d0a888"]
_ROOFS = ["8a3a2a", "6a2f2a", "9c4a30", "4a3a44", "7a3a34"]


def town(rng: np.random.Generator, size: int) -> Field:
    """Draw a river town in the evening: towers, gables, lit windows and their glow in the water."""
    y, x = grid(size)
    level = 0.76
    picture = _sky(rng, y, x, "16204a 33407c 7a5f92 d98a7c f5c08a f5c08a", "2a2c50 6a5078 e09a88", 0.3)
    moon = np.hypot(y - 0.14, x - rng.uniform(0.65, 0.85))
    picture = over(picture, palette("fff3d0")[0], step(moon, 0.036, 0.033))
    picture = picture + (0.22 * np.exp(-((moon / 0.10) ** 2)))[..., None] * palette("ffe8c0")[0]
    hills = level - 0.20 + 0.04 * _profile(rng, size, 3)
    picture = over(picture, ramp(0.5 + 6 * (y - hills), palette("4a4470 6a5a80 8a6a84")), step(y - hills, 0, 0.003))
    glow = np.zeros_like(y)
    stone = noise(rng, size, 110, octaves=2)
    for row, (haze, count, low, high) in enumerate(
        ((0.5, 11, 0.08, 0.29), (0.25, 15, 0.08, 0.18), (0, 13, 0.06, 0.13))
    ):
        for k in rng.permutation(count):
            tower = row == 0 and k % 3 == 0
            cx, half = (k + rng.uniform(0.2, 0.8)) / count, rng.uniform(0.028, 0.048) * (1.0 if row else 0.72)
            base = level - 0.055 * (2 - row)
            eaves = base - (rng.uniform(0.24, 0.38) if tower else rng.uniform(low, high))
            strip = np.s_[:, max(int((cx - 1.2 * half) * size), 0) : int((cx + 1.2 * half) * size) + 2]
            u, v = (x[strip] - cx) / half, base - y[strip]
            drawn, built, lamps = _house(rng, picture[strip], u, v, stone[strip], base - eaves, half, haze, tower)
            picture[strip] = drawn
            glow[strip] = np.maximum(glow[strip] * (1 - built), lamps)
    quay = step(y, level - 0.014, level - 0.012)
    picture = over(picture, palette("4a4048")[0] * (1 + 0.12 * stone[..., None]), quay)
    picture = picture + (1.1 * blur(glow, 0.012) + 0.5 * blur(glow, 0.04))[..., None] * palette("ff9a40")[0] * 0.55
    return finish(rng, _water(rng, picture, y, x, level, palette("1a2148")[0]))


def _house(
    rng: np.random.Generator,
    picture: Field,
    u: Field,
    v: Field,
    stone: Field,
    tall: float,
    half: float,
    haze: float,
    tower: bool,
) -> tuple[Field, Field, Field]:
    """Draw a house or tower in its own coordinates: u -1..1 across, v upwards from its foot, eaves at `tall`.

    Returns the picture with it, what it covers and where lamps burn behind its windows.
    """
    dusk, fog = palette("5a5078")[0], np.full_like(u, haze)
    plaster, tile = palette(str(rng.choice(_WALLS))), palette(str(rng.choice(_ROOFS)))
    wall = step(np.abs(u), 1.015, 0.985) * (v <= tall) * (v > -0.12)
    picture = over(picture, over(plaster * (0.58 - 0.19 * u + 0.04 * stone)[..., None], dusk, fog), wall)
    rise = half * (4.2 if tower else 1.25)
    gable = step(np.abs(u) - 1.12 * (1 - (v - tall) / rise), 0.03, -0.03) * (v > tall) * (v < tall + rise)
    tiles = 0.72 - 0.26 * u + 0.10 * np.sin(v * 620) + 0.04 * stone
    picture = over(picture, over(tile * tiles[..., None], dusk, fog), gable)
    columns, floor = (2 if tower else 3), 0.034
    i, j = np.floor((u + 1) / 2 * columns), np.floor(v / floor)
    du, dv = (u + 1) / 2 * columns - i - 0.5, v / floor - j - 0.5
    lamp = rng.random((4, 64))[np.clip(i, 0, 3).astype(int), np.clip(j, 0, 63).astype(int)]
    pane = step(np.maximum(np.abs(du) * 1.5, np.abs(dv)), 0.36, 0.28) * wall * (v < tall - 0.012) * (v > 0.006)
    bars = np.minimum(np.abs(du), np.abs(dv) * 0.8) < 0.035
    lit = pane * (lamp < 0.55) * (1 - 0.55 * haze)
    picture = over(picture, palette("2a2a3c")[0], pane * (lamp >= 0.55) * 0.8)
    picture = over(picture, ramp(lamp, palette("ff9a3a ffc860 fff0b0")) * (1 - 0.5 * bars[..., None]), lit)
    return picture, np.maximum(wall, gable), lit


def boats(rng: np.random.Generator, size: int) -> Field:
    """Draw sailing boats on a breezy sea under summer clouds."""
    y, x = grid(size)
    level = 0.47
    picture = _sky(rng, y, x, "2f6fb8 5a98d0 9cc6e4 d8e8ec f4ecd8", "b4c4d6 f4f6f8 ffffff ffffff", 0.75)
    coast = level - 0.012 - 0.022 * np.abs(_profile(rng, size, 3)) * step(x, 0.1, 0.6)
    picture = over(
        picture,
        ramp(0.5 + 0.3 * noise(rng, size, 40, octaves=3), palette("5a7a8c 7a9a94 a8b49a")),
        step(y - coast, 0, 0.002),
    )
    near = np.clip((y - level) / (1 - level), 1e-3, 1)
    depth = 1 / (0.05 + near)
    waves = noise(rng, size, (64, 14), octaves=4, gain=0.6)
    crests = at(waves, (depth * 0.42 + 0.02 * np.sin(9 * x)) % 1, (x - 0.5) * (0.35 + 0.65 / (1 + 1.5 * near)) + 0.5)
    slope = crests - at(crests, y + 0.004 + 0.008 * near, x)
    sea = ramp(0.30 + 0.34 * (1 - near) + 0.13 * slope + 0.05 * crests, palette("0f3a5c 1f6488 4a98ac 9cccd0 e8f4f0"))
    glitter = step(crests, 1.1, 1.9) * np.exp(-(((x - 0.35) / (0.10 + 0.35 * near)) ** 2))
    foam = step(crests + 0.4 * slope, 1.9, 2.6) * near
    sea = over(over(sea, palette("fff6d8")[0], 0.8 * glitter), palette("ffffff")[0], 0.7 * foam)
    picture = over(picture, sea, step(y, level - 0.001, level + 0.001))
    spots = ((0.50, 0.16, 0.10), (0.53, 0.82, 0.15), (0.60, 0.42, 0.27), (0.78, 0.70, 0.52))
    for base, where, tall in spots:
        picture = _boat(
            rng, picture, y, x, base + rng.uniform(-0.01, 0.01), where + rng.uniform(-0.06, 0.06), tall, slope
        )
    return finish(rng, picture)


def _boat(
    rng: np.random.Generator, picture: Field, y: Field, x: Field, base: float, where: float, tall: float, slope: Field
) -> Field:
    """Draw one sloop: its broken reflection, hull, mainsail and jib, all leaning with the wind."""
    v, u = (base - y) / tall, (x - where) / tall
    white, hull, stripe = palette(
        str(rng.choice(["fbf4e4 7a2a22 f0e0c0", "f4e8d0 1f3a5c e8d8b0", "e8b070 3a2a24 f0e8d8"]))
    )
    soft = 0.0016 / tall
    blurred = -v + 0.05 * slope
    reflection = (
        step(np.abs(u + 0.05) - 0.26 * (1 - blurred), 0.06, -0.06) * step(blurred, 0, 0.02) * step(blurred, 0.8, 0.1)
    )
    picture = over(picture, 0.55 * white + 0.2, 0.42 * reflection)
    u = u - 0.10 * v
    belly = 0.05 * np.sin(np.pi * np.clip(v, 0, 1))
    main = np.minimum(np.minimum(u + belly - 0.005, v - 0.13), 0.34 * (1.02 - v) - u + belly)
    jib = np.minimum(np.minimum(-u - 0.015, v - 0.11), 0.30 * (0.86 - v) + u + 2 * belly - 0.02)
    for sail, dim in ((main, 1.0), (jib, 0.92)):
        cloth = 0.93 + 0.5 * np.clip(sail, 0, 0.2) - 0.55 * np.clip(u - 0.08, -0.1, 1) - 0.025 * (v * 9 % 1 < 0.06)
        picture = over(picture, (white * dim * cloth[..., None]).astype(np.float32), step(sail, -soft, soft))
    mast = step(np.abs(u), 0.008 + soft, 0.008) * (v > 0.05) * (v < 1.04)
    picture = over(picture, palette("4a3424")[0], mast)
    keel = np.minimum(0.085 - v + 0.35 * u**2, v + 0.012 * slope * (v < 0.03))
    body = np.minimum(keel, 0.30 + 0.9 * np.minimum(v, 0.2) * (1 + 0.3 * np.sign(-u)) - np.abs(u + 0.02))
    shading = (0.75 + 3.0 * v)[..., None]
    picture = over(picture, (hull * shading).astype(np.float32), step(body, -soft, soft))
    picture = over(picture, stripe, step(body, -soft, soft) * step(np.abs(v - 0.070 - 0.35 * u**2), 0.011, 0.008))
    return over(
        picture, palette("f4fafa")[0], 0.75 * step(np.abs(v + 0.006 * slope), 0.016, 0.004) * (np.abs(u) < 0.33)
    )


def forest(rng: np.random.Generator, size: int) -> Field:
    """Draw a path through a wood, morning light falling between the trunks."""
    y, x = grid(size)
    vanish, level = 0.5 + rng.uniform(-0.08, 0.08), 0.52
    light = np.exp(-(((y - 0.40) / 0.30) ** 2) - ((x - vanish) / 0.26) ** 2)
    leaves = noise(rng, size, 22, octaves=4, gain=0.8)
    picture = ramp(0.25 + 0.75 * light + 0.05 * leaves, palette("33502f 6d8a4a b8c878 f2efb8 fffbe4"))
    near = np.clip((y - level) / (1 - level), 1e-3, 1)
    depth = 1 / (0.08 + near)
    soil = at(
        noise(rng, size, (60, 110), octaves=3, gain=0.8),
        (depth * 0.7) % 1,
        np.clip((x - vanish) / (0.25 + near) / 3 + 0.5, 0, 1),
    )
    bend = vanish + 0.10 * np.sin(3.0 * (1 - near)) * (1 - near)
    edge = np.abs(x - bend) - (0.018 + 0.34 * near**1.3) - 0.014 * soil * (0.2 + near)
    dapple = step(noise(rng, size, (26, 12), octaves=3), -0.1, 0.9)
    floor = ramp(0.32 + 0.14 * soil + 0.30 * dapple + 0.25 * light, palette("1a2412 38481c 6a7a2c a8a84a e0d880"))
    path = ramp(0.35 + 0.10 * soil + 0.34 * dapple + 0.3 * light, palette("3a2c1e 6a5238 a0835a d8be8c fff0c8"))
    ground = over(floor, path, step(edge, 0.012, -0.012))
    picture = over(picture, ground, step(y, level - 0.012, level + 0.03))
    bark = noise(rng, size, (14, 120), octaves=3, gain=0.7)
    for k in range(46):
        t = (k / 45) ** 1.6
        side = -1 if k % 2 else 1
        where = _place_of_trunk(vanish, side, t, rng)
        foot, half = level + 0.01 + 0.44 * t, (0.0045 + 0.036 * t) * rng.uniform(0.7, 1.2)
        flare = 1 + 0.5 * np.exp(-np.clip(foot - y, 0, 1) / (0.02 + 0.06 * t))
        u = (x - where - 0.02 * np.sin(5 * y + k) * t) / (half * flare)
        trunk = step(np.abs(u) + 0.04 * bark, 1.05, 0.95) * step(y - foot, 0.006, -0.002)
        lit = 0.42 - 0.30 * side * u - 0.15 * u**2 + 0.10 * bark
        colour = ramp(lit, palette("17110c 3a2a1e 6a5038 a88a60 e0c890"))
        picture = over(picture, over(colour, palette("c4cf94")[0], np.full_like(y, 0.72 * (1 - t) ** 1.5)), trunk)
        if k % 9 == 8:
            picture = _foliage(rng, picture, y, x, vanish, t, light)
    beams = noise(rng, size, (1, 26), octaves=2)[0]
    ray = at(np.broadcast_to(beams, (size, size)), y, np.clip(0.5 + 0.42 * (x - vanish - 0.25) / (y + 0.45), 0, 1))
    shaft = step(ray, 0.1, 1.8) * step(y, 0.85, 0.2) * np.exp(-(((x - vanish) / 0.38) ** 2))
    picture = picture + (0.22 * shaft + 0.10 * light)[..., None] * palette("fff0b8")[0]
    return finish(rng, picture)


def _place_of_trunk(vanish: float, side: int, t: float, rng: np.random.Generator) -> float:
    """Return where a trunk stands: beside the path, further out the nearer it is."""
    return float(vanish + side * (0.05 + 0.40 * t + rng.uniform(0, 0.42) * (1 - 0.55 * t)))


def _foliage(
    rng: np.random.Generator, picture: Field, y: Field, x: Field, vanish: float, t: float, light: Field
) -> Field:
    """Draw a curtain of leaves at depth t (0 far, 1 near), open around the light."""
    size = y.shape[0]
    clump = noise(rng, size, 5, octaves=2)
    leaf = noise(rng, size, 70 - 45 * t, octaves=3, gain=0.9)
    opening = np.hypot((y - 0.46) * 1.1, x - vanish) - 0.17 - 0.20 * t
    mass = step(0.9 * clump + 1.0 * leaf + 9 * opening - 7.5 * np.clip(y - 0.36, 0, 1) - 0.2, 0.0, 0.7)
    tone = 0.34 + 0.14 * noise(rng, size, 60 - 30 * t, octaves=2) + 0.08 * clump + 0.45 * light + 0.12 * (1 - t)
    colour = ramp(tone, palette("0e1c0c 24401a 4a6e28 8fa83e dce07c"))
    return over(picture, over(colour, palette("c4cf94")[0], np.full_like(y, 0.45 * (1 - t))), mass)
