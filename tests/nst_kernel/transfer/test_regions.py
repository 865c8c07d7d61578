"""Regions of a picture with styles of their own, and regions that keep their content."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_kernel import Pair, Style, StyleParams, StylizeResult, stylize_batch
from nst_kernel.cost import Saving
from nst_kernel.objective import GramCache, Objective, targets_of
from tests.support import encoder, pixels

SHALLOW = {"style_layers": "conv1_1, conv2_1", "content_layers": "conv2_1", "scales": "", "iterations": 6}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)
H, W = 24, 32


def params(**values: object) -> StyleParams:
    return StyleParams.of({**SHALLOW, **values})


def bands(*widths: int) -> Tensor:
    """Masks (R, H, W) of vertical bands of these widths, from the left."""
    place = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    return torch.stack([(place == region).double().expand(H, W) for region in range(len(widths))])


def wholes(*styles: Sequence[float]) -> list[Tensor]:
    """Masks of styles of which each as a whole is in the regions where it has a 1."""
    return [torch.tensor(list(style), dtype=torch.float64).view(-1, 1, 1) for style in styles]


def image(result: StylizeResult) -> Tensor:
    return torch.from_numpy(np.asarray(result.image)).permute(2, 0, 1)


def losses_and_gradient(pairs: Sequence[Pair], x: Tensor, *, saving: Saving = "nothing") -> tuple[Tensor, Tensor]:
    x = x.detach().clone().requires_grad_()
    objective = Objective(DOUBLE, targets_of(pairs, DOUBLE), [pair.params for pair in pairs], saving=saving)
    losses = objective(x)
    (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
    return losses.detach(), gradient


@pytest.mark.parametrize("statistics", ["gram", "covariance", "w2"])
@pytest.mark.parametrize("mode", ["simple", "inside"])
def test_a_mask_of_ones_is_no_mask(statistics: str, mode: str) -> None:
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params(statistics=statistics, mask_mode=mode))
    x = pixels(2, H, W).unsqueeze(0)
    guided = losses_and_gradient([pair.within(torch.ones(1, H, W), wholes([1]))], x)
    for ours, theirs in zip(guided, losses_and_gradient([pair], x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9 if statistics == "w2" else 1e-12, atol=1e-12)


@pytest.mark.parametrize("saving", ["nothing", "checkpoint"])
def test_two_styles_in_equal_parts_everywhere_pull_as_their_blend(saving: Saving) -> None:
    pair = Pair.of(pixels(0, H, W), [pixels(1, 20, 28), pixels(3, 24, 26)], params(objective="mean"))
    x = pixels(2, H, W).unsqueeze(0)
    half = pair.within(torch.full((2, H, W), 0.5), wholes([1, 0], [0, 1]))
    _, ours = losses_and_gradient([half], x, saving=saving)
    _, blend = losses_and_gradient([pair], x, saving=saving)
    torch.testing.assert_close(ours, blend, rtol=1e-9, atol=1e-14)


def test_a_region_in_two_styles_has_their_blend() -> None:
    styles = [pixels(1, 20, 28), pixels(3, 24, 26)]
    pair = Pair.of(pixels(0, H, W), styles, params(style_blend_weights="1, 3"))
    both = pair.within(torch.ones(1, H, W), wholes([1], [1]))
    x = pixels(2, H, W).unsqueeze(0)
    torch.testing.assert_close(losses_and_gradient([both], x), losses_and_gradient([pair], x), rtol=1e-12, atol=1e-12)


def test_a_style_may_have_regions_of_its_own() -> None:
    """Each half of the output takes one half of the style: what the other half has does not matter."""
    style, other = pixels(1, H, W), pixels(3, H, W)
    mixed = torch.cat([style[..., : W // 2], other[..., W // 2 :]], dim=2)
    left = torch.cat([bands(16, 16)[:1], torch.zeros(1, H, W)])
    x = pixels(2, H, W).unsqueeze(0)
    found = []
    for picture in (style, mixed):
        pair = Pair.of(pixels(0, H, W), picture, params(style_layers="conv1_1", mask_mode="inside"))
        found.append(losses_and_gradient([pair.within(bands(16, 16), [left])], x))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["simple", "inside"])
def test_each_half_has_the_colour_of_its_style(mode: str) -> None:
    network = encoder("conv2_1", narrower=8)
    colours = [torch.tensor(c).view(3, 1, 1).expand(3, 32, 32) + 0.05 * (pixels(5, 32, 32, torch.float32) - 0.5)
               for c in ((0.85, 0.15, 0.15), (0.15, 0.15, 0.85))]  # fmt: skip
    made = []
    for masks in (bands(16, 16), bands(16, 16).flip(0)):
        values = {"init": "grey", "content_weight": 0.001, "iterations": 20, "mask_mode": mode}
        pair = Pair.of(pixels(0, H, W, torch.float32), [each.clamp(0, 1) for each in colours], params(**values))
        (result,) = stylize_batch([pair.within(masks, wholes([1, 0], [0, 1]))], network)
        redness = image(result)[0] - image(result)[2]
        made.append((redness[:, :14].mean(), redness[:, 18:].mean()))
    assert made[0][0] > 0.2 > -0.2 > made[0][1]
    assert made[1][0] < -0.2 < 0.2 < made[1][1]


def test_a_region_that_no_style_has_keeps_its_content() -> None:
    content = pixels(0, H, W)
    pair = Pair.of(content, pixels(1, 20, 28), params(init="noise")).within(bands(16, 16), wholes([1, 0]))
    (result,) = stylize_batch([pair], DOUBLE)
    assert (image(result) - content)[:, :, 18:].abs().max() < 1e-6
    assert (image(result) - content)[:, :, :14].abs().mean() > 0.05


def test_what_styles_have_does_not_pull_at_a_region_that_is_kept() -> None:
    """Beyond what a layer sees, 2 + 2 pixels at conv2_1, there is no gradient of the style's."""
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params(content_weight=0, tv_weight=0))
    kept = pair.within(bands(16, 16), wholes([1, 0]))
    _, gradient = losses_and_gradient([kept], pixels(2, H, W).unsqueeze(0))
    assert gradient[..., 20:].abs().max() == 0
    assert gradient[..., :16].abs().max() > 0


def test_with_inside_a_style_reaches_no_pixel_of_its_neighbour() -> None:
    values = {"content_weight": 0, "tv_weight": 0, "mask_mode": "inside"}
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params(**values)).within(bands(16, 16), wholes([1, 0]))
    _, gradient = losses_and_gradient([pair], pixels(2, H, W).unsqueeze(0))
    assert gradient[..., 16:].abs().max() == 0
    assert gradient[..., :16].abs().max() > 0


def test_batch_mates_with_more_regions_change_nothing() -> None:
    masks = [bands(32), bands(10, 22), bands(8, 8, 8, 8)]
    styles = [wholes([1], [1]), wholes([1, 0], [0, 1]), wholes([1, 0, 0, 1], [0, 1, 0, 0])]
    pairs = [
        Pair.of(pixels(n, H, W), [pixels(5, 20, 28), pixels(6, 26, 22)], params(mask_mode=mode)).within(a, b)
        for n, (a, b, mode) in enumerate(zip(masks, styles, ("simple", "inside", "simple"), strict=True))
    ]
    together = stylize_batch(pairs, DOUBLE)
    for pair, ours in zip(pairs, together, strict=True):
        (alone,) = stylize_batch([pair], DOUBLE)
        np.testing.assert_allclose(ours.image, alone.image, atol=1e-6)
        assert ours.losses == pytest.approx(alone.losses, rel=1e-6)


def test_samples_that_go_on_alone_keep_their_own_regions() -> None:
    pairs = [
        Pair.of(pixels(n, H, W), pixels(5, 20, 28), params()).within(masks, wholes([1, 0]))
        for n, masks in enumerate((bands(8, 24), bands(28, 4)))
    ]
    objective = Objective(DOUBLE, targets_of(pairs, DOUBLE), [pair.params for pair in pairs])
    x = torch.stack([pixels(2, H, W), pixels(3, H, W)])
    torch.testing.assert_close(objective.select(torch.tensor([1]))(x[1:]), objective(x)[1:], rtol=1e-12, atol=1e-12)


def test_a_cached_style_is_that_of_its_masks_and_mode() -> None:
    cache, found = GramCache(), []
    for mode in ("simple", "inside", "simple"):
        style = Style(pixels(1, H, W), key="one", masks=bands(12, 20))
        pair = Pair(pixels(0, H, W), (style,), params(mask_mode=mode), masks=bands(16, 16))
        found.append(targets_of([pair], DOUBLE, cache).style["conv2_1"])
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1])
    assert (cache.hits, cache.misses) == (1, 2)


def test_regions_pass_through_coarser_scales() -> None:
    content = pixels(0, H, W)
    values = {"scales": "16", "iterations": "2, 2"}
    pair = Pair.of(content, pixels(1, 20, 28), params(**values)).within(bands(1, 31), wholes([0, 1]))
    (result,) = stylize_batch([pair], DOUBLE)
    assert not result.diverged
    assert np.isfinite(result.image).all()


def test_samples_without_regions_are_no_batch_mates() -> None:
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params())
    with pytest.raises(ValueError, match="cannot be in one batch"):
        stylize_batch([pair, pair.within(bands(16, 16), wholes([1, 1]))], DOUBLE)


def test_masks_that_parameters_name_must_be_there() -> None:
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params(content_mask="m.png"))
    with pytest.raises(ValueError, match="without masks: give it some"):
        stylize_batch([pair], DOUBLE)


@pytest.mark.parametrize(
    ("masks", "styles", "expected"),
    [
        (bands(16, 16), wholes([1, 1, 1]), "masks of 2 regions in the output and of"),
        (bands(16, 16), wholes([0, 0]), "expected at least one that the styles have"),
    ],
)
def test_masks_that_do_not_fit_each_other(masks: Tensor, styles: list[Tensor], expected: str) -> None:
    pair = Pair.of(pixels(0, H, W), pixels(1, 20, 28), params())
    with pytest.raises(ValueError, match=expected):
        pair.within(masks, styles)
