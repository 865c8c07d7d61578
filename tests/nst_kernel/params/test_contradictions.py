"""Values of parameters that contradict each other, and ones that do not."""

from typing import Any

import pytest

from nst_kernel import ParamError, StyleParams


@pytest.mark.parametrize(
    ("request_", "name", "expected"),
    [
        ({"style_layers": "conv1_1, conv2_1", "layer_weights": "1"}, "layer_weights", "2 numbers"),
        ({"content_layers": "conv1_1", "content_layer_weights": "1, 2"}, "content_layer_weights", "1 numbers"),
        ({"style_layers": ()}, "style_layers", "at least one layer, since style_weight is not 0"),
        ({"content_layers": ""}, "content_layers", "at least one layer, since content_weight is not 0"),
        ({"alpha": 0, "beta": 0}, "style_weight", "content_weight or style_weight above 0"),
        ({"preset": "texture", "beta": 0}, "style_weight", "content_weight or style_weight above 0"),
        ({"layer_weights": "0, 0, 0, 0"}, "layer_weights", "at least one number above 0"),
        ({"content_layer_weights": 0}, "content_layer_weights", "at least one number above 0"),
        ({"averaging": 0.9}, "averaging", "0 with optimizer=lbfgs, whose late steps hardly differ"),
        ({"optimizer": "adam", "learning_rate": 10}, "learning_rate", "at most 1 for Adam, whose steps move"),
        ({"preserve_color": "match", "style_color": "match"}, "style_color", "none with preserve_color=match"),
        ({"preserve_color": "transport", "beta": 0}, "preserve_color", "none or luminance, since no style takes part"),
        (
            {"preserve_color": "luminance", "init": "style"},
            "init",
            "content, noise or grey with preserve_color=luminance",
        ),
        ({"style_color": "match", "preset": "texture"}, "style_color", "none, since the content takes no part"),
        ({"clamp": True}, "clamp", "false with optimizer=lbfgs, which learns from steps as it made them"),
        ({"alpha": 1e39}, "content_weight", "0, or numbers from 1.2e-38 to 3.4e+38, which 32-bit floats hold"),
        ({"beta": "1e-45"}, "style_weight", "0, or numbers from 1.2e-38"),
        ({"tv_weight": 1e300}, "tv_weight", "0, or numbers from 1.2e-38"),
        ({"range_weight": 3.5e38}, "range_weight", "0, or numbers from 1.2e-38"),
        ({"layer_weights": "1, 1, 1e40, 1"}, "layer_weights", "0, or numbers from 1.2e-38"),
        ({"content_layer_weights": 1e-40}, "content_layer_weights", "0, or numbers from 1.2e-38"),
        ({"learning_rate": 1e39}, "learning_rate", "0, or numbers from 1.2e-38"),
    ],
)
def test_contradictions(request_: dict[str, Any], name: str, expected: str) -> None:
    with pytest.raises(ParamError) as error:
        StyleParams.of(request_)
    (problem,) = error.value.problems
    assert problem.name == name
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(
    "parameters",
    [
        {"layer_weights": "0, 0, 0, 1", "content_layer_weights": 1e-30},
        {"optimizer": "adam", "learning_rate": 1},
        {"optimizer": "lbfgs", "learning_rate": 10},
        {"alpha": 3.4028234e38, "beta": 0, "tv_weight": 1.2e-38},
    ],
)
def test_values_at_the_edge_of_what_can_be_used(parameters: dict[str, Any]) -> None:
    assert StyleParams.of(StyleParams.of(parameters).to_json()) == StyleParams.of(parameters)
