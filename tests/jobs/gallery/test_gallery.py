"""Every control that changes pictures is on a sheet, and a sheet shows its pictures with their labels."""

import numpy as np
import pytest
from PIL import Image

from jobs.gallery.render import names_of, rendered, within
from jobs.gallery.sheets import CUT_OUT, GREY, SHARED, SHEETS, Line, Sheet
from jobs.pictures import CONTENTS, MASKS, PAPER, STYLES, Cell, draw_mask, sheet
from nst_kernel import PARAMETERS, StyleParams
from tests.support import random_weights


def test_every_later_control_has_a_sheet() -> None:
    shown = frozenset[str]().union(*(each.controls for each in SHEETS))
    later = {name for name, parameter in PARAMETERS.items() if parameter.later and parameter.decides}
    assert sorted(later - shown) == []


@pytest.mark.parametrize("each", SHEETS, ids=lambda each: each.name)
def test_a_sheet_can_be_made(each: Sheet) -> None:
    weights = random_weights(deepest="conv1_1")
    for line in each.lines:
        assert line.content is None or line.content.removesuffix(GREY).removesuffix(CUT_OUT) in CONTENTS
        assert {name.removesuffix(GREY).removesuffix(CUT_OUT) for name in line.styles} <= set(STYLES)
        cells = [StyleParams.of({**SHARED, **each.shared, **line.values, **column}) for column in each.columns]
        named = {name for cell in cells for masks in (cell.content_mask, cell.style_mask) for name in names_of(masks)}
        assert named <= set(MASKS)
        assert len({repr(cell) for cell in cells}) == len(cells)
        assert not any(cell.needs_content for cell in cells if line.content is None)
        assert {layer for cell in cells for layer in within(cell, weights).layers} == {"conv1_1"}


def test_weights_that_end_early_are_asked_for_what_they_have() -> None:
    params = StyleParams(style_layers=("conv1_1", "conv3_1"), layer_weights=(1, 2), content_layers=("conv4_2",))
    kept = within(params, random_weights(deepest="conv2_1"))
    assert (kept.style_layers, kept.layer_weights) == (("conv1_1",), (1,))
    assert kept.content_layers == ("conv2_1",)
    assert within(params, random_weights(deepest="conv4_2")) is params


def test_masks_are_drawn_for_every_pixel() -> None:
    for parts in (("sky", "sea"), ("left to right", "right to left")):
        total = sum(draw_mask(name, 48).astype(int) for name in parts)
        assert np.abs(total - 255).max() <= 1
    labels = draw_mask("sky, sea, boat", 48)
    assert len(np.unique(labels.reshape(-1, 3), axis=0)) == 3
    assert all(draw_mask(name, 32).dtype == np.uint8 for name in MASKS)


def ink(picture: Image.Image, box: tuple[int, int, int, int]) -> int:
    """How many pixels of a part are not of the paper's colour."""
    return int((np.asarray(picture.crop(box)) != PAPER).any(axis=2).sum())


def test_a_sheet_of_two_cells_has_its_labels() -> None:
    made = Sheet(
        "style_weight",
        "two tiny cells",
        (Line("boats", ("crayon",)),),
        ({"style_weight": 0}, {"style_weight": 100}),
        {"size": 32, "iterations": 4, "content_layers": "conv1_1", "style_layers": "conv1_1"},
    )
    picture = rendered(made, random_weights(deepest="conv1_1"))
    side, gap = 144, 12
    top = picture.height - gap - side
    assert picture.width == 4 * side + 5 * gap
    columns = [(gap + place * (side + gap), gap + place * (side + gap) + side) for place in range(4)]
    assert all(ink(picture, (left, top - 20, right, top)) for left, right in columns)
    first, second = (picture.crop((left, top, right, top + side)) for left, right in columns[2:])
    assert ink(picture, (0, 0, picture.width, 30))
    assert first.tobytes() != second.tobytes()


def test_a_label_is_folded_and_stands_above_its_cell() -> None:
    square = Image.new("RGB", (40, 40), "red")
    plain = sheet([[Cell(square), Cell(square)]], 40)
    assert plain.size == (3 * 12 + 80, 2 * 12 + 40)
    labelled = sheet([[Cell(square, "averaging=0.9 clamp=true"), Cell(square)]], 40)
    assert labelled.width == plain.width
    assert labelled.height > plain.height + 40
    cells = [each.crop((0, each.height - 52, each.width, each.height)) for each in (plain, labelled)]
    assert cells[0].tobytes() == cells[1].tobytes()
    assert ink(labelled, (12, 12, 52, labelled.height - 60))
    assert not ink(labelled, (64, 0, labelled.width, labelled.height - 52))
