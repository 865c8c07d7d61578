"""Shell scripts for containers, machines and Slurm, with stand-ins for the programs that they call."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from tests.support import REPOSITORY

INFRA = REPOSITORY / "infra"
SCRIPTS = [*INFRA.glob("machines/*.sh"), INFRA / "slurm" / "nst.sbatch"]


def appears(file: Path) -> bool:
    """Wait for a file; return whether it came."""
    until = time.monotonic() + 30
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return file.exists()


def stand_ins(folder: Path, **texts: str) -> dict[str, str]:
    """An environment in which some programs are shell scripts of these texts."""
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_a_shell_understands(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("name", ["machines/node-settings.sh", "slurm/nst.sbatch"])
def test_dead_nodes_are_noticed_and_a_token_is_asked_for(name: str) -> None:
    text = (INFRA / name).read_text("utf-8")
    assert all(f"{variable}={value}" in text for variable, value in (HEALTH_CHECKS | KEPT_WORKERS).items())
    assert "RAY_AUTH_MODE" in text


def test_a_head_needs_a_token(tmp_path: Path) -> None:
    head = ["bash", str(INFRA / "machines" / "head.sh"), "10.0.0.1", "--num-cpus", "0"]
    environment = stand_ins(tmp_path, ray='echo "$RAY_AUTH_MODE $@"')
    refused = subprocess.run(head, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "ray get-auth-token --generate" in refused.stderr
    environment["RAY_AUTH_TOKEN"] = "x"
    ended = subprocess.run(head, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("token start --head --block --node-ip-address 10.0.0.1")
    assert "--dashboard-host 127.0.0.1" in ended.stdout
    assert ended.stdout.strip().endswith("--num-cpus 0")


RAY = """
if [ -e {folder}/refuses ]; then rm {folder}/refuses; exit 1; fi
printf "%s\\n" "$@" > {folder}/ray.said
while [ "$1" != -- ]; do shift; done
shift
{then}
exit 0
"""
"""What stands in for `ray symmetric-run`: it notes what it is given, and runs what it is to run."""


def slurm(folder: Path, *, nst: str, ray: str = '"$@"', **variables: str) -> subprocess.Popen[bytes]:
    """Start the script with stand-ins for Slurm and Ray, which note in files what they were given."""
    environment = stand_ins(
        folder,
        srun='while case "$1" in -*) true;; *) false;; esac; do shift; done; exec "$@"',
        hostname="echo 127.0.0.1 10.0.0.1",
        scontrol=f'[ "$1" != show ] || {{ echo first; exit; }}; echo "$@" > {folder}/scontrol.said',
        ray=RAY.format(folder=folder, then=ray),
        nst=f'printf "%s\\n" "$@" > {folder}/nst.said; {nst}',
    )
    own = {"SLURM_JOB_ID": f"9{os.getpid()}", "SLURM_JOB_NODELIST": "first,second", "SLURM_JOB_NUM_NODES": "2"}
    words = ["bash", str(INFRA / "slurm" / "nst.sbatch"), "a job.yaml", "--set", "size=64"]
    return subprocess.Popen(words, env={**environment, **own, **variables})


def said(folder: Path, name: str) -> list[str]:
    """What a stand-in was given; nothing if it was not called."""
    file = folder / f"{name}.said"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("ends", [0, 1, 3, 143])
def test_a_job_of_slurm_ends_as_its_run_does_whatever_ray_says(ends: int, tmp_path: Path) -> None:
    assert slurm(tmp_path, nst=f"exit {ends}").wait(60) == ends
    ray, run = said(tmp_path, "ray"), said(tmp_path, "nst")
    assert run[:4] == ["run", "a job.yaml", "--set", "size=64"]
    assert run[4] == "--address"
    options = {word for word in ray[: ray.index("--")] if word.startswith("--")}
    # Workers get them too, and refuse what is for heads alone; with --temp-dir, Ray would not find its own cluster.
    assert options == {"--address", "--min-nodes", "--num-cpus", "--num-gpus"}
    assert run[5] == ray[ray.index("--address") + 1]
    assert said(tmp_path, "scontrol") == []


@pytest.mark.parametrize("ray", ["exit 0", "exit 1"])
def test_a_job_of_slurm_in_which_ray_did_not_start_has_not_succeeded(ray: str, tmp_path: Path) -> None:
    assert slurm(tmp_path, nst="exit 0", ray=ray).wait(60) == 3


@pytest.mark.parametrize("again", [False, True])
def test_a_job_of_slurm_that_is_told_to_end_tells_its_run(again: bool, tmp_path: Path) -> None:
    waits = f"trap 'exit 143' TERM; echo > {tmp_path}/ready; for _ in {{1..300}}; do sleep 0.1; done"
    job = slurm(tmp_path, nst=waits, NST_REQUEUE=str(int(again)))
    assert appears(tmp_path / "ready")
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 143
    assert said(tmp_path, "scontrol") == ([f"requeue 9{os.getpid()}"] if again else [])


def test_other_nodes_of_slurm_wait_for_the_first(tmp_path: Path) -> None:
    """Ray's own command gives up at once where no head answers."""
    job_id = int(f"9{os.getpid()}")
    job = slurm(tmp_path, nst="exit 0", SLURM_NODEID="1")
    time.sleep(1)
    assert said(tmp_path, "ray") == []
    (tmp_path / "refuses").touch()
    with socket.create_server(("127.0.0.1", 20000 + job_id % 10000)):
        assert appears(tmp_path / "ray.said")
    assert job.wait(60) == 0


NODE, COMMAND = "echo '/bin/bash -c ulimit -n 65536; ray start --block'", "echo tini -- nst run rows.csv"
"""What a container was started for: what `tr` makes of its first process."""


@pytest.mark.parametrize(
    ("started_for", "wget", "nst", "healthy"),
    [
        (NODE, "echo success", "exit 1", True),
        (NODE, "echo failed", "exit 0", False),
        (NODE, "exit 4", "exit 0", False),
        (COMMAND, "exit 4", "echo 0.1.0", True),
        (COMMAND, "echo success", "exit 1", False),
    ],
)
def test_a_container_is_healthy_if_what_it_was_started_for_answers(
    started_for: str, wget: str, nst: str, healthy: bool, tmp_path: Path
) -> None:
    environment = stand_ins(tmp_path, tr=f"cat > /dev/null; {started_for}", wget=wget, nst=nst)
    ended = subprocess.run(["sh", str(INFRA / "container" / "nst-health")], env=environment, check=False)
    assert (ended.returncode == 0) is healthy


def test_a_hang_is_no_health(tmp_path: Path) -> None:
    """Kubernetes and Docker end a check that takes long, and call that unhealthy; ours ends by itself before."""
    environment = stand_ins(tmp_path, tr=f"cat > /dev/null; {NODE}", wget=f'echo "$@" > {tmp_path}/said; exit 4')
    ended = subprocess.run(["sh", str(INFRA / "container" / "nst-health")], env=environment, check=False)
    assert ended.returncode != 0
    assert {"--timeout=5", "--tries=1"} < {*(tmp_path / "said").read_text().split()}


def leaving(folder: Path, pgrep: str) -> subprocess.Popen[bytes]:
    """Start the preStop hook, which finds nodes by `pgrep`."""
    return subprocess.Popen(["sh", str(INFRA / "container" / "nst-leave")], env=stand_ins(folder, pgrep=pgrep))


def test_a_node_is_told_to_leave_and_waited_for(tmp_path: Path) -> None:
    drains = f"trap 'echo > {tmp_path}/told' TERM; echo > {tmp_path}/ready; while :; do sleep 0.1; done"
    with subprocess.Popen(["sh", "-c", drains]) as node:
        try:
            assert appears(tmp_path / "ready")
            hook = leaving(tmp_path, f'echo "$@" > {tmp_path}/asked; echo {node.pid}')
            assert appears(tmp_path / "told")
            assert hook.poll() is None  # Kubernetes would kill the node as soon as the hook is over
        finally:
            node.send_signal(signal.SIGKILL)
    assert hook.wait(30) == 0
    assert "ray start" in (tmp_path / "asked").read_text()


def test_where_no_node_is_left_nothing_is_waited_for(tmp_path: Path) -> None:
    assert leaving(tmp_path, "exit 1").wait(30) == 0


def test_a_node_that_has_gone_meanwhile_is_no_failure(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    assert leaving(tmp_path, f"echo {gone.pid}").wait(30) == 0
