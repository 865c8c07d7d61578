"""The scripts for machines of one's own, played on three hosts: who computes, is lost, joins, leaves, is refused."""

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.outputs.table import read_results
from tests.infra.support import hosts
from tests.infra.support.hosts import Host, Started
from tests.support import REPOSITORY, draw

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.skipif(bool(hosts.missing()), reason=hosts.missing())]

SCRIPTS = REPOSITORY / "infra" / "machines"
MEMORY = ("--object-store-memory", "200000000")
"""That a node sets aside, instead of a third of what this machine has."""

ROWS = 10


@dataclass(frozen=True)
class Cluster:
    """Three hosts, of which the first has the head."""

    home: Path
    hosts: list[Host]
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def environment(self, token: str = "") -> dict[str, str]:
        """What the scripts and commands are started with."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token or self.token,
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "20",
            "RAY_worker_niceness": "0",  # else whatever runs beside the tests comes before its workers
        }

    def head(self) -> Started:
        """Start the head, which computes nothing."""
        return self.start(self.hosts[0], str(SCRIPTS / "head.sh"), self.hosts[0].address, "--num-cpus", "0", *MEMORY)

    def worker(self, host: Host, *, token: str = "", log: str = "") -> Started:
        """Let a host join."""
        command = [str(SCRIPTS / "worker.sh"), self.hosts[0].address, host.address, "--num-cpus", "1", *MEMORY]
        return self.start(host, *command, token=token, log=log)

    def start(self, host: Host, *command: str, token: str = "", log: str = "") -> Started:
        """Start a command on a host."""
        return host.start(command, self.environment(token), self.home / f"{log or host.name}.log")


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 900) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.5)


def wait_for_start(*started: Started) -> None:
    def have_started() -> bool:
        for one in started:
            assert one.process.poll() is None, one.said
        return all("runtime started" in one.said for one in started)

    wait_until(have_started, "nodes start")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with hosts.hosts(3, tmp_path) as found:
        yield Cluster(tmp_path, found)


SUBMIT = """
import json, sys, urllib.error, urllib.request
body = json.dumps({"entrypoint": "touch owned"}).encode()
for address in sys.argv[1:]:
    asked = urllib.request.Request(f"http://{address}:8265/api/jobs/", body, {"Content-Type": "application/json"})
    try:
        print(address, urllib.request.urlopen(asked, timeout=5).status)
    except urllib.error.HTTPError as error:
        print(address, error.code)
    except OSError as error:
        print(address, "refused")
"""


def test_strangers_are_refused(cluster: Cluster) -> None:
    """Without the token no node joins, and no job is taken, from outside or on the head itself."""
    head, other, _ = cluster.hosts
    started = cluster.head()
    wait_for_start(started)
    stranger = cluster.worker(other, token="f" * 64, log="stranger")
    assert stranger.process.wait(300) != 0
    assert "token" in stranger.said.lower()
    for host, local in ((other, "refused"), (head, "401")):
        attack = cluster.start(host, sys.executable, "-c", SUBMIT, head.address, "127.0.0.1", log=f"attack-{host.name}")
        assert attack.process.wait(60) == 0
        assert attack.said.split() == [head.address, "refused", "127.0.0.1", local]


@dataclass(frozen=True)
class Run:
    """A run that was started on the head, as whoever logs in there does."""

    started: Started
    output: Path

    def rows(self) -> list[dict[str, Any]]:
        """What became of its rows so far."""
        there = any((self.output / "results").glob("*.parquet"))
        return list(read_results(str(self.output)).to_pylist()) if there else []

    def has_rows_of(self, *hosts: Host) -> bool:
        """Whether each of some hosts has done a row."""
        assert self.started.process.poll() is None, self.started.said
        return {host.name for host in hosts} <= {row["host"] for row in self.rows()}

    def check_whole(self) -> None:
        """Wait for its end, by which every row is done."""
        assert self.started.process.wait(900) == 0, self.started.said
        assert [row["status"] for row in self.rows()] == ["ok"] * ROWS


def begin(cluster: Cluster, head: Started, name: str) -> Run:
    for picture, seed in (("a", 1), ("s", 2)):
        Image.fromarray(draw(seed, 64, 64)).save(cluster.home / f"{picture}.png")
    lines = "".join(f"{cluster.home}/a.png,{cluster.home}/s.png,{seed}\n" for seed in range(ROWS))
    (cluster.home / "rows.csv").write_text("content,style,seed\n" + lines)
    output = cluster.home / name
    words = [str(cluster.home / "rows.csv"), "--output", str(output), "--no-report", "--batch-size", "1"]
    words += ["--address", f"{cluster.hosts[0].address}:6379", "--max-actors", "2"]
    words += ["--set", "size=64", "--set", "iterations=40", "--set", "min_improvement=0"]
    command = [sys.executable, "-m", "jobs.cli", "run", *words]
    return Run(head.beside(command, cluster.environment(), cluster.home / f"{name}.log"), output)


def test_a_machine_is_lost_another_joins_and_one_leaves(cluster: Cluster) -> None:
    _, first, second = cluster.hosts
    head = cluster.head()
    wait_for_start(head)
    lasting, lost = cluster.worker(first), cluster.worker(second)
    wait_for_start(lasting, lost)
    run = begin(cluster, head, "lost")
    wait_until(lambda: run.has_rows_of(first, second), "both compute")
    lost.signal(signal.SIGKILL)
    run.check_whole()
    joined = cluster.worker(second, log="joined")
    wait_for_start(joined)
    run = begin(cluster, head, "left")
    wait_until(lambda: run.has_rows_of(first, second), "both compute")
    lasting.signal(signal.SIGTERM)
    run.check_whole()
    lasting.process.wait(90)
    assert "Draining" in lasting.said
    assert joined.process.poll() is None
