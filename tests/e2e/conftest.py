"""A folder of pictures and manifests for each."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pipeline.flow.run import run
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.progress import Progress
from pipeline.outputs.table import read_results
from tests.bench.stub import StubKernel
from tests.support import draw
from tests.support.without_ray import without_ray

ROWS: list[dict[str, object]] = [
    {"id": "one", "content": "photo.png", "style": "painting.png"},
    {"id": "two", "content": "photo.png", "style": "other.webp", "style_weight": 3.0},
    {"id": "three", "content": "tall.jpg", "style": "painting.png", "output": "deep/er/three.jpg", "seed": 7},
]

QUICK: dict[str, object] = {"size": 48, "iterations": 6, "scales": ""}


def as_csv(rows: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return "\n".join([",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]) + "\n"


def as_jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@dataclass(frozen=True)
class Studio:
    """A folder with pictures, and runs of its manifests into `output`."""

    folder: Path
    name: str = "output"

    @property
    def output(self) -> str:
        return str(self.folder / self.name)

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
        defaults = options.pop("defaults", QUICK)
        run_arguments = {"kernel": options.pop("kernel")} if "kernel" in options else {}
        how = RunOptions(**{"output": self.output, "resources": Resources(num_actors=1), **options})
        return run(manifest, how, defaults=defaults, **run_arguments)

    def results(self) -> dict[str, dict[str, Any]]:
        """By id."""
        table: pa.Table = read_results(self.output)
        return {row["id"]: row for row in table.to_pylist()}


def furnish(folder: Path) -> Studio:
    studio = Studio(folder)
    studio.picture("photo.png", 1)
    studio.picture("tall.jpg", 2, height=64, width=48)
    studio.picture("painting.png", 3, height=80, width=60)
    studio.picture("other.webp", 4, height=50, width=50)
    return studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return furnish(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Studio:
    """A studio whose manifest of `ROWS` was run on Ray; only to be looked at."""
    studio = furnish(tmp_path_factory.mktemp("finished"))
    studio.run(studio.write("rows.csv", as_csv(ROWS)))
    return studio


@pytest.fixture(scope="session")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio whose manifest of `ROWS` was run without Ray, by a stub in the place of the kernel; to be looked at."""
    studio = furnish(tmp_path_factory.mktemp("stubbed"))
    with without_ray():
        studio.run(studio.write("rows.csv", as_csv(ROWS)), kernel=StubKernel)
    return studio


@pytest.fixture
def resumed(stubbed: Studio, tmp_path: Path) -> Studio:
    """The studio of `stubbed` with a copy of its output, for runs that go on from it and leave its pictures alone."""
    studio = Studio(stubbed.folder, tmp_path.name)
    shutil.copytree(stubbed.output, studio.output)
    return studio
