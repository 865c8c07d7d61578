"""Contradictions between values of parameters that are valid each by itself."""

from collections.abc import Iterator
from typing import Any

from nst_kernel.params.rules import Problem

SMALLEST, LARGEST = 1.1754943508222875e-38, 3.4028234663852886e38
"""The least and the largest positive number that a 32-bit float holds to all its digits."""

MAX_ADAM_RATE = 1.0
"""The range of pixel values: each step of Adam moves every pixel by about its learning rate."""

MAX_FRAMES = 500
"""Pictures on the way that a transfer keeps at most: each is as large as a result."""

_TERMS = ("content_weight", "style_weight", "tv_weight", "range_weight", "laplacian_weight", "learning_rate")
_BY_LAYER = (("layer_weights", "style_layers"), ("content_layer_weights", "content_layers"))


def contradictions(params: Any) -> list[Problem]:
    """Return every contradiction between the values of `StyleParams`."""
    return [
        *_of_layers(params),
        *_of_iterations(params),
        *_of_weights(params),
        *_of_colours(params),
        *_of_masks(params),
        *_of_frames(params),
        *_beyond_fp32(params),
    ]


def _of_layers(params: Any) -> Iterator[Problem]:
    """Yield what is wrong with weights of layers, and layers that are missing."""
    for weights, layers in _BY_LAYER:
        given, needed = getattr(params, weights), getattr(params, layers)
        if given and len(given) != len(needed):
            yield Problem(weights, given, f"{len(needed)} numbers, one for each of {', '.join(needed)}")
        elif given and not any(given):
            yield Problem(weights, given, "at least one number above 0")
    if params.style_blend_weights and not any(params.style_blend_weights):
        yield Problem("style_blend_weights", params.style_blend_weights, "at least one number above 0")
    for weight, layers in (("content_weight", "content_layers"), ("style_weight", "style_layers")):
        if getattr(params, weight) > 0 and not getattr(params, layers):
            yield Problem(layers, (), f"at least one layer, since {weight} is not 0")


def _of_iterations(params: Any) -> Iterator[Problem]:
    """Yield what is wrong with the number of iterations, and with the steps that they make."""
    count = len(params.scales) + 1
    if params.scales == "sqrt2":
        if len(params.iterations) > 2:
            expected = "one number, or 2: one for the first of scales sqrt2 and one for each after it"
            yield Problem("iterations", params.iterations, expected)
    elif len(params.iterations) not in (1, count):
        expected = f"one number, or {count}: one for each of scales {params.scales} and the output"
        yield Problem("iterations", params.iterations, expected)
    if params.optimizer == "adam" and (params.learning_rate or 0) > MAX_ADAM_RATE:
        expected = "at most 1 for Adam, whose steps move every pixel by about as much, and pixels are in [0, 1]"
        yield Problem(
            "learning_rate", params.learning_rate, f"{expected}; 10 where pixels are in [0, 255] is 0.04 here"
        )
    if params.clamp and params.optimizer != "adam":
        expected = "false with optimizer=lbfgs, which learns from steps as it made them; set optimizer=adam, or "
        yield Problem("clamp", True, f"{expected}range_weight in the place of clamp")
    if params.averaging > 0 and params.optimizer != "adam":
        expected = f"0 with optimizer={params.optimizer}, whose late steps hardly differ and whose best iterate is the"
        yield Problem("averaging", params.averaging, f"{expected} result; set optimizer=adam to average its iterates")


def _of_weights(params: Any) -> Iterator[Problem]:
    """Yield a problem where nothing is asked of the picture."""
    if params.content_weight == 0 and params.style_weight == 0:
        yield Problem("style_weight", 0.0, "content_weight or style_weight above 0")


def _of_colours(params: Any) -> Iterator[Problem]:
    """Yield what is wrong with colours that are to be kept, and with those that are to be taken from styles."""
    preserved, taken = params.preserve_color, params.style_color
    if preserved != "none" and taken != "none":
        expected = f"none with preserve_color={preserved}, which keeps the content's colours; or preserve_color=none"
        yield Problem("style_color", taken, expected)
    elif preserved == "luminance" and params.init == "style":
        expected = (
            "content, noise or grey with preserve_color=luminance: the result has the colours of the content and "
        )
        yield Problem("init", "style", f"{expected}light alone, of which a style in colour gives a start that is grey")
    elif preserved in ("match", "transport") and not params.needs_style:
        expected = "none or luminance, since no style takes part whose colours could change; or style_weight above 0"
        yield Problem("preserve_color", preserved, expected)
    elif taken != "none" and params.content_weight == params.laplacian_weight == 0 and params.init != "content":
        expected = "none, since the content takes no part; or content_weight above 0, or init=content"
        yield Problem("style_color", taken, expected)


def _of_masks(params: Any) -> Iterator[Problem]:
    """Yield what is wrong where there are masks of the one side alone, or no style for them."""
    if params.style_mask and not params.content_mask:
        yield Problem("style_mask", params.style_mask, "nothing without content_mask: it says where its regions are")
    if params.content_mask and params.style_weight == 0:
        yield Problem("content_mask", params.content_mask, "nothing with style_weight=0: regions say where styles are")


def _of_frames(params: Any) -> Iterator[Problem]:
    """Yield what is wrong with pictures on the way."""
    if not params.save_every:
        if params.animation != "none":
            expected = "none with save_every=0: it shows the pictures on the way; or save_every above 0"
            yield Problem("animation", params.animation, expected)
        return
    evaluations = sum(count for _, count in params.schedule(params.size))
    if evaluations > MAX_FRAMES * params.save_every:
        least = -(-evaluations // MAX_FRAMES)
        expected = (
            f"at least {least}, since a row of {evaluations:,} evaluations keeps {MAX_FRAMES} pictures on the way"
        )
        yield Problem("save_every", params.save_every, f"{expected} at most; or 0")


def _beyond_fp32(params: Any) -> Iterator[Problem]:
    """Yield numbers that would be infinite or lose digits in the 32-bit floats that losses are computed in."""
    for name in (*_TERMS, *(weights for weights, _ in _BY_LAYER)):
        value = getattr(params, name)
        members = value if isinstance(value, tuple) else (value or 0.0,)
        if any(member and not SMALLEST <= member <= LARGEST for member in members):
            yield Problem(name, value, "0, or numbers from 1.2e-38 to 3.4e+38, which 32-bit floats hold")
