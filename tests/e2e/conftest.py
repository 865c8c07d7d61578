"""A folder of pictures and manifests for each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pipeline.results import read_results
from pipeline.run import Progress, run
from tests.support import draw

QUICK: dict[str, object] = {"size": 48, "iterations": 6, "scales": ""}


@dataclass(frozen=True)
class Studio:
    """A folder with pictures, and runs of its manifests into `output`."""

    folder: Path

    @property
    def output(self) -> str:
        return str(self.folder / "output")

    def picture(self, name: str, seed: int, *, height: int = 48, width: int = 64) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(seed, height, width)).save(path)
        return name

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def run(self, manifest: str, **options: Any) -> Progress:
        given = {"defaults": QUICK, **options}
        return run(manifest, output=self.output, **given)

    def results(self) -> dict[str, dict[str, Any]]:
        """By id."""
        table: pa.Table = read_results(self.output)
        return {row["id"]: row for row in table.to_pylist()}


@pytest.fixture
def studio(tmp_path: Path, local_ray: None) -> Studio:
    studio = Studio(tmp_path)
    studio.picture("photo.png", 1)
    studio.picture("tall.jpg", 2, height=64, width=48)
    studio.picture("painting.png", 3, height=80, width=60)
    studio.picture("other.webp", 4, height=50, width=50)
    return studio
