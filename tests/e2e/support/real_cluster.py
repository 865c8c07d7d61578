"""A real Ray cluster of several nodes on loopback, with its dashboard's job server, that ends by itself."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY

RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class RealCluster:
    """Where it is, and what a process needs in its environment to talk to it."""

    address: str
    environment: dict[str, str]
    metrics: list[str]

    def nst(self, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a command of ours as a person would."""
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *words],
            env=self.environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@contextlib.contextmanager
def real_cluster(*, workers: int = 1, cpus: int = 1) -> Iterator[RealCluster]:
    """Start a head and so many workers, each with CPUs and a folder of its own and none of our settings."""
    home = Path(tempfile.mkdtemp(prefix="nst-ray-", dir="/tmp"))  # short: sockets' paths are limited
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "NST_"))},
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
        "RAY_metrics_report_interval_ms": "1000",
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",  # else whatever runs beside the tests comes before its workers, for minutes
    }
    port, dashboard = free_port(), free_port()
    started: list[subprocess.Popen[bytes]] = []
    metrics: list[str] = []

    def start(*words: str) -> None:
        metrics.append(f"http://127.0.0.1:{(exported := free_port())}/metrics")
        common = [f"--num-cpus={cpus}", "--num-gpus=0", "--memory=3000000000", "--object-store-memory=200000000"]
        common += [f"--metrics-export-port={exported}", f"--dashboard-agent-listen-port={free_port()}"]
        # Ray unpacks a working_dir anew on each node, and so deletes one that another node of this machine works in.
        common += [f"--temp-dir={home / f'r{len(started)}'}"]
        with (home / f"{len(started)}.log").open("wb") as log:
            command = [str(RAY), "start", "--block", "--node-ip-address=127.0.0.1", *common, *words]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(process)

    try:
        start(
            "--head",
            f"--port={port}",
            "--include-dashboard=true",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={dashboard}",
        )
        address = f"http://127.0.0.1:{dashboard}"
        _wait_for(f"{address}/api/version", home)
        for _ in range(workers):
            start(f"--address=127.0.0.1:{port}")
        yield RealCluster(address, environment, metrics)
    finally:
        for process in started[::-1]:
            process.terminate()
        for process in started[::-1]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(8)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(url: str, home: Path, *, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > until:
                said = "\n".join(log.read_text() for log in home.glob("*.log"))
                raise AssertionError(f"no cluster at {url}: {said}") from None
            time.sleep(0.3)
