"""Ids that earlier versions derived, which name users' rows and pictures."""

import json
from typing import Any

import pytest

from nst_kernel import StyleParams
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
