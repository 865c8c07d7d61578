"""The notebook's plan, run and results: tables in, tables and pictures out; nothing that a row says becomes HTML."""

import re
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs import jobfile
from nst_kernel import StyleParams
from pipeline import images, storage
from pipeline.manifest.formats import Records
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import ManifestError
from pipeline.notebook.api import Run, plan, results
from pipeline.outputs import Progress
from pipeline.outputs import table as result_table
from tests.pipeline.comparison.test_compare import PICTURES, outcome, stored
from tests.support import draw

pd = import_module("pandas")  # it brings no types
SCRIPT = "<script>alert('x')</script>"


class Seen(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def pictures(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


def page(shown: Any) -> Seen:
    return Seen(shown._repr_html_())


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("cat.png", "dog.png", "night.png")):
        Image.fromarray(draw(number, 32, 48)).save(name)
    return tmp_path


ROWS: list[dict[str, Any]] = [
    {"content": "cat.png", "style": "night.png", "style_weight": 3.0, "seed": 7},
    {"content": "dog.png", "style": "night.png", "style_weight": None, "seed": None},
]


def test_tables_of_every_kind_ask_for_the_same_as_a_manifest(studio: Path) -> None:
    (studio / "pairs.csv").write_text("content,style,style_weight,seed\ncat.png,night.png,3,7\ndog.png,night.png,,\n")
    planned = [
        plan(asked, defaults={"size": 32}, rate=1e9)
        for asked in (
            "pairs.csv",
            Path("pairs.csv"),
            ["pairs.csv"],
            ROWS,
            pd.DataFrame(ROWS),
            pa.Table.from_pylist(ROWS),
        )
    ]
    assert planned[0].rows == 2
    assert all(each == planned[0] for each in planned)


def test_a_table_is_validated_row_by_row() -> None:
    frame = pd.DataFrame([{**ROWS[0], "size": "big"}, {**ROWS[1], "style": float("nan"), "colour": "red"}])
    with pytest.raises(ManifestError) as raised:
        plan(frame, rate=1e9)
    said = [str(problem) for problem in raised.value.problems]
    starts = ("table, column colour:", "table, row 1, column size: 'big':", "table, row 2, column style:")
    assert [line.startswith(start) for line, start in zip(said, starts, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("night.yaml", "load it first"),
        (42, "int: expected the URI of a manifest"),
        ([], "table: expected at least one row"),
        (pd.DataFrame({"content": [], "style": []}), "table: expected at least one row"),
        (pd.DataFrame([[1]]), "table, column 0: expected one of content"),
        ([1, 2], "list: expected"),
    ],
)
def test_what_is_no_table_is_said(asked: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        plan(asked, rate=1e9)


CELLS = st.none() | st.booleans() | st.integers(-5, 600) | st.floats(-1, 600) | st.text(max_size=4)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("content", "style", "size", "id", "junk"), CELLS))))
def test_a_data_frame_means_what_its_rows_mean(rows: list[dict[str, Any]]) -> None:
    def read(records: Records) -> Any:
        try:
            return read_manifest(records, encoder_sha256="")
        except ManifestError as error:
            return sorted(map(str, error.problems))

    from pipeline.notebook.api import _source

    framed = _source(pd.DataFrame(rows, dtype=object))
    assert isinstance(framed, Records)
    assert read(framed) == read(Records(rows))


def test_a_job_brings_what_is_not_given(studio: Path) -> None:
    (studio / "pairs.csv").write_text("content,style\ncat.png,night.png\n")
    (studio / "job.yaml").write_text(
        "kind: manifest\nname: n\nmanifest: pairs.csv\noutput: out\ndefaults: {size: 32, iterations: 5, scales: ''}\n"
    )
    job: Any = jobfile.load(studio / "job.yaml")
    assert plan(job, rate=1e9).evaluations == 5
    assert plan(job, defaults={"iterations": 7}, rate=1e9).evaluations == 7


def test_results_count_filter_and_open_as_tables() -> None:
    weights = [1.0, 3.0, 3.0, 3.0]
    rows = [outcome(n, defaults={"style_weight": weight, "seed": n}) for n, weight in enumerate(weights)]
    failed: dict[str, Any] = {"status": "failed", "output": None, "error": "gone", "total_loss": None}
    found = results(stored([*rows[:3], {**rows[3], **failed}]))
    assert (len(found), found.counts) == (4, {"failed": 1, "ok": 3})
    assert "1 failed, 3 ok" in repr(found)
    assert len(found.filter("ok", style_weight=3)) == 2
    assert len(found.filter(status=["ok", "failed"], beta="3")) == 3
    assert [row["content"] for row in found.filter(seed=[0, 3])] == [row["content"] for row in sorted_by_id(rows, 0, 3)]
    assert len(found.filter(scales=StyleParams().scales)) == 4
    assert len(found.filter(content="2.jpg")) == len(found.filter(content="s3://photos/2.jpg")) == 1
    assert len(found.filter("failed").filter("ok")) == 0
    assert found.to_arrow()["id"].to_pylist() == sorted(row["id"] for row in rows)
    assert set(found.to_pandas()["status"]) == {"ok", "failed"}
    frame = found.to_pandas(params=True)
    assert dict(zip(frame["id"], frame["params.style_weight"], strict=True)) == {
        row["id"]: weight for row, weight in zip(rows, weights, strict=True)
    }
    assert "params" not in frame
    assert len(found[1:3]) == 2
    assert [row["id"] for row in found][-1] == found[-1]["id"] == found[found[-1]["id"]]["id"]


def sorted_by_id(rows: list[dict[str, Any]], *which: int) -> list[dict[str, Any]]:
    return sorted((rows[number] for number in which), key=lambda row: str(row["id"]))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"colour": "red"}, "colour: expected a parameter"),
        ({"size": "big"}, "size = 'big': expected a whole number"),
        ({"status": "good"}, "status 'good': expected one of ok,"),
    ],
)
def test_a_filter_that_cannot_be_is_said(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        results(stored([outcome(1)])).filter(**wanted)


def test_a_row_has_its_parameters_curve_and_picture() -> None:
    curve = {"iteration": [0, 1], "total": [2.0, 1.0], "content": [1.0, 0.5], "style": [0.5, 0.25]}
    layers = [("conv1_1", [0.5, 0.25])]
    found = results(stored([outcome(1, curve={**curve, "style_layers": layers})], {0: 2}))
    row = found[0]
    assert row.params == StyleParams(size=20)
    assert row.curve == {name: curve[name] for name in ("total", "content", "style")} | {"style/conv1_1": [0.5, 0.25]}
    assert row.image.tobytes() == images.decode(PICTURES[2]).tobytes()
    with pytest.raises(KeyError):
        found["nobody"]
    failed = results(stored([outcome(1, status="failed", output=None, error="no such file")]))[0]
    assert failed.curve == {}
    with pytest.raises(ValueError, match="no picture, it is failed: no such file"):
        assert failed.image


def test_results_show_thumbnails_and_escape_what_rows_say() -> None:
    odd: dict[str, Any] = {"content": f"s3://photos/{SCRIPT}.png"}
    failed: dict[str, Any] = {"status": "failed", "output": None, "error": SCRIPT}
    output = stored([outcome(1, **odd) | {"id": SCRIPT}, outcome(2, **failed), outcome(3)])
    storage.remove(f"{output}/images/{outcome(3)['output_name']}")
    found = results(output)
    seen = page(found)
    assert [tag for tag, _ in seen.tags if tag == "script"] == []
    assert seen.text.count(SCRIPT) >= 3
    (picture,) = seen.pictures
    assert picture["alt"] == SCRIPT
    assert str(picture["src"]).startswith("data:image/jpeg;base64,")
    assert "it does not exist" in seen.text
    assert "and 2 more" in page(found.show(1)).text
    assert repr(found.show(1)) == repr(found)


def test_names_and_what_varies_come_first() -> None:
    seen = page(results(stored([outcome(1), outcome(2, defaults={"style_weight": 3.0})])))
    assert "picturecontentstylestyle_weightstatus" in seen.text


def test_a_link_that_leads_out_is_not_shown(studio: Path) -> None:
    output, row = studio / "out", outcome(1, content=str(studio / "cat.png"), style=str(studio / "night.png"))
    result_table.commit(str(output), [row])
    (output / "images").mkdir()
    (output / "images" / row["output_name"]).symlink_to(studio / "cat.png")
    found = results(str(output))
    assert found[0].picture is None
    for seen in (page(found), page(found[0])):
        assert "if a link leads there, remove it" in seen.text
    with pytest.raises(storage.StorageError, match="if a link leads there, remove it"):
        assert found[0].image


def test_a_row_shows_its_three_pictures(studio: Path) -> None:
    row = outcome(1, content=str(studio / "cat.png"), style=str(studio / "night.png"), error=SCRIPT)
    seen = page(results(stored([row]))[0])
    assert [picture["alt"] for picture in seen.pictures] == ["content", "style", "result"]
    assert ("params.style_layers" in seen.text, SCRIPT in seen.text) == (True, True)
    assert [tag for tag, _ in seen.tags if tag == "script"] == []


def test_a_plan_shows_its_buckets_and_what_fails(studio: Path) -> None:
    Path("broken.png").write_bytes(b"nothing")
    rows = [*ROWS, {"id": SCRIPT, "content": "broken.png", "style": "night.png"}]
    seen = page(plan(rows, defaults={"size": 32}, rate=1e9))
    assert "2 rows to do" in seen.text
    assert "1 fails at planning" in seen.text
    assert SCRIPT in seen.text
    assert "32 x " in seen.text
    assert [tag for tag, _ in seen.tags if tag == "script"] == []


def test_a_plan_says_in_a_script_what_there_is_to_do(studio: Path) -> None:
    Path("broken.png").write_bytes(b"nothing")
    rows = [ROWS[0], ROWS[0], {"content": "broken.png", "style": "night.png"}]
    found = plan(rows, defaults={"size": 32}, rate=1e9, num_actors=1)
    first, *others = str(found).split("\n")
    assert repr(found) == str(found)
    words = "1 row to do in 1 batch of 1 bucket, 1 repeats others, 1 fails at planning, 1 actor on cpu, 0:00:"
    assert first.startswith(words)
    assert others[-1].startswith("broken.png × night.png, table, row 3 fails at planning: ")
    assert "broken.png × night.png, table, row 3" in page(found).text
    assert len(others) == 1 + str(found).count("Note: ")


def test_a_run_shows_how_far_it_is() -> None:
    progress = Progress(total=4, done_before=1, remarks=("<u>both</u>",))
    progress.add({"id": "a", "status": "ok", "retries": 0})
    progress.add({"id": SCRIPT, "status": "failed", "error": "<b>gone</b>", "retries": 0})
    assert "row to look at" not in page(Run("out", progress)).text
    progress.add({"id": "still", "status": "ok", "warning": "<i>never fell</i>", "retries": 0})
    seen = page(Run("out", progress))
    assert "1 with a warning" in seen.text
    assert "<i>never fell</i>" in seen.text
    assert "Note: <u>both</u>." in seen.text
    assert ("progress", {"max": "4", "value": "3"}) in seen.tags
    assert "3 of 4 rows, 1 failed, 2 ok, 1 with a warning, 1 done before" in seen.text
    assert SCRIPT in seen.text
    assert "<b>gone</b>" in seen.text


def test_a_notebook_sees_the_bar_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against IPython's own interface, without it: a cell that is displayed once and updated."""
    from pipeline.notebook.api import _Bar

    shown: list[str] = []
    cell = SimpleNamespace(update=lambda what: shown.append(what._repr_html_()))

    def display(what: Any, *, display_id: bool) -> Any:
        assert display_id
        shown.append(what._repr_html_())
        return cell

    ipython = ModuleType("IPython")
    ipython.__dict__.update(get_ipython=object, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    progress = Progress(total=1, done_before=0)
    with _Bar("out") as bar:
        bar.update(progress)
        progress.add({"id": "a", "status": "ok", "retries": 0})
        bar.update(progress)
    assert ["Starting" in shown[0], 'value="0"' in shown[1], 'value="1"' in shown[2], shown[3]] == [
        True,
        True,
        True,
        "",
    ]


def test_outside_a_notebook_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.notebook.api import _Bar

    with _Bar("out") as bar:
        bar.update(Progress(total=1, done_before=0))
    assert capsys.readouterr().out == ""
