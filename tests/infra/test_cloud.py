"""The configuration of Ray's cluster launcher: Ray takes it, and what it names is there."""

import json
import os
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from tests.support import REPOSITORY

CONFIG: dict[str, Any] = yaml.safe_load((REPOSITORY / "infra" / "cloud" / "aws.yaml").read_text("utf-8"))
COMMANDS = [command for name, commands in CONFIG.items() if name.endswith("_commands") for command in commands]


def test_ray_takes_it() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads((resources.files("ray.autoscaler") / "ray-schema.json").read_text("utf-8"))
    assert [error.message for error in Draft7Validator(schema).iter_errors(CONFIG)] == []
    validate_config(prepare_config(CONFIG))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_understands(command: str) -> None:
    subprocess.run(["bash", "-n", "-c", command], check=True)


def test_nodes_are_set_as_everywhere() -> None:
    (head,) = [command for command in CONFIG["head_start_ray_commands"] if "ray start" in command]
    (worker,) = [command for command in CONFIG["worker_start_ray_commands"] if "ray start" in command]
    assert all(f"{name}={value}" in head for name, value in (HEALTH_CHECKS | KEPT_WORKERS).items())
    assert all(f"{name}={value}" in worker for name, value in KEPT_WORKERS.items())
    assert all("RAY_AUTH_MODE=token" in command for command in (head, worker))
    assert "--dashboard-host=127.0.0.1" in head
    assert CONFIG["available_node_types"]["head"]["resources"]["CPU"] == 0
    assert "--num-cpus=0" in head


def test_machines_have_what_they_need_and_no_more() -> None:
    head, gpu = (CONFIG["available_node_types"][name] for name in ("head", "gpu"))
    assert CONFIG["head_node_type"] == "head"
    assert (head["min_workers"], head["max_workers"]) == (0, 0)
    assert (gpu["min_workers"], gpu["max_workers"]) == (0, CONFIG["max_workers"])
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert CONFIG["idle_timeout_minutes"] <= 10  # machines cost while they wait
    for node in (head, gpu):  # what a picture's address leads to gets no credentials of the machine
        assert node["node_config"]["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert node["node_config"]["IamInstanceProfile"]["Arn"].startswith("arn:aws:iam::")
    assert head["node_config"]["IamInstanceProfile"] != gpu["node_config"]["IamInstanceProfile"]


def test_workers_join_their_head_with_its_token() -> None:
    assert CONFIG["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for name in ("head", "worker"):
        stop, start = CONFIG[f"{name}_start_ray_commands"]
        assert stop == "ray stop"
        assert "ulimit -n 65536;" in start
        assert "--metrics-export-port=8080" in start
    assert "--address=$RAY_HEAD_IP:6379" in CONFIG["worker_start_ray_commands"][1]
    assert "--head --port=6379" in CONFIG["head_start_ray_commands"][1]
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in CONFIG["head_start_ray_commands"][1]


def test_another_wheel_of_the_same_version_is_installed_and_nothing_else_again() -> None:
    """Without --force-reinstall pip keeps the installed one; with it, what is locked would be fetched at each start."""
    installs = [command for command in COMMANDS if "pip install" in command]
    again = [command for command in installs if "--force-reinstall" in command]
    assert len(installs) == 3
    assert [command for command in installs if "/wheels/" in command] == again
    assert all("--no-deps" in command and "--no-index" in command for command in again)


def test_of_several_wheels_the_last_one_is_installed(tmp_path: Path) -> None:
    (command,) = [command for command in COMMANDS if "/wheels/" in command]
    (tmp_path / "nst/wheels").mkdir(parents=True)
    (tmp_path / "nst/env/bin").mkdir(parents=True)
    pip = tmp_path / "nst/env/bin/pip"
    pip.write_text('#!/bin/sh\nfor last; do :; done; echo "$last"\n')
    pip.chmod(0o755)
    for age, version in enumerate(("0.10.0", "0.9.0", "0.2.0")):
        wheel = tmp_path / f"nst/wheels/nst_pipeline-{version}-py3-none-any.whl"
        wheel.touch()
        os.utime(wheel, (1e9 - age, 1e9 - age))
    ended = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip().endswith("/nst_pipeline-0.10.0-py3-none-any.whl")


def test_what_travels_is_there() -> None:
    ours = [path for path in CONFIG["file_mounts"].values() if not path.startswith(("~", "dist"))]
    assert ours == ["infra/runtime.lock"]
    assert all((REPOSITORY / path).exists() for path in ours)
