"""What the driver of a run loads: torch takes seconds and hundreds of megabytes, and only actors need it."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.support import REPOSITORY, draw

DRIVER = """
import importlib, json, sys
from pipeline.cluster import ActorPool
from pipeline.cluster.nodes import Node
from pipeline.options import RunOptions
from pipeline.stages import fetch
from tests.bench.stub import StubKernel

def flow(work, options, writer, pool, notes, *, kernel):
    compute = kernel("")
    for batch in work:
        yield from writer(compute(fetch(batch, limits=options.decoding)))

module = importlib.import_module("pipeline.flow.run")
module.flow, module._pool = flow, lambda resources: ActorPool.on([Node(2, 0, 8e9)])
progress = module.run(sys.argv[1], RunOptions(output=sys.argv[2]), defaults={"size": 32}, kernel=StubKernel)
print(json.dumps([progress.counts, sorted({"torch", "torchvision"} & sys.modules.keys())]))
"""
"""A whole run, but for the processes that Ray starts."""


def test_the_driver_of_a_run_loads_no_torch(tmp_path: Path) -> None:
    for name in ("content", "style"):
        Image.fromarray(draw(1, 32, 32)).save(tmp_path / f"{name}.png")
    (tmp_path / "rows.csv").write_text("content,style\ncontent.png,style.png\n")
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "rows.csv"), str(tmp_path / "out")]
    said = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    assert json.loads(said.splitlines()[-1]) == [{"ok": 1}, []]
