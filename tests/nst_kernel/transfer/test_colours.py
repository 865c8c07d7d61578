"""Whose colours a result has."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nst_kernel import Observer, Pair, Style, StyleParams, StylizeResult, stylize_batch
from nst_kernel.objective import GramCache, Objective, targets_of
from nst_kernel.pictures import grey, matched, moments, recoloured
from nst_kernel.transfer import one_scale
from nst_kernel.transfer.colours import coloured
from tests.support import encoder, pixels

SHALLOW: dict[str, object] = {
    "content_layers": "conv2_1",
    "style_layers": "conv1_1, conv2_1",
    "scales": "16",
    "iterations": 4,
    "precision": "fp32",
}
DOUBLE, SINGLE = (encoder("conv2_1", dtype, narrower=8) for dtype in (torch.float64, torch.float32))
CONTENT, STYLE, OTHER = pixels(0, 24, 32), pixels(1, 20, 28), pixels(2, 24, 32)
STARTS: list[dict[str, object]] = [
    {"init": "content"},
    {"init": "style", "init_noise": 0.3},
    {"init": "noise", "optimizer": "adam"},
    {"init": "a/picture.png"},
]


def params(**parameters: object) -> StyleParams:
    return StyleParams.of({**SHALLOW, **parameters})


def result(content: Tensor | None, style: Tensor, start: Tensor | None = None, **parameters: object) -> StylizeResult:
    return stylize_batch([Pair.of(content, style, params(**parameters), start)], SINGLE)[0]


def channels(image: ArrayLike) -> Tensor:
    return torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1)


def is_exactly_grey(image: ArrayLike) -> bool:
    x = channels(image)
    return torch.equal(x[0], x[1]) and torch.equal(x[1], x[2])


@pytest.mark.parametrize("start", STARTS)
def test_grey_in_grey_out(start: dict[str, object]) -> None:
    """All pictures grey: so is the result. A grey content alone: with its colours preserved."""
    content, style, other = grey(CONTENT), grey(STYLE), grey(OTHER)
    plain = result(content, style, other, **start)
    assert is_exactly_grey(plain.image)
    assert plain.losses["style"] < plain.curve["style"][0]
    if start.get("init") != "style":  # which is refused
        assert is_exactly_grey(result(content, STYLE, OTHER, preserve_color="luminance", **start).image)
    assert is_exactly_grey(result(content, STYLE, OTHER, preserve_color="luminance_after", **start).image)
    assert not is_exactly_grey(result(content, STYLE, OTHER, **start).image)


def test_noise_to_start_from_in_grey_has_the_spread_of_white_noise() -> None:
    noise = torch.rand((3, 24, 32), generator=torch.Generator().manual_seed(5))[:1]
    made = result(grey(CONTENT), grey(STYLE), init="noise", seed=5, iterations=1, scales=())
    np.testing.assert_allclose(channels(made.image), noise.expand(3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("mode", ["match", "transport"])
def test_a_grey_content_makes_its_styles_grey(mode: str) -> None:
    """Even if rounding has left a trace of colour in it."""
    content = grey(CONTENT)
    content[0, ::3] += 1 / 255
    assert is_exactly_grey(result(content.clamp(0, 1), STYLE, preserve_color=mode).image)


def test_a_texture_of_a_grey_style_is_grey_and_a_content_that_takes_no_part_does_not_matter() -> None:
    for content in (None, CONTENT):
        assert is_exactly_grey(result(content, grey(STYLE), content_weight=0, init="noise").image)


@pytest.mark.parametrize("start", [start for start in STARTS if start["init"] != "style"])
def test_luminance_keeps_the_colours_of_the_content(start: dict[str, object]) -> None:
    """I and Q are differences of channels, which are those of the content where nothing is clipped."""
    made = result(CONTENT, STYLE, OTHER, preserve_color="luminance", **start)
    image = channels(made.image)
    inside = ((image > 0) & (image < 1)).all(0)
    assert inside.float().mean() > 0.3
    for one, other in ((0, 1), (1, 2)):
        difference = (image[one] - image[other]) - (CONTENT[one] - CONTENT[other])
        assert difference[inside].abs().max() <= 1 / 255
    assert made.losses["style"] < made.curve["style"][0]


def test_the_gradient_in_grey_is_the_mean_over_channels() -> None:
    """Of the gradient that the loss has at a grey picture; a coloured batch-mate has its own, to the bit."""
    pairs = [Pair.of(CONTENT, STYLE, params(preserve_color=mode, tv_weight=3)) for mode in ("luminance", "none")]
    pairs = [coloured(pair) for pair in pairs]
    targets = targets_of(pairs, DOUBLE)
    in_grey = Objective(DOUBLE, targets, [pair.params for pair in pairs])
    plain = Objective(DOUBLE, type(targets)(targets.content, targets.style), [pair.params for pair in pairs])
    x = torch.stack([grey(OTHER), OTHER])
    gradients = []
    for objective in (in_grey, plain):
        at = x.clone().requires_grad_()
        losses = objective(at)
        gradients.append(torch.autograd.grad(losses[:, 0].sum(), at)[0])
    ours, theirs = gradients
    torch.testing.assert_close(ours[0], theirs[0].mean(0, keepdim=True).expand(3, -1, -1), rtol=1e-9, atol=1e-15)
    assert torch.equal(ours[1], theirs[1])


def test_luminance_after_is_an_ordinary_transfer_in_the_colours_of_the_content() -> None:
    plain, after = (result(CONTENT, STYLE, preserve_color=mode) for mode in ("none", "luminance_after"))
    assert after.losses == plain.losses
    expected = recoloured(channels(plain.image).double(), CONTENT)
    np.testing.assert_allclose(channels(after.image), expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["match", "transport"])
def test_matching_is_a_transfer_of_pictures_that_are_matched_before(mode: str) -> None:
    """Each of several styles by itself; the content with all of them."""

    def match(x: Tensor, others: list[Tensor], weights: Sequence[float] = (1,)) -> Tensor:
        return matched(x, moments([x]), moments(others, weights), transport=mode == "transport")

    def image(content: Tensor, styles: Sequence[Tensor], **parameters: object) -> ArrayLike:
        pair = Pair(content, (Style(styles[0]), Style(styles[1], weight=3)), params(**parameters))
        return stylize_batch([pair], SINGLE)[0].image

    styles = [STYLE, OTHER]
    by_hand = image(CONTENT, [match(style, [CONTENT]) for style in styles])
    assert np.array_equal(image(CONTENT, styles, preserve_color=mode), by_hand)
    by_hand = image(match(CONTENT, styles, (1, 3)), styles)
    assert np.array_equal(image(CONTENT, styles, style_color=mode), by_hand)


def test_a_sample_is_the_same_alone_and_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second one leaves the batch early."""
    monkeypatch.setattr(one_scale, "PATIENCE", 10)
    kinds = [
        (CONTENT, STYLE, {"preserve_color": "luminance", "init": "noise"}),
        (CONTENT, STYLE, {"preserve_color": "luminance"}),
        (OTHER, STYLE, {"preserve_color": "match"}),
        (OTHER, STYLE, {}),
        (grey(OTHER), grey(STYLE), {}),
        (OTHER, STYLE, {"preserve_color": "luminance_after"}),
    ]
    shared: dict[str, object] = {"iterations": 13, "window": 3, "scales": ()}
    pairs = [
        Pair.of(content, style, params(**shared, **colours, min_improvement=(1e-9, 0.4)[place % 2]))
        for place, (content, style, colours) in enumerate(kinds)
    ]
    results = stylize_batch(pairs, DOUBLE)
    assert max(made.iterations for made in results[1::2]) < 10
    assert all(made.iterations == 13 for made in results[::2])
    for pair, together in zip(pairs, results, strict=True):
        alone = stylize_batch([pair], DOUBLE)[0]
        assert together.losses == pytest.approx(alone.losses, rel=1e-6)
        np.testing.assert_allclose(together.image, alone.image, atol=1e-4)


def test_statistics_are_cached_by_the_colours_of_the_style() -> None:
    def first(pair: Pair, cache: GramCache | None) -> float:
        keyed = Pair.of(pair.content, pair.style, pair.params, keys=["key"])
        return float(stylize_batch([keyed], DOUBLE, grams=cache)[0].curve["style"][0])

    style, cache = STYLE.clone(), GramCache()
    style[1:] = style[:1]
    style[0, 0, 0] += 1 / 255  # a trace of colour, which counts beside a coloured content
    pairs = [
        Pair.of(content, style, params(preserve_color=mode, iterations=1))
        for content, mode in ((CONTENT, "none"), (grey(CONTENT), "none"), (CONTENT, "match"), (CONTENT, "luminance"))
    ]
    for pair in pairs:
        assert first(pair, cache) == first(pair, None)


def test_pictures_on_the_way_have_the_colours_of_the_result() -> None:
    class Watching(Observer):
        wants_frames = True
        shown: ClassVar[dict[int, NDArray[np.float32]]] = {}

        def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
            self.shown[sample] = picture

    pairs = [Pair.of(CONTENT, STYLE, params(preserve_color=mode, save_every=1)) for mode in ("none", "luminance")]
    results = stylize_batch(pairs, SINGLE, observer=Watching())
    assert all(np.array_equal(Watching.shown[sample], made.image) for sample, made in enumerate(results))


@pytest.mark.parametrize("colours", [{"preserve_color": "luminance"}, {"style_color": "match", "init": "content"}])
def test_colours_of_a_content_need_one(colours: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="without its content picture"):
        Pair.of(None, STYLE, params(**{"content_weight": 0, "init": "noise", **colours}))
