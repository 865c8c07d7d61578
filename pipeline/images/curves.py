"""Colour profiles (ICC) of curves and a matrix, as cameras and editors have them, in floats: to sRGB and back."""

import functools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.images.profile import SRGB, columns

Floats = NDArray[np.floating[Any]]
"""Levels (H, W, 3) or (H, W, 1) in [0, 1]."""

Conversion = Callable[[Floats], Floats]

_MOST_TAGS = 100
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""Parameters of parametric curves, by their function type (ICC.1:2022, table 68)."""
_ROWS = 64
"""Rows that are converted at a time, in floats of 64 bits."""

_STEPS = 65536
"""Entries of the table by which light becomes levels of a curve that is given by a table."""


@dataclass(frozen=True)
class Matrix:
    """A profile of three curves and a matrix, or of a grey curve alone.

    Attributes:
        curves: from levels to light, one for each channel.
        light: columns, red, green and blue at full level in XYZ, adapted to D50; none for grey.
    """

    curves: tuple[Conversion, ...]
    light: NDArray[np.float64] | None


def to_srgb(profile: bytes | None, *, grey: bool = False) -> Conversion | None:
    """Return a function from levels in [0, 1] of a profile to levels of sRGB (H, W, 3), clipped to [0, 1].

    Args:
        profile: of the levels; None: they are sRGB.
        grey: whether there is one channel.

    Returns:
        None for a profile of another kind: of tables, of inks, or broken.
    """
    if profile is None:
        return _three
    if (matrix := matrix_of(profile)) is None or (matrix.light is None and not grey):
        return None

    def convert(levels: Floats) -> Floats:
        if matrix.light is None:
            return _three(_encoded(matrix.curves[0](levels)))
        whole = _three(levels)
        light = np.stack([curve(whole[..., k]) for k, curve in enumerate(matrix.curves)], axis=-1)
        return np.asarray(_encoded(light @ (np.linalg.inv(columns(SRGB)) @ matrix.light).T))

    return convert


def from_srgb(profile: bytes) -> Conversion | None:
    """Return a function from levels (H, W, 3) in [0, 1] of sRGB to levels of a profile, clipped to [0, 1].

    Returns:
        None for a profile of another kind than RGB with a matrix.
    """
    matrix = matrix_of(profile)
    if matrix is None or matrix.light is None:
        return None
    steps = np.linspace(0, 1, _STEPS)
    tables = [curve(steps) for curve in matrix.curves]
    if any((np.diff(table) < 0).any() for table in tables):
        return None
    back = np.linalg.inv(matrix.light) @ columns(SRGB)

    def convert(levels: Floats) -> Floats:
        light = np.clip(_decoded(levels) @ back.T, 0, 1)
        return np.stack([np.interp(light[..., k], table, steps) for k, table in enumerate(tables)], axis=-1)

    return convert


def in_profile(image: NDArray[np.uint16], profile: bytes, *, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return a picture of 16 bits in sRGB converted to a colour profile, and rounded to so many bits.

    Args:
        image: (H, W, 3), or with opacity (H, W, 4).
        profile: one for which `from_srgb` returns a conversion.
        bits: 8 or 16.
    """
    convert = from_srgb(profile)
    assert convert is not None
    most = 2**bits - 1
    converted: NDArray[np.uint8] | NDArray[np.uint16]
    converted = np.empty(image.shape, np.uint16) if bits == 16 else np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _ROWS):
        band = image[top : top + _ROWS] / 65535
        band[..., :3] = convert(band[..., :3])
        converted[top : top + _ROWS] = np.rint(most * band)
    return converted


@functools.lru_cache(maxsize=16)
def matrix_of(profile: bytes) -> Matrix | None:
    """Return a profile of curves and a matrix, or of a grey curve; None for one of another kind, or that is broken."""
    try:
        tags = _tags(profile)
        if profile[16:20] == b"GRAY" and b"kTRC" in tags:
            return Matrix((_curve(tags[b"kTRC"]),), None) if profile[20:24] == b"XYZ " else None
        if profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or b"A2B0" in tags:
            return None
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        light = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        return Matrix(curves, light) if abs(np.linalg.det(light)) > 1e-6 else None
    except (KeyError, ValueError, struct.error, IndexError):
        return None


def _three(levels: Floats) -> Floats:
    """Return levels with three channels, equal ones of one."""
    return np.broadcast_to(levels, (*levels.shape[:-1], 3))


def _encoded(light: Floats) -> Floats:
    """Return light as levels of sRGB, both in [0, 1] (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _decoded(levels: Floats) -> Floats:
    """Return levels of sRGB as light, both in [0, 1]."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _tags(profile: bytes) -> Mapping[bytes, bytes]:
    """Return the tags of a profile by their signatures."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * k) for k in range(min(count, _MOST_TAGS)))
    return {name: profile[start : start + size] for name, start, size in entries}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    """Return the light that a tag holds."""
    return np.array(struct.unpack_from(">3i", tag, 8), np.float64) / 65536


def _curve(tag: bytes) -> Conversion:
    """Return a curve from levels to light.

    Raises:
        ValueError: for a tag that is no curve.
    """
    if tag.startswith(b"curv"):
        (count,) = struct.unpack_from(">I", tag, 8)
        values = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
        if count == 0:
            return lambda x: x
        if count == 1:
            gamma = float(values[0]) / 256
            return lambda x: x**gamma
        steps = np.linspace(0, 1, count)
        return lambda x: np.interp(x, steps, values / 65535)
    if not tag.startswith(b"para"):
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, a, b, c, d, e, f = _parameters(kind, np.array(struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)) / 65536)

    def parametric(x: Floats) -> Floats:
        power = np.clip(a * x + b, 0, None) ** g + e
        return np.clip(np.where(x >= d, power, c * x + f), 0, 1)

    return parametric


def _parameters(kind: int, given: NDArray[np.float64]) -> tuple[float, ...]:
    """Return (g, a, b, c, d, e, f) of a parametric curve: (a·x + b)^g + e from x = d on, below it c·x + f."""
    g, a, b, c, d, e, f = (*map(float, given), *(0.0,) * (7 - len(given)))
    if kind == 0:
        return g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if kind in (1, 2):  # from x = -b/a on; the third parameter of kind 2 is added everywhere
        return g, a, b, 0.0, -b / a, c, c
    return g, a, b, c, d, e, f
