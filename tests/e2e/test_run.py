"""From manifests in every format to pictures and a table of results: once through Ray, else in this process."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline import images, storage
from pipeline.flow.run import run
from pipeline.manifest.row import ManifestError
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs import schema
from pipeline.outputs import table as result_table
from tests.bench.stub import StubKernel
from tests.e2e.conftest import QUICK, ROWS, Studio, as_csv, as_jsonl, furnish
from tests.support import SHARED
from tests.support.without_ray import without_ray


@pytest.mark.usefixtures("without_ray")
def test_the_same_rows_in_every_format_are_the_same_work(resumed: Studio) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS, schema=_schema()), resumed.folder / "rows.parquet")
    others = [
        resumed.write("rows.csv", as_csv(ROWS)),
        resumed.write("rows.jsonl", as_jsonl(ROWS)),
        resumed.write("rows.csv.gz", gzip.compress(as_csv(ROWS).encode())),
        str(resumed.folder / "rows.parquet"),
    ]
    for other in others:
        again = resumed.run(other)
        assert (again.total, again.done_before) == (0, 3), other


def _schema() -> pa.Schema:
    kinds = {"style_weight": pa.float64(), "seed": pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in dict.fromkeys(n for row in ROWS for n in row)])


def test_a_row_of_results_says_what_happened(finished: Studio) -> None:
    rows = finished.results()
    assert set(rows) == {"one", "two", "three"}
    for row in rows.values():
        assert set(row) == set(schema.SCHEMA.names)
        assert row["status"] == "ok"
        assert row["error"] is None
        assert row["curve"]["iteration"] == list(range(6))
        totals = np.array(row["curve"]["total"])
        params = json.loads(row["params"])
        weighted = params["content_weight"] * np.array(row["curve"]["content"])
        weighted += params["style_weight"] * np.array(row["curve"]["style"])
        extras = [weight for weight in ("tv_weight", "range_weight") if params[weight]]
        assert np.allclose(totals, weighted, rtol=1e-4) or (extras and (totals >= weighted).all())
        assert [layer for layer, _ in row["curve"]["style_layers"]] == params["style_layers"]
        assert row["total_loss"] == pytest.approx(totals.min(), rel=1e-6)
        assert row["total_loss"] < totals[0]
        assert row["started_at"] < row["finished_at"]
        assert row["finished_at"].utcoffset().total_seconds() == 0
        assert all(seconds > 0 for seconds in row["seconds"].values())
        assert row["encoder"] == "embedded"
        assert len(row["encoder_sha256"]) == 64
    assert rows["two"]["manifest_row"] == 3
    assert rows["three"]["output"].endswith("output/images/deep/er/three.jpg")
    assert (rows["three"]["width"], rows["three"]["height"]) == (36, 48)


def test_pictures_are_there_in_their_shape_and_say_what_they_are(finished: Studio) -> None:
    for row in finished.results().values():
        data = Path(row["output"]).read_bytes()
        assert images.decode(data).shape == (row["height"], row["width"], 3)
        metadata = images.read_metadata(data)
        assert metadata["id"] == row["id"]
        assert json.loads(metadata["params"]) == json.loads(row["params"])
        assert json.loads(metadata["versions"]) == json.loads(row["versions"])


@pytest.mark.usefixtures("without_ray")
def test_again_does_what_is_missing_or_changed_and_nothing_else(resumed: Studio) -> None:
    studio = resumed
    manifest = studio.write("rows.csv", as_csv(ROWS))
    first = studio.results()

    part = next(p for p in Path(studio.output, "results").iterdir() if "one" in pq.read_table(p)["id"].to_pylist())
    lost = set(pq.read_table(part)["id"].to_pylist())
    part.unlink()
    again = studio.run(manifest, kernel=StubKernel)
    assert (again.total, again.done_before) == (len(lost), 3 - len(lost))
    second = studio.results()
    assert {i for i in second if second[i]["finished_at"] != first[i]["finished_at"]} == lost

    changed = studio.write("changed.csv", as_csv([{**ROWS[0], "style_weight": 9.0}, *ROWS[1:]]))
    again = studio.run(changed, kernel=StubKernel)
    assert (again.total, again.done_before) == (1, 2)
    third = studio.results()
    assert {i for i in third if third[i]["finished_at"] != second[i]["finished_at"]} == {"one"}
    assert json.loads(third["one"]["params"])["style_weight"] == 9.0

    again = studio.run(changed, kernel=StubKernel, overwrite=True)
    assert (again.total, again.done_before) == (3, 0)
    assert all(row["finished_at"] > third[row_id]["finished_at"] for row_id, row in studio.results().items())


@pytest.mark.usefixtures("without_ray")
def test_a_replaced_photo_is_done_again_and_one_gone_stays_done_while_it_is_asked_alike(studio: Studio) -> None:
    manifest = studio.write("rows.csv", as_csv(ROWS))
    studio.run(manifest, kernel=StubKernel)
    studio.picture("tall.jpg", 9, height=64, width=48)
    again = studio.run(manifest, kernel=StubKernel)
    assert (again.total, again.done_before, again.counts["ok"]) == (1, 2, 1)
    (studio.folder / "other.webp").unlink()
    again = studio.run(manifest, kernel=StubKernel)
    assert (again.total, again.done_before) == (0, 3)
    assert studio.results()["two"]["status"] == "ok"
    again = studio.run(manifest, defaults={**QUICK, "iterations": 5}, kernel=StubKernel)
    assert (again.total, again.counts["failed"]) == (3, 1)
    assert "other.webp" in studio.results()["two"]["error"]


@pytest.mark.usefixtures("without_ray")
def test_everything_in_an_object_store(studio: Studio, bucket: str) -> None:
    home = f"{bucket}/{studio.folder.name}"
    for name in ("photo.png", "painting.png", "tall.jpg", "other.webp"):
        storage.write_bytes(f"{home}/pictures/{name}", (studio.folder / name).read_bytes())
    rows = [{**row, "content": f"pictures/{row['content']}", "style": f"pictures/{row['style']}"} for row in ROWS]
    storage.write_bytes(f"{home}/rows.csv", as_csv(rows).encode())

    options = RunOptions(output=f"{home}/out", resources=Resources(num_actors=1))
    first = run(f"{home}/rows.csv", options, defaults=QUICK, kernel=StubKernel)
    assert dict(first.counts) == {"ok": 3}
    for row in result_table.read_results(f"{home}/out").to_pylist():
        assert row["output"].startswith(f"{home}/out/images/")
        assert images.decode(storage.read_bytes(row["output"])).shape == (row["height"], row["width"], 3)
    again = run(f"{home}/rows.csv", options, defaults=QUICK)
    assert (again.total, again.done_before) == (0, 3)
    storage.write_bytes(f"{home}/pictures/photo.png", (studio.folder / "painting.png").read_bytes())
    again = run(f"{home}/rows.csv", options, defaults=QUICK, kernel=StubKernel)
    assert (again.total, again.done_before, again.counts["ok"]) == (2, 1, 2)


@pytest.mark.usefixtures("without_ray")
def test_a_mended_row_succeeds_the_next_time(studio: Studio) -> None:
    manifest = studio.write("rows.csv", "id,content,style\nlate,later.png,painting.png\n")
    assert studio.run(manifest, kernel=StubKernel).counts["failed"] == 1
    studio.picture("later.png", 5)
    assert studio.run(manifest, kernel=StubKernel).counts["ok"] == 1
    assert studio.results()["late"]["status"] == "ok"
    assert studio.run(manifest, kernel=StubKernel).total == 0


def test_a_bad_manifest_starts_nothing(studio: Studio) -> None:
    manifest = studio.write("rows.csv", "content,style,size\nphoto.png,painting.png,huge\n")
    with pytest.raises(ManifestError, match="size"):
        studio.run(manifest, kernel=StubKernel)
    assert not Path(studio.output).exists()


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results by id of a run with the classic descriptions of the method, and a pair that starts from a picture."""
    studio = furnish(tmp_path_factory.mktemp("methods"))
    pair = {"content": "photo.png", "style": "painting.png"}
    rows: list[dict[str, object]] = [
        {**pair, "id": "joint from noise", "preset": "gatys2015", "iterations": 6},
        {"id": "content alone", "content": "photo.png", "preset": "reconstruction", "iterations": 6},
        {"id": "style alone", "style": "painting.png", "preset": "texture"},
        {
            **pair,
            "id": "tensorflow tutorial",
            "preset": "gatys2015",
            "iterations": 12,
            "content_layers": "conv5_2",
            "style_layers": "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1",
            "layer_weights": "0.2,0.2,0.2,0.2,0.2",
            "init": "content",
        },
        {
            **pair,
            "id": "half and four quarters",
            "preset": "gatys2015",
            "iterations": 6,
            "content_weight": 0.5,
            "style_layers": "conv1_1,conv2_1,conv3_1,conv4_1",
            "layer_weights": "0.25,0.25,0.25,0.25",
        },
        {
            **pair,
            "id": "alpha and beta",
            "preset": "gatys2015",
            "iterations": 9,
            "init": "content",
            "alpha": 1,
            "beta": 1e4,
        },
        {**pair, **QUICK, "id": "from a picture", "init": "photo.png"},
        {**pair, **QUICK, "id": "from the content", "init": "content"},
    ]
    with without_ray():
        progress = studio.run(studio.write("rows.jsonl", as_jsonl(rows)), defaults={"size": 32, "iterations": 9})
    assert dict(progress.counts) == {"ok": len(rows)}
    return studio.results()


def test_the_five_classic_descriptions_of_the_method(methods: dict[str, dict[str, Any]]) -> None:
    done = {name: row for name, row in methods.items() if not name.startswith("from ")}
    assert len(done) == 6
    for name, row in done.items():
        assert row["total_loss"] < 0.5 * row["curve"]["total"][0], name
    assert not any(done["content alone"]["curve"]["style"])
    assert not any(done["style alone"]["curve"]["content"])
    assert (done["style alone"]["width"], done["style alone"]["height"]) == (24, 32)
    # From the content image the content term starts at nothing; from noise it does not.
    assert done["alpha and beta"]["curve"]["content"][0] == pytest.approx(0, abs=1e-6)
    assert done["joint from noise"]["curve"]["content"][0] > 0
    assert [layer for layer, _ in done["half and four quarters"]["curve"]["style_layers"]] == [
        f"conv{block}_1" for block in (1, 2, 3, 4)
    ]


def test_an_init_picture_is_where_the_pixels_start(methods: dict[str, dict[str, Any]]) -> None:
    of_a_picture, of_the_content = (methods[name]["curve"]["total"] for name in ("from a picture", "from the content"))
    assert len(of_a_picture) == QUICK["iterations"]
    assert of_a_picture == pytest.approx(of_the_content, rel=1e-3)


@pytest.mark.usefixtures("without_ray")
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real pictures are not part of the repository")
def test_real_photographs_and_paintings(studio: Studio) -> None:
    contents = sorted((SHARED / "images" / "content").glob("*.jpg"))[::3]
    styles = sorted((SHARED / "images" / "style").glob("*.jpg"))
    rows = [{"id": c.stem, "content": str(c), "style": str(styles[n % len(styles)])} for n, c in enumerate(contents)]
    progress = studio.run(
        studio.write("rows.jsonl", as_jsonl([dict(row) for row in rows])), defaults={**QUICK, "size": 96}
    )
    assert dict(progress.counts) == {"ok": len(rows)}
    for row in studio.results().values():
        result = np.asarray(Image.open(row["output"]), dtype=np.float32)
        content = np.asarray(Image.open(row["content"]).convert("RGB").resize(result.shape[1::-1]), dtype=np.float32)
        assert max(result.shape[:2]) == 96
        # It became another picture, and still is one of the same scene.
        assert np.abs(result - content).mean() > 2
        assert np.corrcoef(result.mean(2).ravel(), content.mean(2).ravel())[0, 1] > 0.3
