"""Masks: from pictures of labels, and how they are resized, eroded and ramped."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nst_kernel.pictures import MaskError, eroded, masks_of_labels, ramped, resize_masks

RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def halves(left: tuple[int, ...], right: tuple[int, ...], height: int = 32, width: int = 40) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), left, np.uint8)
    picture[:, width // 2 :] = right
    return picture


def labelled(content: NDArray[np.uint8], styles: list[NDArray[np.uint8]]) -> list[Tensor]:
    return [torch.from_numpy(masks).float() / 255 for masks in masks_of_labels(content, styles)]


def test_equal_colours_are_one_region() -> None:
    content, style = labelled(halves(RED, BLUE), [halves(BLUE, RED, 20, 30)])
    assert content.shape == (2, 32, 40)
    assert style.shape == (2, 20, 30)
    assert np.array_equal(content.sum(0), np.ones((32, 40)))
    ours, theirs = (int(masks[:, 0, 0].argmax()) for masks in (content, style))
    assert ours != theirs
    assert content[ours, :, :20].min() == 1
    assert style[ours, :, 15:].min() == 1


def test_noise_of_jpeg_and_smooth_edges_are_no_regions() -> None:
    large = halves(RED, BLUE, 96, 122)
    large[30:60, 40:80] = WHITE
    file = io.BytesIO()
    Image.fromarray(large).save(file, "JPEG", quality=80)
    sharp, of_jpeg = (labelled(picture, [])[0] for picture in (large, np.asarray(Image.open(file))))
    assert of_jpeg.shape[0] == 3
    order = [int((of_jpeg * mask).sum((1, 2)).argmax()) for mask in sharp]
    assert sorted(order) == [0, 1, 2]
    assert (of_jpeg[order] - sharp).abs().mean() < 0.02
    smooth = np.asarray(Image.fromarray(large).resize((61, 48), Image.Resampling.BILINEAR))
    assert len(labelled(smooth, [])[0]) == 3


def test_what_styles_lack_and_what_they_alone_have() -> None:
    content, style = labelled(halves(RED, BLUE), [halves(BLUE, WHITE)])
    assert len(content) == 2
    blue = content[:, 0, 39].argmax()
    assert style[blue].sum() == 32 * 20
    assert style[1 - blue].sum() == 0


def test_without_masks_of_styles_the_white_region_has_them() -> None:
    content, style = labelled(halves(BLACK, WHITE), [])
    white = content[:, 0, 39].argmax()
    assert style.flatten().tolist() == [float(region == white) for region in range(2)]


def speck(picture: NDArray[np.uint8], colour: tuple[int, ...]) -> NDArray[np.uint8]:
    picture[3, 4] = colour
    return picture


@pytest.mark.parametrize(
    ("content", "styles", "expected"),
    [
        (speck(halves(RED, RED), BLUE), [halves(RED, BLUE)], r"the mask of the content has 1 pixel of #0000ff"),
        (halves(RED, BLUE), [halves(RED, RED), speck(halves(RED, RED), BLUE)], r"mask 2 of the styles has 1 pixel of"),
        (halves(RED, BLUE), [halves(WHITE, BLACK)], r"are #0000ff, #ff0000, those of the styles #000000, #ffffff"),
        (halves(RED, BLUE), [], r"expected one that is #ffffff, which gets the style"),
        (np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251, [], r"no 3 x 3 pixels of one colour"),
        (np.repeat(np.arange(0, 256, 8).repeat(8)[None, :, None], 64, 0).repeat(3, 2) * [1, 0, 0] + (
            np.arange(64) // 8 * 32)[:, None, None] * [0, 1, 0], [], r"more than 16 colours"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used(content: NDArray[np.uint8], styles: list[NDArray[np.uint8]], expected: str) -> None:
    with pytest.raises(MaskError, match=expected):
        masks_of_labels(content.astype(np.uint8), styles)


@given(
    seed=st.integers(0, 99),
    before=st.tuples(st.integers(3, 20), st.integers(3, 20)),
    after=st.tuples(st.integers(3, 20), st.integers(3, 20)),
)
def test_masks_that_add_up_to_one_still_do_at_another_size(
    seed: int, before: tuple[int, int], after: tuple[int, int]
) -> None:
    labels = torch.randint(0, 3, before, generator=torch.Generator().manual_seed(seed))
    masks = torch.stack([labels == region for region in range(3)]).double()
    resized = resize_masks(masks, after)
    torch.testing.assert_close(resized.sum(0), torch.ones(after, dtype=torch.float64))
    assert resized.min() >= 0
    assert resized.shape == (3, *after)


def test_masks_shrink_to_averages_over_areas() -> None:
    masks = torch.rand(2, 24, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = masks.view(2, 8, 3, 6, 5).mean((2, 4))
    torch.testing.assert_close(resize_masks(masks, (8, 6)), expected)


@pytest.mark.parametrize("tileable", [False, True])
@pytest.mark.parametrize("positions", [1, 3])
def test_erosion_takes_what_is_near_to_something_else(positions: int, tileable: bool) -> None:
    masks = (torch.rand(2, 12, 14, generator=torch.Generator().manual_seed(5)) > 0.02).double()
    width = ((0, 0), (positions, positions), (positions, positions))
    around = np.pad(masks.numpy(), width, mode="wrap") if tileable else np.pad(masks.numpy(), width, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (2 * positions + 1,) * 2, axis=(1, 2))
    assert np.array_equal(eroded(masks, positions, tileable=tileable), windows.min((-2, -1)))


def test_a_region_of_which_nothing_would_be_left_stays() -> None:
    masks = torch.zeros(2, 9, 9)
    masks[0, 2:4, 2:4] = masks[1, :, 3:] = 1
    left = eroded(masks, 2)
    assert torch.equal(left[0], masks[0])
    assert torch.equal(left[1].sum(0), torch.tensor([0.0] * 5 + [9.0] * 4))


def test_a_ramp_is_two_pixels_to_each_side() -> None:
    mask = torch.zeros(8, 20)
    mask[:, 10:] = 1
    assert ramped(mask)[3].tolist() == pytest.approx([0] * 8 + [0.2, 0.4, 0.6, 0.8] + [1] * 8)
    assert ramped(mask, tileable=True)[3, 0] == pytest.approx(0.4)
