"""Shell scripts for containers, machines and Slurm, with stand-ins for the programs that they call."""

import os
import shutil
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


MACHINES = {"head.sh": ["10.0.0.1"], "worker.sh": ["127.0.0.1", "10.0.0.2"]}
"""By script, the addresses that it is given."""


@pytest.mark.parametrize("script", MACHINES)
def test_a_node_needs_a_token(script: str, tmp_path: Path) -> None:
    """With none, a head makes one of its own, which no other machine has."""
    command = ["bash", str(INFRA / "machines" / script), *MACHINES[script]]
    environment = stand_ins(tmp_path, ray="echo joins", seq="echo 1", sleep="true")
    (tmp_path / "token").write_text("x")
    (tmp_path / "empty").write_text("")
    ways = {
        "": False,
        "RAY_AUTH_TOKEN": True,
        "RAY_AUTH_MODE=disabled": True,
        f"RAY_AUTH_TOKEN_PATH={tmp_path}/token": True,
        f"RAY_AUTH_TOKEN_PATH={tmp_path}/empty": False,
        f"RAY_AUTH_TOKEN_PATH={tmp_path}/none": False,
    }
    for way, joins in ways.items():
        name, _, value = way.partition("=")
        given = {**environment, **({name: value or "x"} if name else {})}
        ended = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == ((0, "joins\n") if joins else (2, "")), way
        if not joins:
            assert f"no token in {value or tmp_path / '.ray/auth_token'}" in ended.stderr
            assert "ray get-auth-token --generate" in ended.stderr
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("x")
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_a_head_listens_where_it_should(tmp_path: Path) -> None:
    head = ["bash", str(INFRA / "machines" / "head.sh"), "10.0.0.1", "--num-cpus", "0"]
    environment = {**stand_ins(tmp_path, ray='echo "$RAY_AUTH_MODE $@"'), "RAY_AUTH_TOKEN": "x"}
    ended = subprocess.run(head, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [
        *("token", "start", "--head", "--block", "--node-ip-address", "10.0.0.1", "--port", "6379"),
        *("--dashboard-host", "127.0.0.1", "--metrics-export-port", "8080", "--num-cpus", "0"),
    ]


def test_a_worker_waits_for_its_head_and_joins_it(tmp_path: Path) -> None:
    """One that begins before its head is there must not give up, nor go before it has drained."""
    worker = ["bash", str(INFRA / "machines" / "worker.sh"), "127.0.0.1", "10.0.0.2", "--num-cpus", "1"]
    environment = stand_ins(
        tmp_path, ray='echo "$RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S $@"', sleep=f'echo "$1" >> {tmp_path}/slept'
    )
    ended = subprocess.run(
        worker, env={**environment, "RAY_AUTH_TOKEN": "x"}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [
        *("60", "start", "--block", "--address", "127.0.0.1:6379", "--node-ip-address", "10.0.0.2"),
        *("--metrics-export-port", "8080", "--num-cpus", "1"),
    ]
    assert (tmp_path / "slept").read_text().split() == [*["2"] * 60, "5"]


@pytest.mark.parametrize("script", MACHINES)
def test_a_node_without_its_addresses_says_how_it_is_called(script: str, tmp_path: Path) -> None:
    command = ["bash", str(INFRA / "machines" / script), *MACHINES[script][:-1]]
    ended = subprocess.run(
        command, env=stand_ins(tmp_path, ray="echo joins"), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{script} " in ended.stderr


def test_slurm_is_told_what_the_script_relies_on() -> None:
    lines = (INFRA / "slurm" / "nst.sbatch").read_text("utf-8").splitlines()
    told = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")}
    assert told >= {
        "ntasks-per-node=1",  # a Ray node for each
        "exclusive",  # at its end Ray stops every process of Ray on a node
        "requeue",  # a job that is preempted goes on
        "open-mode=append",  # and what it wrote before stays
        "signal=B:TERM@120",  # to the script alone: told to all processes, Ray would end under the run
    }


RAY = """
if [ "$1" = stop ]; then echo "$@" >> {folder}/stop.said; exit 0; fi
if [ -e {folder}/refuses ]; then rm {folder}/refuses; exit 1; fi
printf "%s\\n" "$@" > {folder}/ray.said
while [ "$1" != -- ]; do shift; done
shift
{then}
exit 0
"""
"""What stands in for `ray symmetric-run`: it notes what it is given, and runs what it is to run."""


def slurm(
    folder: Path, *, nst: str, ray: str = '"$@"', scontrol: str = "", srun: str = "", **variables: str
) -> subprocess.Popen[bytes]:
    """Start the script with stand-ins for Slurm and Ray, which note in files what they were given.

    Args:
        folder: of the stand-ins.
        nst: what the run does.
        ray: what Ray does with the run.
        scontrol: what happens when the job is put into the queue again.
        srun: what is done before each step.
        variables: more of the environment.
    """
    environment = stand_ins(
        folder,
        srun=f'{srun}\nwhile case "$1" in -*) true;; *) false;; esac; do shift; done; exec "$@"',
        hostname="echo 127.0.0.1 10.0.0.1",
        scontrol=f'[ "$1" != show ] || {{ echo first; exit; }}; echo "$@" > {folder}/scontrol.said\n{scontrol}',
        ray=RAY.format(folder=folder, then=ray),
        nst=f'printf "%s\\n" "$@" > {folder}/nst.said; env > {folder}/nst.env; {nst}',
    )
    own = {"SLURM_JOB_ID": f"9{os.getpid()}", "SLURM_JOB_NODELIST": "first,second", "SLURM_JOB_NUM_NODES": "2"}
    words = ["bash", str(INFRA / "slurm" / "nst.sbatch"), "a job.yaml", "--set", "size=64"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(words, env={**environment, **own, **variables}, stderr=log)


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


def test_a_job_of_slurm_has_a_token_and_a_folder_of_its_own(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        assert slurm(tmp_path, nst="stat --format=%a $RAY_TMPDIR > $HOME/mode; exit 0").wait(60) == 0
        given = dict(line.split("=", 1) for line in (tmp_path / "nst.env").read_text().splitlines() if "=" in line)
        assert given["RAY_AUTH_MODE"] == "token"
        assert given["RAY_TMPDIR"] == f"/tmp/nst-9{os.getpid()}"
        assert given["RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT"] == "300"
        assert (tmp_path / "mode").read_text().strip() == "700"
        tokens.append(given["RAY_AUTH_TOKEN"])
    assert [len(token) for token in set(tokens)] == [64, 64]
    assert not Path(f"/tmp/nst-9{os.getpid()}").exists()


@pytest.mark.parametrize("ray", ["exit 0", "exit 1"])
def test_a_job_of_slurm_in_which_ray_did_not_start_has_not_succeeded(ray: str, tmp_path: Path) -> None:
    assert slurm(tmp_path, nst="exit 0", ray=ray).wait(60) == 3


def test_a_head_of_slurm_that_does_not_start_in_time_is_tried_again(tmp_path: Path) -> None:
    """Ray gives it 30 seconds, whatever it is told."""
    slow = f'[ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; exit 1; }}; "$@"'
    assert slurm(tmp_path, nst="exit 0", ray=slow).wait(60) == 0


def test_a_run_of_slurm_that_has_begun_is_not_begun_again(tmp_path: Path) -> None:
    assert slurm(tmp_path, nst=f"echo >> {tmp_path}/runs; exit 1", ray='"$@"; exit 1').wait(60) == 1
    assert (tmp_path / "runs").read_text() == "\n"


@pytest.mark.parametrize("wrong", [
    {"srun": '[ "$2" != bash ] || exit 1'},
    {"SLURM_JOB_ID": "none"},
    {"NST_ENVIRONMENT": "/none"},
    {"nst": "rm -f $RAY_TMPDIR/code; mkdir $RAY_TMPDIR/code"},
], ids=["no step", "no number", "no environment", "no exit code"])  # fmt: skip
def test_a_job_of_slurm_that_breaks_off_does_not_say_that_rows_have_failed(
    wrong: dict[str, str], tmp_path: Path
) -> None:
    assert slurm(tmp_path, **{"nst": "exit 0", **wrong}).wait(60) == 3


def test_a_job_of_slurm_that_is_not_queued_again_says_so(tmp_path: Path) -> None:
    job = slurm(tmp_path, nst="exit 143", scontrol="exit 1", NST_REQUEUE="1")
    assert job.wait(60) == 143
    assert "the job is not in the queue again; submit it to go on" in (tmp_path / "log").read_text()


def test_a_job_of_slurm_that_was_preempted_is_queued_already(tmp_path: Path) -> None:
    queued = 'echo "Job is pending execution for job 1" >&2; exit 1'
    assert slurm(tmp_path, nst="exit 143", scontrol=queued, NST_REQUEUE="1").wait(60) == 143
    assert "not in the queue" not in (tmp_path / "log").read_text()


def test_a_job_of_slurm_stops_what_a_preempted_one_has_left(tmp_path: Path) -> None:
    assert slurm(tmp_path, nst="exit 0").wait(60) == 0
    assert said(tmp_path, "stop") == ["stop --force"]


def test_what_a_job_of_slurm_leaves_on_a_node_is_said(tmp_path: Path) -> None:
    assert slurm(tmp_path, nst="exit 1", srun='[ "$2" != rm ] || exit 1').wait(60) == 1
    assert f"/tmp/nst-9{os.getpid()} is left on a node" in (tmp_path / "log").read_text()
    shutil.rmtree(f"/tmp/nst-9{os.getpid()}")


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
