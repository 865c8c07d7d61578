"""The plan of a large run lies in its output while it is computed, and is what the next run begins with."""

import json
import weakref
from collections.abc import Generator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import layout
from pipeline.manifest import Manifest
from pipeline.options import Resources, RunOptions
from pipeline.planning import validated
from tests.bench.stub import StubKernel
from tests.support import draw
from tests.support.without_ray import flow

Outcomes = Generator[Mapping[str, Any]]


def test_a_large_plan_lies_in_the_output_and_not_in_memory(
    tmp_path: Path, without_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        ("planning.kept", "WORTH_KEEPING", 0),
        ("manifest.origin", "WORTH_KEEPING", 0),
        ("planning.kept", "ROWS_OF_A_FILE", 2),
        ("process.garbage", "MUCH", -1),
    ):
        monkeypatch.setattr(import_module(f"pipeline.{module}"), name, value)
    for number, name in enumerate(("a", "s")):
        Image.fromarray(draw(number, 32, 32)).save(tmp_path / f"{name}.png")
    output, manifest = str(tmp_path / "out"), tmp_path / "rows.csv"
    manifest.write_text("content,style,size,seed\n" + "".join(f"a.png,s.png,32,{seed}\n" for seed in range(5)))
    flow_run, held = import_module("pipeline.flow.run"), list[weakref.ref[Any]]()

    def noting(*arguments: Any, **named: Any) -> Manifest:
        valid = validated(*arguments, **named)
        held.append(weakref.ref(valid.rows))
        return valid

    def way(*arguments: Any, **named: Any) -> Outcomes:
        assert [rows() for rows in held] == [None]
        return flow(*arguments, **named)

    monkeypatch.setattr(flow_run, "validated", noting)
    monkeypatch.setattr(flow_run, "flow", way)
    how = RunOptions(output=output, resources=Resources(batch_size=1))
    assert flow_run.run(str(manifest), how, kernel=StubKernel).counts == {"ok": 5}
    index = json.loads(Path(layout.plan_index(output)).read_text())
    assert index["batches"] == [2, 2, 1]
    held.clear()
    monkeypatch.setattr(flow_run, "flow", lambda *_, **__: pytest.fail("all is done"))
    assert flow_run.run(str(manifest), how, kernel=StubKernel).done_before == 5
