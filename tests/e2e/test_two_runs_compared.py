"""Two runs of one table, the second with another default: real pictures, from a notebook's functions."""

import math
from importlib import import_module

import pytest
from PIL import Image

from pipeline.comparison.compare import compare
from pipeline.notebook.api import results, run
from tests.e2e.conftest import QUICK, Studio

pd = import_module("pandas")  # it brings no types


@pytest.mark.slow
def test_a_changed_default_changes_every_id_and_is_found(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(studio.folder)
    pairs = pd.DataFrame({"content": ["photo.png", "tall.jpg"], "style": "painting.png"})
    monday = run(pairs, "monday", defaults=QUICK, num_actors=1)
    assert (monday.counts, monday.progress.done_before) == ({"ok": 2}, 0)
    tuesday = run(pairs, "tuesday", defaults={**QUICK, "style_weight": 40}, num_actors=1)
    found = monday.results()
    assert {row["id"] for row in found}.isdisjoint(row["id"] for row in tuesday.results())
    assert len(found.filter("ok", style_weight=1)) == 2
    assert isinstance(found.filter(content="photo.png")[0].image, Image.Image)
    assert found[0].curve["total"][-1] > 0

    comparison = compare(monday.output, tuesday.output)
    assert comparison.settings == {"style_weight": (1.0, 40.0)}
    assert (comparison.only_before, comparison.only_after) == ([], [])
    names = [f"{studio.folder}/{name}" for name in ("photo.png", "tall.jpg")]
    assert sorted(change.key["content"] for change in comparison.changes) == names
    for change in comparison.changes:
        assert change.before["content"] == change.after["content"] == change.key["content"]
        assert change.loss_ratio is None
        assert change.notes == ["losses mean different things: style_weight changed"]
        assert change.psnr is not None
        assert change.ssim is not None
        assert math.isfinite(change.psnr)
        assert change.ssim < 1

    again = run(pairs, "monday", defaults=QUICK, num_actors=1)
    assert (again.counts, again.progress.done_before) == ({}, 2)
    assert len(results("monday")) == 2
