"""Shell scripts for containers, machines and Slurm, with stand-ins for the programs that they call."""

import os
import signal
import subprocess
import time
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


def on_slurm(folder: Path, *, started: bool, run_ends_with: int) -> tuple[int, list[str], list[str]]:
    """Run the script with stand-ins for Slurm and Ray; return its exit code and what Ray and the run were given."""
    stubs = {
        "srun": 'while case "$1" in -*) true;; *) false;; esac; do shift; done; exec "$@"',
        "scontrol": "echo first; echo second",
        "ray": f'printf "%s\\n" "$@" > {folder}/ray.said; while [ "$1" != -- ]; do shift; done; shift; '
        + ('"$@"; exit 0' if started else "exit 0"),
        "nst": f'printf "%s\\n" "$@" > {folder}/nst.said; exit {run_ends_with}',
    }
    for name, text in stubs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": f"9{os.getpid()}", "SLURM_JOB_NODELIST": "first,second", "SLURM_JOB_NUM_NODES": "2"}
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), **slurm}
    words = ["bash", str(INFRA / "slurm" / "nst.sbatch"), "a job.yaml", "--set", "size=64"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    said = [(folder / f"{name}.said") for name in ("ray", "nst")]
    given = [file.read_text().splitlines() if file.exists() else [] for file in said]
    return done.returncode, given[0], given[1]


@pytest.mark.parametrize("ends", [0, 1, 3, 143])
def test_a_job_of_slurm_ends_as_its_run_does_whatever_ray_says(ends: int, tmp_path: Path) -> None:
    code, ray, run = on_slurm(tmp_path, started=True, run_ends_with=ends)
    assert code == ends
    assert run[:4] == ["run", "a job.yaml", "--set", "size=64"]
    assert run[4] == "--address"
    options = {word for word in ray[: ray.index("--")] if word.startswith("--")}
    # Ray gives them to workers too, which refuse what is for heads alone.
    assert options == {"--address", "--min-nodes", "--num-cpus", "--num-gpus", "--temp-dir"}
    assert run[5] == ray[ray.index("--address") + 1]


def test_a_job_of_slurm_in_which_ray_did_not_start_has_not_succeeded(tmp_path: Path) -> None:
    assert on_slurm(tmp_path, started=False, run_ends_with=0)[0] == 3


def stand_ins(folder: Path, **texts: str) -> dict[str, str]:
    """An environment in which some programs are shell scripts of these texts."""
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


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


def appears(file: Path) -> bool:
    """Wait for a file; return whether it came."""
    until = time.monotonic() + 30
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return file.exists()


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
