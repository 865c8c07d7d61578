"""A genuine Slurm of two nodes, from Debian's packages slurm-wlm and munge: each node a host of its own."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.infra.support import hosts
from tests.infra.support.hosts import Host, Started
from tests.support import REPOSITORY

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")

CONFIG = """
ClusterName=nst
SlurmctldHost=host0({address0})
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
SlurmUser=root
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MessageTimeout=60
NodeName=host0 NodeAddr={address0} NodeHostname=host0 CPUs=1 State=UNKNOWN
NodeName=host1 NodeAddr={address1} NodeHostname=host1 CPUs=1 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
KillWait=5
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=0
PartitionName=graceful Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=120
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""

INIT = ("bash", "-c", '"$@" & while kill -0 $!; do wait; sleep 0.2; done', "init")
"""What starts a daemon on a host, and takes leave of the processes that have lost their parent, as every init does."""


def missing() -> str:
    """Return why there can be no Slurm here; empty if there can."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    return hosts.missing() or (f"needs Debian's slurm-wlm and munge: no {', '.join(lacking)}" if lacking else "")


@dataclass
class Slurm:
    """A Slurm that runs.

    Attributes:
        home: folder that all nodes share.
        login: the host on which commands are given, which is the first node too.
        environment: of commands.
        daemons: its own processes.
    """

    home: Path
    login: Host
    environment: Mapping[str, str]
    daemons: list[Started] = field(default_factory=list)

    def call(self, *command: str, seconds: float = 900) -> tuple[int, str]:
        """Give a command; return its exit code and what it wrote."""
        started = self.daemons[0].beside(command, self.environment, self.home / f"{secrets.token_hex(4)}.log")
        return started.process.wait(seconds), started.said

    def job(self, number: str) -> dict[str, str]:
        """Return what the controller says of a job."""
        code, said = self.call("scontrol", "--oneliner", "show", "job", number)
        assert code == 0, said
        return dict(word.partition("=")[::2] for word in said.split())


@contextlib.contextmanager
def running(home: Path) -> Iterator[Slurm]:
    """Start it, and end it with the block."""
    for name in ("state", "spool-host0", "spool-host1"):
        (home / name).mkdir()
    (home / "munge.key").write_bytes(secrets.token_bytes(1024))
    (home / "munge.key").chmod(0o400)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(home),
        "SLURM_CONF": str(home / "slurm.conf"),
        "RAY_worker_niceness": "0",  # else whatever runs beside the tests comes before its workers
    }
    munge = ["munged", "--foreground", "--force", f"--socket={home}/munge.socket", f"--key-file={home}/munge.key"]
    munge += [f"--pid-file={home}/munge.pid", f"--log-file={home}/munge.log", f"--seed-file={home}/munge.seed"]
    with hosts.hosts(2, home) as nodes, (home / "munged.log").open("w") as said:
        addresses = {f"address{number}": host.address for number, host in enumerate(nodes)}
        (home / "slurm.conf").write_text(CONFIG.format(home=home, **addresses))
        (home / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # nodes have none, and nothing here uses them
        munged = subprocess.Popen(munge, stdout=said, stderr=said)
        try:
            slurm = Slurm(home, nodes[0], environment)
            daemons = {"slurmctld": nodes[0], "slurmd-host0": nodes[0], "slurmd-host1": nodes[1]}
            for name, host in daemons.items():
                program, _, node = name.partition("-")
                command = [program, "-D", "-f", str(home / "slurm.conf"), *(["-N", node] if node else [])]
                slurm.daemons.append(host.start([*INIT, *command], environment, home / f"{name}.log"))
            _wait_for_nodes(slurm)
            yield slurm
        finally:
            munged.kill()
            munged.wait()


def _wait_for_nodes(slurm: Slurm, seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while True:
        _, idle = slurm.call("sinfo", "--noheader", "--states=idle", "--format=%D")
        if idle.strip() == "2":
            return
        assert time.monotonic() < until, idle + "".join(one.said[-2000:] for one in slurm.daemons)
        time.sleep(1)
