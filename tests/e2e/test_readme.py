"""The Python of all Markdown files, as it stands there but for its iterations, which are few."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import images
from tests.e2e.conftest import Studio
from tests.support import REPOSITORY, draw
from tests.test_structure import files

EXAMPLES = {
    str(file.relative_to(REPOSITORY)): blocks
    for file in files()
    if file.suffix == ".md"
    and (blocks := re.findall(r"^ *```python\n(.*?)^ *```$", file.read_text("utf-8"), re.M | re.S))
}
"""Blocks of Python of each Markdown file, in order."""


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("file", EXAMPLES)
def test_the_readmes_python_runs(file: str, stubbed: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block after the other, in a folder with the files that they speak of."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw(1, 32, 48)).save("photo.jpg")
    Image.fromarray(draw(2, 40, 40)).save("painting.jpg")
    for output in ("out", "monday", "tuesday"):
        shutil.copytree(stubbed.output, output)
    names: dict[str, Any] = {}
    for block in EXAMPLES[file]:
        block = block.replace("(size=384", "(size=384, iterations=3").replace('"iterations": 60', '"iterations": 3')
        exec(compile(block, file, "exec"), names)
    for name in re.findall(r'save\("(\w+\.png)"\)', "".join(EXAMPLES[file])):
        assert images.decode(Path(name).read_bytes()).shape == (32, 48, 3)
    if "found" in names:
        assert len(names["found"].filter("ok", content="photo.jpg")) == 2


def test_readmes_with_python_are_found() -> None:
    assert {"README.md", "nst_kernel/README.md", "pipeline/notebook/README.md"} <= EXAMPLES.keys()
