"""Remarks on parameters that are valid and yet may not give what whoever chose them expects."""

from collections.abc import Iterable

from nst_kernel.params.presets import PRESETS, PresetWeights
from nst_kernel.params.style_params import StyleParams

_WEIGHTS = ("content_weight", "style_weight")

_WEIGHED = {
    name: tuple(float(str(preset.values[weight])) for weight in _WEIGHTS)
    for name, preset in PRESETS.items()
    if all(preset.values.get(weight) for weight in _WEIGHTS)
}
"""Weights of content and style of the presets that have both."""

_NETWORKS: dict[PresetWeights, str] = {
    "caffe": "the original VGG-19 of Caffe (BGR from 0 to 255, not normalised)",
    "torchvision": "torchvision's VGG-19 (normalised RGB)",
}
"""Weights in words, by their kind."""

_ENCODERS = {
    "caffe": "one of BGR from 0 to 255",
    "torchvision": "one of normalised RGB",
    "normalised": "one that was normalised",
    "embedded": "the embedded one",
}
"""Encoders in words, by the kind of their weights."""


def remarks_on(many: Iterable[StyleParams], encoder: str = "") -> tuple[str, ...]:
    """Return the remarks on the parameters of many samples, each remark once, in the order of their first occurrence.

    They are about presets that weigh content against style: what the weights of a preset give, that one of them stays
    as it was where only the other is changed, and that they hold for another network than the encoder is.

    Args:
        many: parameters.
        encoder: kind of the encoder's weights (`encoder.Weights.kind`); empty: not known, and nothing is said of it.
    """
    kinds = dict.fromkeys((p.preset, p.content_weight, p.style_weight) for p in many if p.preset in _WEIGHED)
    remarks = [
        remark
        for preset, content, style in kinds
        for remark in (_remark(preset, (content, style)), _of_encoder(preset, (content, style), encoder))
    ]
    return tuple(dict.fromkeys(remark for remark in remarks if remark))


def _remark(preset: str, given: tuple[float, float]) -> str:
    """Return the remark on the weights of content and style that samples of a preset have; empty for none."""
    usual = _WEIGHED[preset]
    if given == usual:
        return f"preset={preset}: {PRESETS[preset].remark}" if PRESETS[preset].remark else ""
    changed = [value != own for value, own in zip(given, usual, strict=True)]
    if all(changed) or 0 in given:
        return ""
    other, kept = (_WEIGHTS[changed.index(side)] for side in (True, False))
    values = dict(zip(_WEIGHTS, given, strict=True))
    return (
        f"preset={preset}: {other}={values[other]:g} changes one of two weights, {kept} stays {values[kept]:g}, "
        f"as the preset has it. What counts is their ratio: set both"
    )


def _of_encoder(preset: str, given: tuple[float, float], encoder: str) -> str:
    """Return the remark on weights of a preset that hold for another network; empty for none."""
    weights = PRESETS[preset].weights
    kept = any(value == own for value, own in zip(given, _WEIGHED[preset], strict=True))
    if not encoder or weights in ("", encoder) or not kept:
        return ""
    return (
        f"preset={preset}: its weights hold for {_NETWORKS[weights]}, and the encoder is "
        f"{_ENCODERS[encoder]}: content, style and smoothness balance otherwise. Set "
        "content_weight, style_weight and tv_weight by looking at a few pictures"
    )
