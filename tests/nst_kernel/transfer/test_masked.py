"""Masks that Python code gives to `stylize`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nst_kernel import Masked, MaskError, Pair, StyleParams, stylize, stylize_batch
from nst_kernel.pictures import to_tensor
from tests.support import draw, encoder

PARAMS = StyleParams.of(
    {"style_layers": "conv1_1", "content_layers": "conv1_1", "scales": "", "iterations": 3, "size": 32}
)
CONTENT, ONE, OTHER = draw(0, 24, 32), draw(1, 20, 28), draw(2, 26, 26)
LEFT = np.zeros((48, 64), np.float32)
LEFT[:, :32] = 1
SOFT = [LEFT, 1 - LEFT]
LABELS = np.where(LEFT[..., None] > 0, np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8))


def red(height: int, width: int, colour: tuple[int, int, int] = (255, 0, 0)) -> Any:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))


def made(content: Any, styles: Sequence[Any]) -> Any:
    return stylize(content, list(styles), PARAMS, encoder=encoder("conv1_1")).image


def by_hand(masks: Sequence[Any], own: Sequence[Sequence[float]]) -> Any:
    pair = Pair.of(to_tensor(CONTENT), [to_tensor(ONE), to_tensor(OTHER)], PARAMS)
    within = pair.within(
        torch.from_numpy(np.stack(list(masks))), [torch.tensor(list(each)).view(-1, 1, 1) for each in own]
    )
    return stylize_batch([within], encoder("conv1_1"))[0].image


def test_soft_masks_and_labels_say_which_style_is_where() -> None:
    """Arrays, tensors, pictures, truth values and bytes alike; a style without masks is one region as a whole."""
    expected = by_hand(SOFT, [[1, 0], [0, 1]])
    labels = Image.fromarray(LABELS)
    whole = [Masked(ONE, red(20, 28)), Masked(OTHER, red(13, 13, (0, 0, 255)))]
    full = [np.stack([np.full((20, 28), k == place, np.float32) for k in range(2)]) for place in range(2)]
    for masks, styles in (
        (SOFT, (ONE, OTHER)),
        (np.stack(SOFT), (ONE, OTHER)),
        ([torch.from_numpy(mask) for mask in SOFT], (ONE, OTHER)),
        ([mask > 0 for mask in SOFT], (ONE, OTHER)),
        ([Image.fromarray((255 * mask).astype(np.uint8)) for mask in SOFT], (ONE, OTHER)),
        (SOFT, (Masked(ONE, full[0]), Masked(Image.fromarray(OTHER), full[1][:, :, :20]))),
        (labels, whole),
    ):
        np.testing.assert_allclose(made(Masked(CONTENT, masks), styles), expected, atol=1e-6)


def test_shares_of_soft_masks_are_what_they_are() -> None:
    half = [np.full((24, 32), 0.25, np.float32), np.full((24, 32), 0.75, np.float32)]
    expected = by_hand(half, [[1, 0], [0, 1]])
    np.testing.assert_allclose(made(Masked(CONTENT, half), (ONE, OTHER)), expected, atol=1e-6)


def test_labels_of_the_content_alone_are_white_where_the_style_is() -> None:
    labels = np.where(LEFT[..., None] > 0, np.uint8(255), np.array([0, 0, 0], np.uint8))
    picture = stylize(Masked(CONTENT, labels), ONE, PARAMS, encoder=encoder("conv1_1")).image
    changed = np.abs(picture - CONTENT / 255)
    assert changed[:, 19:].max() < 1e-6
    assert changed[:, :13].mean() > 0.005


def test_a_texture_has_regions_without_a_content() -> None:
    params = StyleParams.of({**PARAMS.to_json(), "content_weight": 0, "init": "noise"})
    result = stylize(Masked(None, SOFT), [ONE, OTHER], params, encoder=encoder("conv1_1"))
    assert np.isfinite(result.image).all()


@pytest.mark.parametrize(
    ("content", "styles", "expected"),
    [
        (CONTENT, [Masked(ONE, LABELS)], "masks of styles alone"),
        (Masked(CONTENT, LABELS), [Masked(ONE, red(20, 28)), OTHER], "style 2 has no masks: expected some for each"),
        (Masked(CONTENT, LABELS), [Masked(ONE, [np.ones((20, 28))])], "style 1: expected a picture of labels"),
        (Masked(CONTENT, SOFT), [Masked(ONE, red(20, 28))], "style 1: expected soft masks, as the content has"),
        (Masked(CONTENT, SOFT), [ONE], "2 soft masks of the content and 1 styles without masks"),
        (Masked(CONTENT, SOFT), [Masked(ONE, [np.ones((20, 28))])], "style 1: 1 masks, and the content has 2"),
        (Masked(CONTENT, [LEFT, 2 * LEFT]), [ONE, OTHER], "number 2: values from 0 to 2: expected them in"),
        (Masked(CONTENT, [LEFT, np.nan * LEFT]), [ONE, OTHER], "number 2: values from nan"),
        (Masked(CONTENT, [LEFT, 0 * LEFT]), [ONE, OTHER], "of the content, number 2: it is 0 everywhere"),
        (Masked(CONTENT, [LEFT, LEFT[:9]]), [ONE, OTHER], "64 x 48, 64 x 9: expected one for each region"),
        (Masked(CONTENT, []), [ONE], "of the content: no mask: expected one for each"),
        (Masked(CONTENT, LEFT), [ONE], r"are float32 \(48, 64\): expected a picture of labels"),
        (Masked(CONTENT, [LEFT.astype(int)]), [ONE], r"number 1: int64 \(48, 64\): expected floats"),
        (Masked(CONTENT, LABELS[:20]), [Masked(ONE, red(20, 28))], "content are 64 x 20 px, another aspect ratio"),
        (Masked(CONTENT, LABELS), [Masked(ONE, red(20, 20))], "style 1 are 20 x 20 px, another aspect ratio"),
        (Masked(CONTENT, LABELS), [Masked(ONE, red(20, 28, (0, 255, 0)))], "expected one at least that both have"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be_used(content: Any, styles: list[Any], expected: str) -> None:
    with pytest.raises(MaskError, match=expected):
        made(content, styles)


def test_masks_where_styles_take_no_part_are_refused() -> None:
    params = StyleParams.of({**PARAMS.to_json(), "style_weight": 0})
    with pytest.raises(MaskError, match="masks with style_weight=0"):
        stylize(Masked(CONTENT, SOFT), [ONE, OTHER], params, encoder=encoder("conv1_1"))
