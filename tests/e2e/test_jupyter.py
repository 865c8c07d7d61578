"""The notebooks of the examples in a real Jupyter kernel: what each cell shows, and that nothing stands in red."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import REPOSITORY, draw

EXAMPLES = REPOSITORY / "jobs" / "examples"
PICTURES = ("photos/lake.jpg", "photos/town.jpg", "styles/night.png", "styles/harvest.png")

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.ipynb")))
def test_a_notebook_runs_in_jupyter(name: str, tmp_path: Path) -> None:
    for number, picture in enumerate(PICTURES):
        (tmp_path / picture).parent.mkdir(exist_ok=True)
        Image.fromarray(draw(number, 48, 64)).save(tmp_path / picture)
    for file in EXAMPLES.iterdir():
        shutil.copy(file, tmp_path)
    words = ["-m", "nbconvert", "--execute", "--to", "notebook", "--output", "executed", f"{name}.ipynb"]
    subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "IPYTHONDIR": str(tmp_path / "ipython")},
        check=True,
        capture_output=True,
        timeout=1500,
    )
    cells: list[dict[str, Any]] = json.loads((tmp_path / "executed.ipynb").read_text("utf-8"))["cells"]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        red = [each for each in cell["outputs"] if each.get("name") == "stderr" or each["output_type"] == "error"]
        assert not red, red
        if "".join(cell["source"]).rstrip().split("\n")[-1].isidentifier():
            assert any("text/html" in each.get("data", {}) for each in cell["outputs"]), cell
    assert list((tmp_path / "output").rglob("*.parquet"))
