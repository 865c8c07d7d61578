"""Sheets: labelled pictures in lines, to be looked at together."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

GAP, LEADING = 12, 8
"""Pixels between cells, and what a line of text takes besides its size."""

INK, PAPER = (34, 34, 34), (250, 249, 246)


@dataclass(frozen=True)
class Cell:
    """A cell of a sheet.

    Attributes:
        picture: what it shows, no larger than a cell of the sheet.
        label: what stands above it; empty for nothing.
    """

    picture: Image.Image
    label: str = ""


def sheet(lines: Sequence[Sequence[Cell]], side: int, *, title: Sequence[str] = (), text: int = 14) -> Image.Image:
    """Return lines of cells as one picture.

    Args:
        lines: the cells of each line, from the left. A line without labels leaves no room for them.
        side: of the square that a cell is, pixels.
        title: lines of text above all; each is folded at the sheet's width.
        text: height of the text, pixels.
    """
    font, step = ImageFont.load_default(text), text + LEADING
    width = GAP + max(map(len, lines)) * (side + GAP)
    above = [part for words in title for part in _folded(words, font, width - 2 * GAP)]
    labels = [[_folded(cell.label, font, side) for cell in line] for line in lines]
    label_heights = [step * max(map(len, line)) for line in labels]
    height = GAP + step * len(above) + sum(label_heights) + len(lines) * (side + GAP)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    y = _written(draw, above, (GAP, GAP), font, step)
    for line, texts, label_height in zip(lines, labels, label_heights, strict=True):
        for place, (cell, label) in enumerate(zip(line, texts, strict=True)):
            x = GAP + place * (side + GAP)
            _written(draw, label, (x, y + label_height - step * len(label)), font, step)
            corner = x + (side - cell.picture.width) // 2, y + label_height + (side - cell.picture.height) // 2
            picture.paste(cell.picture, corner)
        y += label_height + side + GAP
    return picture


def _folded(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Return a text as lines of at most so many pixels: folded at spaces, else after `=`, else anywhere."""
    for words, breaks in ((text, False), (text.replace("=", "= "), False), (text, True)):
        for letters in range(len(words), 0, -1):
            lines = textwrap.wrap(words, letters, break_long_words=breaks, break_on_hyphens=False)
            if all(font.getlength(line) <= width for line in lines):
                return lines
    return []


def _written(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[str],
    corner: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    step: int,
) -> int:
    """Write lines of text downwards from a corner; return where the next one would begin."""
    for number, line in enumerate(lines):
        draw.text((corner[0], corner[1] + number * step), line, INK, font)
    return corner[1] + len(lines) * step
