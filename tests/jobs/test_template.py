"""Job files to begin with: they are valid as they stand, name every field, and keep what is there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.jobfile import load
from jobs.template import MODELS, Kind, template
from tests.jobs.test_cli import nst


@pytest.mark.parametrize("kind", MODELS)
def test_a_template_is_a_job_and_names_every_field(kind: Kind, tmp_path: Path) -> None:
    text = template(kind, ["my pairs.csv"], [] if kind == "manifest" else ["night: 1.png"], "s3://bucket/out put")
    (tmp_path / "job.yaml").write_text(text)
    job: Any = load(tmp_path / "job.yaml")
    assert (job.kind, job.output, job.name) == (kind, "s3://bucket/out put", "out-put")
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    assert [name for name in MODELS[kind].model_fields if not any(line.startswith(f"{name}:") for line in lines)] == []
    assert "max_failures:" in text


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_commented_out_is_what_holds_without_it(kind: Kind, tmp_path: Path) -> None:
    text = template(kind, [], [], "out")
    (tmp_path / "job.yaml").write_text(text)
    fields = {
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith("# ") and line[2:].partition(":")[0] in MODELS[kind].model_fields and not line.endswith(":")
    }
    given = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for field in fields:
        if yaml.safe_load(field) and next(iter(yaml.safe_load(field).values())) is not None:
            (tmp_path / "more.yaml").write_text(f"{given}\n{field}\n")
            assert load(tmp_path / "more.yaml") == load(tmp_path / "job.yaml"), field


def test_init_writes_a_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nst("init", "archive", "photos", "--style", "night.png", "-o", "stylised") == 0
    assert "nst plan archive.yaml" in capsys.readouterr().out
    before = Path("archive.yaml").read_text()
    assert "photos: photos" in before
    assert nst("init", "manifest", "pairs.csv", "--style", "night.png") == 2
    assert "--style: expected with archive or grid" in capsys.readouterr().err
    assert nst("init", "archive", "other") == 2
    assert "archive.yaml exists" in capsys.readouterr().err
    assert Path("archive.yaml").read_text() == before
    assert nst("init", "archive", "other", "--force") == 0
    assert "photos: other" in Path("archive.yaml").read_text()
    assert nst("init", "grid", "a.png", "--to", "-") == 0
    assert "contents: [a.png]" in capsys.readouterr().out
    assert not Path("grid.yaml").exists()
