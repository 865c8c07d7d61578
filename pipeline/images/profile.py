"""Colour profiles (ICC) made here: of the spaces that files name by a word or by numbers, and of sRGB."""

import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Curve = float | Literal["sRGB"]
"""How levels become light: the exponent of a power, or sRGB's curve."""

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Primaries:
    """The chromaticities (x, y) of a space's white and of its red, green and blue."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    def differ(self, other: "Primaries") -> bool:
        """Return whether any of them is further from the other's than rounding in files explains."""
        return bool(np.abs(np.array(self._all()) - np.array(other._all())).max() > 0.005)

    def _all(self) -> tuple[tuple[float, float], ...]:
        return self.white, self.red, self.green, self.blue


_D65 = (0.3127, 0.3290)
SRGB = Primaries(_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Primaries(_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = Primaries(_D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020 = Primaries(_D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
ADOBE_GAMMA = 563 / 256


@functools.cache
def srgb() -> bytes:
    """Return the profile that pictures are written with."""
    return profile_of("sRGB", SRGB, "sRGB")


@functools.lru_cache(maxsize=64)
def profile_of(name: str, primaries: Primaries, curve: Curve) -> bytes:
    """Return the profile (ICC version 4) of an RGB space; equal arguments give equal bytes.

    Raises:
        ValueError: for primaries that span no space, or a curve that is none.
    """
    if not (curve == "sRGB" or 0.1 <= curve <= 10):
        raise ValueError(f"no curve of light: gamma {curve}")
    light_of = columns(primaries)
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve))
    light = {tag: _xyz(light_of[:, place]) for place, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return _file({b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": _xyz(np.array(_D50)), **light, **curves})


def columns(primaries: Primaries) -> NDArray[np.float64]:
    """Return red, green and blue at full level in XYZ, as columns, adapted from the space's white to D50 (Bradford)."""
    try:
        white = _light(primaries.white)
        colours = np.stack([_light(each) for each in (primaries.red, primaries.green, primaries.blue)], axis=1)
        scaled = colours * np.linalg.solve(colours, white)
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD @ scaled
    except (ZeroDivisionError, np.linalg.LinAlgError) as error:
        raise ValueError(f"primaries that span no space: {primaries}") from error
    if not np.abs(adapted).max() < 4:
        raise ValueError(f"primaries that span no space: {primaries}")
    return np.asarray(adapted)


def _light(chromaticity: tuple[float, float]) -> NDArray[np.float64]:
    """Return (X, Y, Z) with Y = 1 of a chromaticity."""
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _curve(curve: Curve) -> bytes:
    """Return the tag of a curve: y = x^g, or sRGB's, which is linear near black."""
    if curve == "sRGB":
        return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + _fixed(curve)


def _fixed(*values: float) -> bytes:
    """Return numbers as ICC writes them: in 32 bits, 16 of them behind the point."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values.tolist())


def _text(text: str) -> bytes:
    """Return the tag of an English text."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _file(tags: Mapping[bytes, bytes]) -> bytes:
    """Return a profile of version 4.3 of a display with the given tags; equal ones share their bytes."""
    start = 132 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", places[value], len(value))
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s6H4s", size, bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ", *_DATE, b"acsp")
    head += bytes(28) + _fixed(*_D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


_DATE = (2000, 1, 1, 0, 0, 0)
"""A profile has a date; a picture's bytes do not depend on when it was written."""
