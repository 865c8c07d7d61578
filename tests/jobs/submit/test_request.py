"""From a job file to what a cluster is sent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.submit.request import entrypoint, request
from pipeline.specs.job import ClusterSection
from tests.support import REPOSITORY

JOB: dict[str, Any] = {"kind": "manifest", "name": "night", "manifest": "s3://b/rows.csv", "output": "s3://b/out"}


def write(folder: Path, **changes: object) -> Path:
    file = folder / "night.yaml"
    file.write_text(yaml.safe_dump({**JOB, **changes}))
    return file


def test_the_same_work_has_the_same_name_wherever_it_runs(tmp_path: Path) -> None:
    plain = request(write(tmp_path)).id(1)
    assert plain.startswith("night-")
    assert request(write(tmp_path, cluster={"env": {"A": "b"}, "pip": ["x"]})).id(1) == plain
    (tmp_path / "other.yaml").write_text("# a remark\n" + yaml.safe_dump(dict(reversed(JOB.items()))))
    assert request(tmp_path / "other.yaml").id(1) == plain
    assert request(write(tmp_path)).id(2) == f"{plain}.2"


@pytest.mark.parametrize(
    "change", [{"name": "day"}, {"manifest": "s3://b/x.csv"}, {"output": "s3://b/x"}, {"defaults": {"size": 64}}]
)
def test_other_work_has_another_name(tmp_path: Path, change: dict[str, object]) -> None:
    assert request(write(tmp_path)).id(1) != request(write(tmp_path, **change)).id(1)


def test_what_the_job_is_told(tmp_path: Path) -> None:
    cluster = {"env": {"WHO": "me"}, "pip": ["one==1"], "upload": True, "entrypoint_resources": {"CPU": 1}}
    asked = request(write(tmp_path, cluster={**cluster, "address": "http://head:8265"}))
    env = asked.environment(3)
    assert env["env_vars"]["WHO"] == "me"
    assert env["env_vars"]["NST_SUBMISSION"] == asked.id(3)
    assert env["env_vars"]["NST_PROGRESS"] == "s3://b/out/progress.json"
    assert yaml.safe_load(env["env_vars"]["NST_JOB"])["name"] == "night"
    assert env["pip"] == ["one==1"]
    assert [Path(folder).name for folder in env["py_modules"]] == ["nst_kernel", "pipeline", "jobs"]
    assert all((Path(folder) / "__init__.py").is_file() for folder in env["py_modules"])
    assert "working_dir" not in env
    assert (asked.address, asked.resources) == ("http://head:8265", {"CPU": 1})
    assert asked.metadata["nst_output"] == "s3://b/out"


def test_what_operators_say_travels_with_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NST_ACCESS" not in request(write(tmp_path)).runtime_env["env_vars"]
    monkeypatch.setenv("NST_ACCESS", '{"max_file_bytes": 5000}')
    asked = request(write(tmp_path, cluster={"env": {"NST_ACCESS": '{"allow_read": ["s3://b"]}'}}))
    assert json.loads(asked.runtime_env["env_vars"]["NST_ACCESS"]) == [
        {"max_file_bytes": 5000},
        {"allow_read": ["s3://b"]},
    ]


def test_a_job_file_in_its_working_directory_travels_with_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    asked = request(write(tmp_path / "deep", cluster={"working_dir": ".."}, manifest="rows.csv"))
    assert asked.runtime_env["working_dir"] == str(tmp_path)
    assert asked.entrypoint.split("; done")[0].endswith("-m jobs.submit.entrypoint deep/night.yaml")
    assert "NST_JOB" not in asked.runtime_env["env_vars"]


def test_an_image_brings_everything_with_it(tmp_path: Path) -> None:
    env = request(write(tmp_path, cluster={"image": "registry/nst:1"})).runtime_env
    assert env.keys() == {"image_uri", "env_vars"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output": "out"}, "output: 'out' would be a folder of one machine"),
        ({"manifest": "rows.csv"}, "manifest: 'rows.csv' would not be found on the cluster"),
        ({"manifest": ["s3://b/a.csv", "rows.csv"]}, "manifest: 'rows.csv'"),
        ({"cluster": {"working_dir": "gone"}}, "cluster.working_dir: .*gone' is no folder"),
        ({"cluster": {"image": "x", "pip": ["y"]}}, "cluster.pip: cannot be had beside cluster.image"),
        ({"cluster": {"image": "x", "upload": True}}, "cluster.upload: cannot be had beside cluster.image"),
        ({"cluster": {"adress": "x"}}, "adress"),
        ({"name": "no spaces"}, "name"),
    ],
)
def test_what_cannot_run_there_is_refused_here(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        request(write(tmp_path, **changes))
    assert "night.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "archive", "photos": "photos/**", "styles": ["s3://b/night.png"]}, "photos: 'photos/.*' would not"),
        ({"kind": "archive", "photos": "s3://b/**", "styles": {"night": "night.png"}}, "styles: 'night.png' would"),
        ({"kind": "grid", "contents": ["cat.jpg"], "styles": ["s3://b/night.png"]}, "contents: 'cat.jpg' would not"),
        ({"kind": "manifest", "manifest": "s3://b/rows.csv", "weights": "vgg.pth"}, "weights: 'vgg.pth' would not"),
        (
            {"kind": "manifest", "manifest": "s3://b/rows.csv", "defaults": {"init": "start.png"}},
            "defaults.init: 'start.png' would not",
        ),
        (
            {
                "kind": "grid",
                "contents": ["s3://b/cat.jpg"],
                "styles": ["s3://b/night.png"],
                "parameters": {"init": ["noise", "start.png"]},
            },
            "parameters.init: 'start.png' would not",
        ),
    ],
)
def test_every_kind_names_what_all_machines_find(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump({"name": "job", "output": "s3://b/out", **fields}), "utf-8")
    with pytest.raises(ValueError, match=said):
        request(file)


def test_the_job_of_the_readme_can_be_submitted(tmp_path: Path) -> None:
    section = (REPOSITORY / "jobs" / "README.md").read_text("utf-8").split("## On a cluster")[1]
    (tmp_path / "night.yaml").write_text(section.split("```yaml\n")[1].split("```")[0])
    asked = request(tmp_path / "night.yaml")
    assert asked.address == "http://head:8265"
    assert asked.runtime_env["working_dir"] == str(tmp_path)


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)


def test_the_driver_is_run_by_an_interpreter_that_has_what_it_needs(tmp_path: Path) -> None:
    able, unable = tmp_path / "it is able", tmp_path / "unable"
    able.write_text('#!/bin/sh\n[ "$1" = -c ] || echo "$$ $@"\n')
    unable.write_text("#!/bin/sh\nexit 1\n")
    for script in (able, unable):
        script.chmod(0o755)
    found = shell(entrypoint(ClusterSection(python=str(able)), "a job.yaml"))
    assert found.stdout.split(maxsplit=1)[1] == "-m jobs.submit.entrypoint a job.yaml\n"
    missing = shell(entrypoint(ClusterSection(python=str(unable)), None))
    assert missing.returncode == 127
    assert "set cluster.python" in missing.stdout


def test_an_interpreter_without_ray_is_passed_over(tmp_path: Path) -> None:
    """This interpreter is asked the real question: with our packages out of reach it is no driver's."""
    question = entrypoint(ClusterSection(python=sys.executable), None).split("'")[1]
    asked = [sys.executable, "-I", "-S", "-c", question]
    assert subprocess.run(asked, env={}, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    subprocess.run([sys.executable, "-c", question], check=True)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_no_name_of_a_file_breaks_the_entry_point(name: str) -> None:
    words = entrypoint(ClusterSection(python="true"), name)
    # `true` takes any question for answered, and then becomes the driver, whatever it is told
    assert shell(words, PATH="/usr/bin:/bin").returncode == 0
    heard = shell(words.replace("for p in true;", "for p in echo;").replace("2>/dev/null", ">/dev/null"), PATH="/bin")
    assert heard.stdout == f"-m jobs.submit.entrypoint {name}\n"


def test_another_signature_is_the_same_work(tmp_path: Path) -> None:
    def named(signature: str, name: str = "photo") -> str:
        signed = f"?X-Amz-Credential={signature}%2Feu&X-Amz-Date=20261101T000000Z&X-Amz-Signature={signature}"
        job = {
            "manifest": [f"https://user:{signature}@host/rows.csv{signed}"],
            "weights": f"https://host/w.pth{signed}#sha256={'0' * 64}",
            "defaults": {"init": f"https://host/{name}.png{signed}"},
        }
        return request(write(tmp_path, **job)).id(1)

    assert named("one") == named("another")
    assert named("one") != named("one", name="other")
