"""Shell scripts for machines and for Slurm: a shell understands them, and they set what a cluster needs."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from tests.support import REPOSITORY

INFRA = REPOSITORY / "infra"
SCRIPTS = [*INFRA.glob("machines/*.sh"), INFRA / "slurm" / "nst.sbatch"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_a_shell_understands(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("name", ["machines/node-settings.sh", "slurm/nst.sbatch"])
def test_dead_nodes_are_noticed_and_a_token_is_asked_for(name: str) -> None:
    text = (INFRA / name).read_text("utf-8")
    assert all(f"{variable}={value}" in text for variable, value in (HEALTH_CHECKS | KEPT_WORKERS).items())
    assert "RAY_AUTH_MODE" in text


def stub(folder: Path, **variables: str) -> dict[str, str]:
    """An environment in which `ray` says what it was called with, and with which token."""
    (folder / "ray").write_text('#!/bin/sh\necho "$RAY_AUTH_MODE $@"\n')
    (folder / "ray").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), **variables}


def test_a_head_needs_a_token(tmp_path: Path) -> None:
    head = ["bash", str(INFRA / "machines" / "head.sh"), "10.0.0.1", "--num-cpus", "0"]
    refused = subprocess.run(head, env=stub(tmp_path), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "ray get-auth-token --generate" in refused.stderr
    ended = subprocess.run(head, env=stub(tmp_path, RAY_AUTH_TOKEN="x"), capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("token start --head --block --node-ip-address 10.0.0.1")
    assert "--dashboard-host 127.0.0.1" in ended.stdout
    assert ended.stdout.strip().endswith("--num-cpus 0")
