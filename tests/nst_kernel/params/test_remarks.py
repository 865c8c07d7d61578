"""Valid parameters that may not give what is expected of them."""

import dataclasses
from typing import Any

import pytest
import torch

from nst_kernel.encoder import Weights
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


@pytest.mark.parametrize(
    ("parameters", "encoder", "remark"),
    [
        ({"preset": "johnson"}, "", ""),
        ({"preset": "johnson"}, "caffe", ""),
        ({"preset": "tutorial"}, "torchvision", ""),
        (
            {"preset": "johnson"},
            "embedded",
            "original VGG-19 of Caffe (BGR from 0 to 255, not normalised), and the encoder",
        ),
        ({"preset": "johnson"}, "normalised", "and the encoder is one that was normalised"),
        ({"preset": "johnson"}, "torchvision", "and the encoder is one of normalised RGB"),
        ({"preset": "tutorial"}, "caffe", "torchvision's VGG-19 (normalised RGB), and the encoder is one of BGR"),
        ({"preset": "tutorial"}, "embedded", "and the encoder is the embedded one"),
        ({"preset": "tutorial", "alpha": 2, "beta": 5}, "embedded", ""),
        ({"preset": "tutorial", "alpha": 1e6, "beta": 1}, "embedded", ""),
        ({}, "embedded", ""),
    ],
)
def test_weights_that_hold_for_another_network(parameters: dict[str, Any], encoder: str, remark: str) -> None:
    remarks = remarks_on([StyleParams.of(parameters)], encoder)
    assert len(remarks) == (remark != "")
    assert remark in "".join(remarks)


def test_the_kind_of_weights_is_told_by_name_and_input() -> None:
    plain = Weights("imagenet", "", {})
    kinds = [
        plain.kind,
        dataclasses.replace(plain, name="embedded").kind,
        *(
            dataclasses.replace(
                plain, input="bgr255", convolutions={"conv1_1": (torch.tensor(size), torch.zeros(1))}
            ).kind
            for size in (0.2, 0.012)
        ),
    ]
    assert kinds == ["torchvision", "embedded", "caffe", "normalised"]
