"""Presets as values of parameters; what they compute is held against their sources in `objective/test_presets.py`."""

import json

import pytest

from nst_kernel import PARAMETERS, PRESETS, StyleParams


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_good_and_have_a_source(preset: str) -> None:
    params = StyleParams.of({"preset": preset})
    assert PRESETS[preset].source
    assert params.preset == preset
    assert params == StyleParams(preset=preset)
    assert set(PRESETS[preset].values) <= set(PARAMETERS) - {"preset"}


def test_gatys_2015_is_what_the_paper_says() -> None:
    params = StyleParams.of({"preset": "gatys2015"})
    assert (params.objective, params.pooling, params.init) == ("paper", "avg", "noise")
    assert params.content_layers == ("conv4_2",)
    assert params.style_layers == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert params.layer_weights in ((), (0.2,) * 5)
    assert params.content_weight / params.style_weight in (1e-3, 1e-4)
    assert (params.tv_weight, params.range_weight) == (0, 0)
    assert (params.precision, params.iterations) == ("fp32", (500,))
    assert StyleParams.of({"preset": "texture"}).content_weight == 0
    assert StyleParams.of({"preset": "reconstruction"}).style_weight == 0


def test_a_default_that_replaces_a_presets_value_is_written() -> None:
    """Or whoever reads it would take the preset's."""
    params = StyleParams(preset="crowsonkb", averaging=0, statistics="gram", clamp=False)
    assert StyleParams.of(json.loads(json.dumps(params.to_json()))) == params
    assert {"averaging", "statistics", "clamp"} <= params.to_json().keys()
    assert not {"averaging", "statistics", "clamp"} & StyleParams().to_json().keys()


def test_the_default_ends_by_itself_and_what_others_published_does_not() -> None:
    ends = {name for name in PRESETS if StyleParams.of({"preset": name}).min_improvement > 0}
    assert ends == {"default"}
