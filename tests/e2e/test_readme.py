"""The Python of the READMEs, as it stands there but for its iterations, which are few."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import images
from tests.e2e.conftest import Studio
from tests.support import REPOSITORY, draw


@pytest.mark.usefixtures("without_ray")
def test_the_readmes_python_runs(stubbed: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block after the other, in a folder with the files that they speak of."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw(1, 32, 48)).save("photo.jpg")
    Image.fromarray(draw(2, 40, 40)).save("painting.jpg")
    for output in ("out", "monday", "tuesday"):
        shutil.copytree(stubbed.output, output)
    texts = [(REPOSITORY / name).read_text("utf-8") for name in ("README.md", "pipeline/notebook/README.md")]
    blocks = [block for text in texts for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)]
    assert len(blocks) >= 5
    names: dict[str, Any] = {}
    for block in blocks:
        block = block.replace("(size=384", "(size=384, iterations=3").replace('"iterations": 60', '"iterations": 3')
        exec(compile(block, "README.md", "exec"), names)
    assert images.decode(Path("out.png").read_bytes()).shape == (32, 48, 3)
    assert images.decode(Path("strong.png").read_bytes()).shape == (32, 48, 3)
    assert len(names["found"].filter("ok", content="photo.jpg")) == 2
