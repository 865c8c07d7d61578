"""What is nearly right is answered with what is right."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from tests.jobs.test_cli import nst, pair

__all__ = ["pair"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["validate", "job.csv"], "this looks like a job file: give it a name that ends in .yaml"),
        (["validate", "pairs.yaml"], "this looks like a manifest, which is given to nst run"),
        (["grid", "run", "pairs.csv"], "this looks like a manifest, which is given to nst run"),
        (["submit", "pairs.csv"], "this looks like a manifest, which is given to nst run"),
        (["validate", "weight.csv"], "did you mean content_weight, style_weight or tv_weight?"),
        (["results", "pairs.csv"], "the folder that was given to `nst run` as --output; this is a file"),
        (["results", "out/results"], "expected the folder that it is in,"),
        (["results", "."], "results/*.parquet, or a grid's latest.json"),
        (["report", "out/images"], "expected the folder that it is in,"),
    ],
)
def test_a_near_miss(words: list[str], said: str, pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result_table.commit("out", [{"id": "a", "status": "ok", "finished_at": provenance.now()}])
    Path("out/images").mkdir()
    for name in ("pairs.csv", "pairs.yaml"):
        Path(name).write_text("content,style\nphoto.png,painting.png\n")
    Path("weight.csv").write_text("content,style,wieght\nphoto.png,painting.png,1\n")
    Path("job.csv").write_text("kind: manifest\nname: m\nmanifest: pairs.csv\noutput: out\n")
    assert nst(*words) == 2
    assert said in capsys.readouterr().err


def test_ids_names_and_errors_of_results(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "0123456789abcdef", "content": "/a/cat.png", "style": "/s/night.png", "status": "ok", "total_loss": 2.0},
        {"id": "123456789abcdef0", "content": "/b/cat.png", "style": "/s/night.png", "status": "failed"},
    ]
    more = {"params": "{}", "finished_at": provenance.now()}
    rows[1]["error"] = "a sentence that is longer than any column of a terminal of eighty columns would ever be"
    rows[0]["seconds"] = {"fetch": 0.25, "optimise": 1.5, "write": 0.25}
    result_table.commit("out", [{**row, **more} for row in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.console.output.out.width", 80, raising=False)
        assert nst("results", "out") == 0
    shown = capsys.readouterr().out
    assert "0123456789abcdef" not in shown
    assert "a/cat.png" in shown
    assert "b/cat.png" in shown
    assert f"cat.png × night.png: {rows[1]['error']}\n" in shown
    assert max(len(line) for line in shown.splitlines() if "×" not in line) <= 80
    assert nst("results", "out", "--whole") == 0
    assert "0123456789abcdef" in capsys.readouterr().out
    assert nst("results", "out", "--columns", "size,seconds", "--where", "status=ok") == 0
    shown = capsys.readouterr().out
    for word in ("size", "fetch s", "optimise s", "write s", "1.5", "1 row\n"):
        assert word in shown
