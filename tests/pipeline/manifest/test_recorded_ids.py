"""Ids that earlier versions derived, which name users' rows and pictures."""

import dataclasses
import json
from typing import Any

import pytest

from nst_kernel.params import PARAMETERS, StyleParams
from pipeline.manifest import derive_id
from tests.support import REPOSITORY

RECORDED = REPOSITORY / "tests" / "nst_kernel" / "params" / "recorded.json"
ACCEPTED: list[dict[str, Any]] = json.loads(RECORDED.read_text("utf-8"))["accepted"]


@pytest.mark.parametrize("place", range(len(ACCEPTED)))
def test_ids_are_those_of_earlier_versions(place: int) -> None:
    entry = ACCEPTED[place]
    params = StyleParams.of(entry["values"], defaults=entry["defaults"])
    style = None if place % 3 else "s3://b/s é.png"
    assert derive_id("s3://b/c.jpg", style, params, "0f" * 32) == entry["id"]
    assert derive_id("c.jpg", "s.png", params.reseeded(place), "e" * 64) == entry["reseeded"]


@pytest.mark.parametrize("name", [name for name, each in PARAMETERS.items() if each.later])
def test_a_parameter_that_came_later_is_left_out_of_ids_at_its_default(name: str) -> None:
    """And is in the JSON of results if it is not, so that the pictures of earlier requests stay done."""
    default = StyleParams()
    other = dataclasses.replace(default, **OTHER[name])
    assert name not in default.to_json()
    assert other.to_json()[name] == other.all_values()[name] != default.all_values()[name]
    ids = {derive_id("c.jpg", "s.png", params, "e" * 64) for params in (default, other)}
    assert len(ids) == 1 + PARAMETERS[name].decides
    assert StyleParams.of(other.to_json()) == other


OTHER: dict[str, dict[str, Any]] = {
    "animation": {"animation": "gif", "save_every": 10},
    "save_every": {"save_every": 10},
    "adam_beta2": {"adam_beta2": 0.99},
    "averaging": {"averaging": 0.9, "optimizer": "adam"},
    "clamp": {"clamp": True, "optimizer": "adam"},
    "content_mask": {"content_mask": "m.png"},
    "init_noise": {"init_noise": 0.5},
    "laplacian_pools": {"laplacian_pools": (2,)},
    "laplacian_weight": {"laplacian_weight": 1.0},
    "mask_mode": {"mask_mode": "inside"},
    "min_scale": {"min_scale": 64},
    "preserve_color": {"preserve_color": "match"},
    "statistics": {"statistics": "w2"},
    "style_blend_weights": {"style_blend_weights": (0.5, 2.0)},
    "style_color": {"style_color": "transport"},
    "style_mask": {"style_mask": "m.png", "content_mask": "m.png"},
    "style_scale": {"style_scale": (2.0,)},
    "style_upscale": {"style_upscale": True},
    "tileable": {"tileable": True},
    "transparency": {"transparency": "keep"},
    "tv_form": {"tv_form": "sum"},
}
"""Values that are no defaults."""
