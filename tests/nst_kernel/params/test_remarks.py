"""Valid parameters that may not give what is expected of them."""

from typing import Any

import pytest

from nst_kernel.params import PRESETS, StyleParams, remarks_on

PRINTED = f"preset=gatys2015: {PRESETS['gatys2015'].remark}"


@pytest.mark.parametrize(
    ("parameters", "remark"),
    [
        ({}, ""),
        ({"alpha": 5}, ""),
        ({"preset": "texture", "beta": 5}, ""),
        ({"preset": "reconstruction", "alpha": 5}, ""),
        ({"preset": "gatys2015"}, PRINTED),
        ({"preset": "gatys2015", "alpha": 1, "beta": 1000}, PRINTED),
        ({"preset": "gatys2015", "size": 64, "alpha": 5, "beta": 1e7}, ""),
        ({"preset": "gatys2015", "beta": 0}, ""),
        ({"preset": "gatys2015", "alpha": 5}, "content_weight=5 changes one of two weights, style_weight stays 1000"),
        ({"preset": "gatys2015", "beta": 1e7}, "style_weight=1e+07 changes one of two weights, content_weight stays 1"),
    ],
)
def test_a_preset_that_weighs_content_against_style(parameters: dict[str, Any], remark: str) -> None:
    remarks = remarks_on([StyleParams.of(parameters)])
    assert len(remarks) == (remark != "")
    assert remark in "".join(remarks)


def test_remarks_come_once_each() -> None:
    gatys = [StyleParams.of({"preset": "gatys2015", "seed": k, "alpha": 1 + k % 2}) for k in range(6)]
    first, second = remarks_on([StyleParams(), *gatys])
    assert first == PRINTED
    assert "content_weight=2" in second
    assert remarks_on(iter(())) == ()
