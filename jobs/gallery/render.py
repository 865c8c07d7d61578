"""Make the sheets of the gallery: transfers in this process, one after the other, and their labels."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from jobs.gallery.sheets import CUT_OUT, GREY, SHARED, Line, Sheet
from jobs.pictures import Cell, draw, draw_mask, sheet
from nst_kernel import Masked, StyleParams, Vgg19, Weights, stylize, to_uint8
from nst_kernel.params import as_text

DRAWN, SIDE, ACROSS = 384, 144, 8
"""Pixels of the drawn pictures, pixels of a cell, and cells side by side before a line goes on below."""


def rendered(made: Sheet, weights: Weights) -> Image.Image:
    """Return a sheet as a picture.

    Args:
        made: the sheet.
        weights: of the encoder. Where they end before a layer, transfers do without it.
    """
    encoder = Vgg19(weights)
    rows: list[list[Cell]] = []
    for line in made.lines:
        cells = [*_given(line), *_masks(made)]
        for column in made.columns:
            params = within(StyleParams.of({**SHARED, **made.shared, **line.values, **column}), weights)
            picture = transferred(line, params, encoder)
            cells.append(Cell(_in_cell(_repeated(picture, made.repeat)), _label(column)))
        rows += [cells[start : start + ACROSS] for start in range(0, len(cells), ACROSS)]
    return sheet(rows, SIDE, title=_title(made, weights), text=13)


def transferred(line: Line, params: StyleParams, encoder: Vgg19) -> Image.Image:
    """Return what a transfer makes of the pictures of a line."""
    keep = params.transparency == "keep"
    styles: list[Any] = [_laid(drawn(name), WHITE, keep=keep) for name in line.styles]
    content: Any = None if line.content is None else _laid(drawn(line.content), WHITE, keep=keep)
    if there := [draw_mask(name, DRAWN) for name in names_of(params.content_mask)]:
        content = Masked(content, there if len(there) > 1 else there[0])
    if own := [draw_mask(name, DRAWN) for name in names_of(params.style_mask)]:
        styles = [Masked(style, labels) for style, labels in zip(styles, own, strict=True)]
    result = stylize(content, styles if len(styles) > 1 else styles[0], params, encoder=encoder)
    return Image.fromarray(to_uint8(result.image))


def names_of(masks: str) -> tuple[str, ...]:
    """Return the names of the drawn masks that a parameter names."""
    return tuple(filter(None, masks.split("|")))


def within(params: StyleParams, weights: Weights) -> StyleParams:
    """Return the parameters without layers that the weights do not reach; their last layer, where none is left."""
    reached = tuple(weights.convolutions)
    if not set(params.layers) - set(reached):
        return params
    pairs = (("style_layers", "layer_weights"), ("content_layers", "content_layer_weights"))
    changed: dict[str, Any] = {}
    for layers, shares in pairs:
        kept = [place for place, layer in enumerate(getattr(params, layers)) if layer in reached]
        changed[layers] = tuple(getattr(params, layers)[place] for place in kept) or reached[-1:]
        changed[shares] = tuple(getattr(params, shares)[place] for place in kept) if getattr(params, shares) else ()
    return dataclasses.replace(params, **changed)


@cache
def drawn(name: str) -> Image.Image:
    """Return a drawn picture by the name that a sheet has for it."""
    picture = Image.fromarray(draw(name.removesuffix(GREY).removesuffix(CUT_OUT), DRAWN))
    if name.endswith(CUT_OUT):
        picture.putalpha(_disc())
        return picture
    return picture.convert("L").convert("RGB") if name.endswith(GREY) else picture


def _disc() -> Image.Image:
    """Return the opacity of a drawn picture that is cut out: a disc with a soft border."""
    disc = Image.new("L", (DRAWN, DRAWN))
    ImageDraw.Draw(disc).ellipse((DRAWN // 8, DRAWN // 8, DRAWN * 7 // 8, DRAWN * 7 // 8), fill=255)
    return disc.filter(ImageFilter.GaussianBlur(3))


def _laid(picture: Image.Image, ground: Image.Image, *, keep: bool = False) -> Image.Image:
    """Return a picture laid on a ground of any size where it is transparent; as it is if that is to be kept."""
    if picture.mode != "RGBA" or keep:
        return picture
    below = _repeated(ground, -(-max(picture.size) // ground.width)).crop((0, 0, *picture.size))
    below.paste(picture, mask=picture.getchannel("A"))
    return below


WHITE = Image.new("RGB", (DRAWN, DRAWN), "white")
CHECKS = Image.fromarray(np.kron(np.array([[170, 215], [215, 170]], np.uint8), np.ones((6, 6), np.uint8))).convert(
    "RGB"
)
"""What lies below transparent pictures: as an input, and on a sheet."""


def _given(line: Line) -> list[Cell]:
    """Return the cells of the pictures that a line takes, the first one with the line's parameters."""
    about = f" {_label(line.values)}" if line.values else ""
    content = [] if line.content is None else [Cell(_in_cell(drawn(line.content)), f"content {line.content}")]
    given = [*content, *(Cell(_in_cell(drawn(name)), f"style {name}") for name in line.styles)]
    return [dataclasses.replace(given[0], label=given[0].label + about), *given[1:]]


def _masks(made: Sheet) -> list[Cell]:
    """Return the cells of the masks of contents that the columns of a sheet name, each once."""
    names = (name for column in made.columns for name in names_of(str(column.get("content_mask", ""))))
    return [
        Cell(_in_cell(Image.fromarray(draw_mask(name, DRAWN)).convert("RGB")), f"mask {name}")
        for name in dict.fromkeys(names)
    ]


def _in_cell(picture: Image.Image) -> Image.Image:
    """Return a picture as large as a cell: sizes are compared by what is seen of them."""
    factor = SIDE / max(picture.size)
    picture = _laid(picture, CHECKS)
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS)


def _repeated(picture: Image.Image, times: int) -> Image.Image:
    """Return a picture put beside and below itself."""
    wall = Image.new(picture.mode, (picture.width * times, picture.height * times))
    for place in range(times**2):
        wall.paste(picture, (place % times * picture.width, place // times * picture.height))
    return wall


def _label(values: Mapping[str, object]) -> str:
    texts = {name: f"{value:g}" if isinstance(value, float) else as_text(value) for name, value in values.items()}
    return " ".join(f"{name}={text or 'none'}" for name, text in texts.items())


def _title(made: Sheet, weights: Weights) -> tuple[str, ...]:
    shared = _label({name: value for name, value in {**SHARED, **made.shared}.items() if name not in made.controls})
    return made.name, f"{made.shows}.", f"{shared}; encoder {weights.name} ({tuple(weights.convolutions)[-1]})"
