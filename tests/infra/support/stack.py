"""The local stack from Debian's packages: python -m tests.infra.support.stack (`make stack`).

An S3 gateway, a Ray node, and Prometheus with the alerts, all on loopback. It prints what to set, stays
until Ctrl-C or SIGTERM, and leaves nothing.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.faults.support import rgw
from tests.support import REPOSITORY

INFRA = REPOSITORY / "infra"
BUCKET = "nst-studio"
GCS, DASHBOARD, PROMETHEUS = 6399, 8275, 9095
"""Ports that a cluster of another kind on this machine has not."""

LOOPBACK_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""By this, Ray listens on loopback alone, as it does on Windows; such a cluster has one node."""


def missing() -> str:
    """Return what is not installed; empty if all is."""
    lacking = [program for program in (*rgw.NEEDED, "prometheus") if not shutil.which(program)]
    return f"needs Debian's radosgw, ceph-mon, ceph-osd and prometheus: no {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class Stack:
    """Servers that run.

    Attributes:
        environment: by which `nst` uses them.
        address: of the cluster.
        dashboard: of the job server.
        prometheus: of its API.
    """

    environment: Mapping[str, str]
    address: str
    dashboard: str
    prometheus: str


@contextlib.contextmanager
def running(rules: Path = INFRA / "prometheus" / "nst.rules.yml", *, seconds: int = 10) -> Iterator[Stack]:
    """Start all of it, and end it with the block.

    Args:
        rules: of Prometheus.
        seconds: after which metrics are reported, scraped and looked at again.
    """
    with contextlib.ExitStack() as ends:
        home = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="nst-")))
        gateway = ends.enter_context(rgw.serving(home / "s3"))
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        environment = {
            **gateway.environment,
            **token,
            "HOME": str(home),
            **LOOPBACK_ALONE,
            "RAY_TMPDIR": str(home / "r"),
        }
        environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "1"
        environment["RAY_metrics_report_interval_ms"] = str(1000 * seconds)
        _make_bucket(gateway)
        node = {**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        head = ["ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={GCS}", "--num-cpus=2"]
        head += [f"--dashboard-port={DASHBOARD}", "--dashboard-host=127.0.0.1", "--include-dashboard=true"]
        ends.enter_context(_process(head, node, home / "head.log"))
        _wait(lambda: _answers(f"http://127.0.0.1:{DASHBOARD}/api/version", token["RAY_AUTH_TOKEN"]), "the head")
        config = _prometheus_config(home, rules, f"{seconds}s")
        prometheus = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={home / 'tsdb'}"]
        prometheus += [f"--web.listen-address=127.0.0.1:{PROMETHEUS}"]
        ends.enter_context(_process(prometheus, node, home / "prometheus.log"))
        _wait(lambda: _answers(f"http://127.0.0.1:{PROMETHEUS}/-/ready"), "Prometheus")
        yield Stack(environment, f"127.0.0.1:{GCS}", f"http://127.0.0.1:{DASHBOARD}", f"http://127.0.0.1:{PROMETHEUS}")


def _make_bucket(gateway: rgw.Gateway) -> None:
    import boto3

    access = {"aws_access_key_id": gateway.key, "aws_secret_access_key": gateway.secret}
    boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{gateway.port}", region_name="us-east-1", **access
    ).create_bucket(Bucket=BUCKET)


def _prometheus_config(home: Path, rules: Path, every: str) -> Path:
    """The configuration of infra/prometheus, with this cluster's list of nodes."""
    config = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": every, "evaluation_interval": every}
    config["rule_files"] = [str(rules)]
    listed = str(home / "r" / "ray" / "prom_metrics_service_discovery.json")
    config["scrape_configs"][0]["file_sd_configs"] = [{"files": [listed], "refresh_interval": "5s"}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    return home / "prometheus.yml"


@contextlib.contextmanager
def _process(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a process in a group of its own, which ends with the block."""
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)


def _answers(url: str, token: str = "") -> bool:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(is_there: Callable[[], bool], what: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} does not answer")
        time.sleep(0.2)


def main() -> None:
    """Start the stack and say how it is used."""
    if why := missing():
        raise SystemExit(why)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with running() as stack, contextlib.suppress(KeyboardInterrupt):
        for name, value in stack.environment.items():
            if name != "HOME":
                print(f"export {name}={value}")
        print(f"# nst run pairs.csv --output s3://{BUCKET}/out --address {stack.address}")
        print(f"# nst submit night.yaml --address {stack.dashboard}\n# alerts: {stack.prometheus}/alerts", flush=True)
        over.wait()


if __name__ == "__main__":
    main()
