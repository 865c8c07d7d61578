"""How long actors wait in a run: decoding, encoding and writing should be done while they compute."""

import tempfile
from pathlib import Path

import pyarrow.compute as pc
from PIL import Image

from jobs.pictures import CONTENTS, STYLES, draw
from pipeline.flow.run import run
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.table import read_results


def idle_share(*, rows: int = 16, size: int = 256, iterations: int = 20) -> dict[str, float]:
    """Seconds that a single actor waited over those it computed, its first batch apart, which waits for the start."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        lines = ["id,content,style"]
        for number in range(rows):
            for kind, names in (("content", CONTENTS), ("style", STYLES)):
                picture = draw(names[number % len(names)], 2 * size, number)
                Image.fromarray(picture).save(here / f"{kind}{number}.jpg")
            lines.append(f"{number},content{number}.jpg,style{number}.jpg")
        (here / "rows.csv").write_text("\n".join(lines))
        parameters = {"size": size, "iterations": iterations, "scales": ()}
        options = RunOptions(output=str(here / "out"), resources=Resources(num_actors=1))
        run(str(here / "rows.csv"), options, defaults=parameters)
        table = read_results(str(here / "out")).sort_by("started_at")
    busy = pc.struct_field(table["seconds"], "optimise")
    first = pc.equal(table["started_at"], pc.min(table["started_at"]))
    later = table.filter(pc.invert(first))
    spent = sum(pc.struct_field(later["seconds"], "optimise").to_pylist())
    waited = sum(later["idle_seconds"].to_pylist())
    return {"rows": len(busy), "busy_seconds": spent, "idle_seconds": waited, "share": waited / spent}
