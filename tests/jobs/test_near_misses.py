"""What is nearly right is answered with what is right."""

from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.notebook import plan, results
from pipeline.options import Resources
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
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--set", "objective=maen"], "did you mean mean?"),
        (["plan", "pairs.csv", "--set", "style_layers=conv1_1,convv4_2"], "did you mean conv4_2?"),
        (["validate", "mean.csv"], "objective: 'maen': expected paper or relative or mean; did you mean mean?"),
        (
            ["validate", "mean.yaml"],
            "choose = 'rondom': expected 'all', 'round-robin' or 'random'; did you mean random?",
        ),
        (["results", "out", "--status", "faild"], "did you mean failed?"),
        (["results", "out", "--where", "status=faild"], "did you mean failed?"),
        (["run", "pairs.csv", "-o", "o", "--device", "cpuu"], "did you mean cpu?"),
        (["init", "archve"], "did you mean archive?"),
        (["init", "--log-format", "jsn"], "did you mean json?"),
        (["vlidate", "pairs.csv"], "Did you mean 'validate'?"),
        (["run", "pairs.csv", "--ouput", "o"], "--output"),
    ],
)
def test_a_near_miss(words: list[str], said: str, pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result_table.commit("out", [{"id": "a", "status": "ok", "finished_at": provenance.now()}])
    Path("out/images").mkdir()
    for name in ("pairs.csv", "pairs.yaml"):
        Path(name).write_text("content,style\nphoto.png,painting.png\n")
    Path("weight.csv").write_text("content,style,wieght\nphoto.png,painting.png,1\n")
    Path("mean.csv").write_text("content,style,objective\nphoto.png,painting.png,maen\n")
    Path("mean.yaml").write_text("kind: archive\nname: a\nphotos: p\nstyles: [s.png]\noutput: o\nchoose: rondom\n")
    Path("job.csv").write_text("kind: manifest\nname: m\nmanifest: pairs.csv\noutput: out\n")
    assert nst(*words) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_values_of_programs_that_are_nearly_right_too(pair: Path) -> None:
    result_table.commit("out", [{"id": "a", "status": "ok", "finished_at": provenance.now()}])
    with pytest.raises(ValueError, match="did you mean failed"):
        results("out").filter("faild")
    with pytest.raises(ValueError, match="did you mean mean"):
        results("out").filter(objective="maen")
    with pytest.raises(ValueError, match="device = 'cpuu': expected one of auto, gpu, cpu; did you mean cpu"):
        Resources(device=cast(Any, "cpuu"))
    with pytest.raises(ValueError, match="device = 'cpuu': expected 'auto', 'gpu' or 'cpu'; did you mean cpu"):
        plan("pairs.csv", device=cast(Any, "cpuu"))


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
