"""What the operations guide promises of upgrades, rollbacks and lost files, played on the output of a run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.report import write_report
from tests.bench.stub import StubKernel
from tests.e2e.conftest import ROWS, Studio, as_csv

pytestmark = pytest.mark.usefixtures("without_ray")


def run(studio: Studio, **options: object) -> tuple[int, int]:
    """Run the manifest again; return how many rows were computed, and how many were done."""
    progress = studio.run(studio.write("rows.csv", as_csv(ROWS)), kernel=StubKernel, **options)
    return progress.total, progress.done_before


def rewrite(studio: Studio, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change every file of results."""
    for part in Path(studio.output, "results").glob("*.parquet"):
        pq.write_table(change(pq.read_table(part)), part)


def of_version(number: int, table: pa.Table) -> pa.Table:
    """A table that says that it is of another version of the schema."""
    return table.replace_schema_metadata({b"nst_results_version": str(number).encode()})


def pictures(studio: Studio) -> dict[str, bytes]:
    """Names and bytes of the pictures of an output."""
    images = Path(studio.output, "images")
    return {str(file.relative_to(images)): file.read_bytes() for file in images.rglob("*") if file.is_file()}


def test_results_of_the_version_before_are_done_and_stay_readable(resumed: Studio) -> None:
    rewrite(resumed, lambda table: of_version(6, table.drop_columns(["run"])))
    assert run(resumed) == (0, len(ROWS))
    assert {row["status"] for row in resumed.results().values()} == {"ok"}
    assert {row["run"] for row in resumed.results().values()} == {None}


def test_a_version_that_was_rolled_back_reads_newer_results_and_drops_their_columns_when_it_merges(
    resumed: Studio,
) -> None:
    rewrite(resumed, lambda table: of_version(8, table.append_column("taste", pa.array(["fine"] * len(table)))))
    assert run(resumed) == (0, len(ROWS))
    assert run(resumed, overwrite=True) == (len(ROWS), 0)
    (part,) = Path(resumed.output, "results").glob("*.parquet")
    assert "taste" not in pq.read_schema(part).names


def test_a_copy_that_is_put_back_is_done(resumed: Studio, tmp_path: Path) -> None:
    shutil.copytree(resumed.output, tmp_path / "copy")
    shutil.rmtree(resumed.output)
    shutil.copytree(tmp_path / "copy", resumed.output)
    assert run(resumed) == (0, len(ROWS))


def test_a_copy_at_another_place_is_done_there(resumed: Studio) -> None:
    elsewhere = Studio(resumed.folder, f"{resumed.name}-elsewhere")
    shutil.move(resumed.output, elsewhere.output)
    assert run(elsewhere) == (0, len(ROWS))


def test_all_but_results_and_pictures_is_made_anew(resumed: Studio) -> None:
    for place in Path(resumed.output).iterdir():
        if place.is_file():
            place.unlink()
        elif place.name not in ("results", "images"):
            shutil.rmtree(place)
    assert Path(write_report(resumed.output)).exists()
    assert run(resumed) == (0, len(ROWS))
    assert json.loads(Path(resumed.output, "run.json").read_text())


def test_without_results_pictures_are_computed_again_to_the_same_names(resumed: Studio) -> None:
    before = pictures(resumed)
    shutil.rmtree(Path(resumed.output, "results"))
    assert run(resumed) == (len(ROWS), 0)
    assert pictures(resumed).keys() == before.keys()


def test_without_pictures_rows_are_done_until_they_are_asked_for_again(resumed: Studio) -> None:
    before = pictures(resumed)
    shutil.rmtree(Path(resumed.output, "images"))
    assert run(resumed) == (0, len(ROWS))
    assert run(resumed, overwrite=True) == (len(ROWS), 0)
    assert pictures(resumed).keys() == before.keys()


def test_a_broken_file_of_results_stops_a_run_and_says_what_to_do(resumed: Studio) -> None:
    part = next(Path(resumed.output, "results").glob("*.parquet"))
    rows = len(pq.read_table(part))
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(storage.StorageError, match=f"cannot read .*{part.name}.* Delete it"):
        run(resumed)
    part.unlink()
    assert run(resumed) == (rows, len(ROWS) - rows)
