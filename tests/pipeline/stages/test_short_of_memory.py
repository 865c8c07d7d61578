"""A GPU that is short of memory for real: a batch is halved, and a row saves memory, until they fit."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from nst_kernel import StyleParams, StylizeResult
from pipeline.manifest.row import Row
from pipeline.planning.batch import Batch
from pipeline.planning.plan import plan
from pipeline.stages.fetch import fetch
from pipeline.stages.optimise import StyleActor
from tests.support import draw

SIDE = 1024


@pytest.fixture
def all_memory() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("all_memory")
def test_what_does_not_fit_on_a_gpu_is_tried_smaller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    params = StyleParams(precision="fp32", size=SIDE, iterations=(6,), scales=())
    for name, seed in (("a.png", 1), ("b.png", 2), ("s.png", 3)):
        Image.fromarray(draw(seed, SIDE, SIDE)).save(tmp_path / name)
    asked = [
        Row(name, str(tmp_path / name), str(tmp_path / "s.png"), f"out-{name}", params, "rows.csv", n)
        for n, name in enumerate(("a.png", "b.png"))
    ]
    planned = [row for batch in plan(asked, encoder_sha256="e").batches for row in batch.rows]
    actor = StyleActor("embedded")

    together = fetch(Batch(tuple(planned)))
    expected = actor(together).outcomes
    room = torch.cuda.max_memory_reserved()
    with caplog.at_level(logging.WARNING):
        while "with less memory (checkpoint)" not in caplog.text:
            # What torch keeps for later does not show what is needed, and so the memory shrinks step by step.
            room = int(0.9 * room)
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
            for outcome, before in zip(actor(together).outcomes, expected, strict=True):
                assert isinstance(outcome, StylizeResult)
                assert isinstance(before, StylizeResult)
                assert outcome.losses["total"] == pytest.approx(before.losses["total"], rel=0.1)
    assert "batch of 2" in caplog.text
