"""The notebooks of the examples run from top to bottom, with pictures in the place of a reader's own."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.bench.stub import StubKernel
from tests.support import REPOSITORY, draw
from tests.support.without_ray import flow

EXAMPLES = REPOSITORY / "jobs" / "examples"


@pytest.fixture
def desk(tmp_path: Path, without_ray: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the notebooks name; nothing is computed in it."""

    def stubbed(*words: Any, kernel: Any) -> Any:
        del kernel
        return flow(*words, kernel=StubKernel)

    monkeypatch.setattr(import_module("pipeline.flow.run"), "flow", stubbed)
    monkeypatch.setattr(import_module("pipeline.flow.estimate"), "measure_rate", lambda *_, **__: 1e9)
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("photos/lake.jpg", "photos/town.jpg", "styles/night.png", "styles/harvest.png")):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(draw(number, 48, 64)).save(name)
    for file in EXAMPLES.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_a_notebook_runs(name: str, desk: Path) -> None:
    notebook = json.loads((EXAMPLES / name).read_text("utf-8"))
    assert notebook["nbformat"] == 4
    space: dict[str, Any] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        if cell["cell_type"] == "code":
            *statements, last = "".join(cell["source"]).rstrip().split("\n")
            whole = "\n".join([*statements, last])
            exec(compile(whole, name, "exec"), space)
            if last.isidentifier():
                assert "<" in space[last]._repr_html_()
    assert list((desk / "output").rglob("*.parquet"))


def test_there_is_one_for_each_use() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == {path.stem for path in EXAMPLES.glob("*.yaml")}
