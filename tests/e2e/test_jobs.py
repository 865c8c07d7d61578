"""The examples of job files, as a person runs them: on drawn pictures, small, in this process."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from jobs.pictures import draw
from pipeline import images, storage
from pipeline.archives.index import read_index
from pipeline.outputs import grid_runs
from pipeline.outputs import table as result_table
from tests.jobs.test_cli import nst
from tests.support import REPOSITORY

QUICK = ["--set", "size=32", "--set", "iterations=2", "--set", "scales=", "--num-actors", "1"]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples, with pictures where they look for them."""
    for file in (REPOSITORY / "jobs" / "examples").iterdir():
        shutil.copy(file, tmp_path)
    exif = Image.Exif()
    exif[271] = "Canon"
    for name in (
        "photos/lake.jpg",
        "photos/town.jpg",
        "photos/drafts/boats.jpg",
        "styles/night.png",
        "styles/harvest.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(Path(name).stem, 48)).save(tmp_path / name, exif=exif)
    (tmp_path / "pairs.csv").write_text("content,style\nphotos/lake.jpg,styles/night.png\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.usefixtures("without_ray")
def test_the_examples_run(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("run", "manifest.yaml", *QUICK) == 0
    (row,) = result_table.read_results("output/pairs").to_pylist()
    assert row["status"] == "ok"
    assert json.loads(row["params"])["size"] == 32  # an option outranks the file
    assert json.loads(Path("output/pairs/run.json").read_text())["job"]["source"]["name"] == "pairs"

    assert nst("run", "archive.yaml", *QUICK) == 0
    index = {row["path"]: row for row in read_index("output/holidays").to_pylist()}
    assert set(index) == {"lake.jpg", "town.jpg"}  # and not drafts/boats.jpg
    for row in index.values():
        data = storage.read_bytes(row["output"])
        assert images.read_metadata(data)["id"] == row["id"]
        with Image.open(row["output"]) as picture:
            assert (picture.format, picture.getexif()[271]) == ("JPEG", "Canon")
    capsys.readouterr()
    assert nst("run", "archive.yaml", *QUICK) == 0
    assert "Nothing to do; 2 were done before" in capsys.readouterr().out

    assert nst("run", "grid.yaml", *QUICK) == 0
    run = grid_runs.latest("output/weights")
    assert run is not None
    assert f"Pictures: {run}/images" in capsys.readouterr().out.replace("\n", "")
    table = result_table.read_results(run)
    assert set(table["status"].to_pylist()) == {"ok"}
    assert len(table) == 16
    for grid in ("output/weights", "grid.yaml"):
        assert nst("grid", "runs", grid) == 0
        shown = capsys.readouterr().out
        assert "16 ok" in shown
        assert "latest" in shown
        assert "1 run\n" in shown
    assert nst("results", "output/weights", "--json") == 0  # of a grid: its latest run
    assert len(capsys.readouterr().out.splitlines()) == 16


def test_examples_are_validated_and_planned_without_starting(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, said in (("manifest", "1 row is valid"), ("archive", "2 rows are new or changed"), ("grid", "16 rows")):
        assert nst("validate", f"{name}.yaml") == 0
        assert said in capsys.readouterr().out
        assert nst("plan", f"{name}.yaml", "--rate", "1e9", "--json", *QUICK) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["rows"] == int(said.split()[0])
        assert (found["dollars"] is None) is (name != "manifest")  # whose file has a price
    assert nst("grid", "plan", "grid.yaml", "--rate", "1e9", "--price", "36") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "24 combinations; 4 left out by optimizer: adam, style_weight: min 5; 4 left out by content" in shown
    assert "cost" in shown
    words = ["archive", "photos", "--style", "styles/*", "--output", "output", "--rate", "1e9", "--price", "36", *QUICK]
    assert nst(*words, "--plan") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "6 rows to do" in shown
    assert "cost" in shown
    assert not Path("output").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "gone.yaml"], "gone.yaml: expected a job file"),
        (["run", "grid.yaml", "pairs.csv"], "expected one job file by itself"),
        (["run", "pairs.csv"], "--output is missing"),
        (["run", "grid.yaml", "--set", "sise=3"], "--set sise = '3': expected a known name; did you mean size?"),
        (["grid", "run", "archive.yaml"], "kind = 'archive': expected kind: grid"),
        (["archive", "photos", "--style", "styles/night.png", "-o", "photos/out"], "is inside the archive"),
        (["archive", "photos", "--style", "gone.png", "-o", "out"], "gone.png: it does not exist"),
        (["archive", "styles/*.jpg", "--style", "styles/*", "-o", "out"], "expected at least one photo"),
        (["archive", "photos/*.jpgg", "--style", "styles/*", "-o", "out", "--plan"], "expected at least one photo"),
        (["grid", "runs", "photos"], "photos: expected the output of a grid"),
        (["results", "photos", "--columns", "totalloss"], "expected a known one; did you mean total_loss?"),
        (["results", "photos"], "no results in"),
    ],
)
def test_mistakes_are_one_clear_line(
    studio: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert nst(*words) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.strip().splitlines()) == 1
    assert not list(studio.rglob("*.parquet"))


def test_the_schema_is_written_where_editors_look(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("schema", "job.schema.json") == 0
    assert nst("schema") == 0
    assert json.loads(Path("job.schema.json").read_text()) == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", [["archive"], ["grid", "plan"], ["grid", "run"], ["grid", "runs"], ["schema"]])
def test_help_holds_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert nst(*command, "--help") == 0
    assert "Example: nst" in " ".join(capsys.readouterr().out.split())
