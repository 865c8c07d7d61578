"""`nst render`: jobs as what other systems start them by."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli import app

JOB = "kind: manifest\nname: night\nmanifest: s3://b/rows.csv\noutput: s3://b/out\n"


@pytest.mark.parametrize(("words", "kind"), [((), "RayJob"), (("--as", "cron"), "RayCronJob")])
def test_a_job_is_written(words: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text(JOB)
    (tmp_path / "platform.yaml").write_text("image: r/nst:1\n")
    given = [str(tmp_path / "night.yaml"), "--platform", str(tmp_path / "platform.yaml"), *words]
    ended = CliRunner().invoke(app, ["render", "kubernetes", *given])
    assert ended.exit_code == 0, ended.output
    written = yaml.safe_load(ended.output)
    assert written["kind"] == kind
    assert "r/nst:1" in ended.output
    assert "&id" not in ended.output


def test_a_cluster_needs_no_job(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["render", "kubernetes", "--as", "cluster", "--name", "studio"])
    assert yaml.safe_load(ended.output)["metadata"]["name"] == "studio"
    (tmp_path / "night.yaml").write_text(JOB)
    wrong = CliRunner().invoke(app, ["render", "kubernetes", str(tmp_path / "night.yaml"), "--as", "cluster"])
    assert "takes no job" in str(wrong.exception)
    assert "expected a job file" in str(CliRunner().invoke(app, ["render", "kubernetes"]).exception)
