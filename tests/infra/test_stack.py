"""The local stack under a real run in which all goes wrong: every alert fires, and the dashboard has its figures."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.infra.support import stack
from tests.infra.support.stack import BUCKET, Stack
from tests.support import REPOSITORY, draw
from tests.test_dashboards import RULES, alerts, dashboard_queries

TIMES_FASTER = 30
"""By how much durations of the rules are shortened: a quarter of an hour becomes half a minute."""

SHORTEST = 20
"""Seconds of the shortest window or wait: a driver tells every ten that it lives."""

EVERY = 5
"""Seconds after which metrics are reported and scraped again, which is also what a scrape may take."""

ROWS = 400
"""More than a run gets done meanwhile."""


def shortened(text: str) -> str:
    """Rules whose windows, waits and bounds in seconds are so many times shorter."""
    text = re.sub(r"\b(\d+)m\b", lambda found: f"{max(int(found[1]) * 60 // TIMES_FASTER, SHORTEST)}s", text)
    return re.sub(r"(_seconds\[\w+\]\)\) > )(\d+)", lambda found: f"{found[1]}{int(found[2]) // TIMES_FASTER}", text)


def test_windows_and_waits_are_shortened() -> None:
    assert shortened("rate(x[15m]) > 1\nfor: 45m, [5m]") == "rate(x[30s]) > 1\nfor: 90s, [20s]"
    assert shortened("max by (x) (last_over_time(a_seconds[5m])) > 3600") == (
        "max by (x) (last_over_time(a_seconds[20s])) > 120"
    )
    assert not re.search(r"\d[mh]\b|> \d{4}", shortened(RULES.read_text("utf-8")))


def picture(seed: int) -> bytes:
    file = BytesIO()
    Image.fromarray(draw(seed, 48, 48)).save(file, "png")
    return file.getvalue()


class Troubled(ThreadingHTTPServer):
    """Pictures that come late and at the third try, go before they are read, or kill whoever asks for them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: dict[str, int] = {}
        self.killed, self.spared = 0, 0


class Handler(BaseHTTPRequestHandler):
    """Answers by the name of the picture."""

    server: Troubled
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def asking(self) -> int:
        """The process at the other end of the connection."""
        command = ["ss", "--no-header", "--tcp", "--numeric", "--processes", f"sport = :{self.client_address[1]}"]
        found = re.search(r"pid=(\d+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return int(found[1]) if found else self.server.spared

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        whole = self.headers.get("Range") is None
        if "deadly" in name and whole and (victim := self.asking()) != self.server.spared:
            self.server.killed += 1
            os.kill(victim, signal.SIGKILL)
            return
        self.server.asked[name] = self.server.asked.get(name, 0) + 1
        code = 404 if "missing" in name and whole else 503 if self.server.asked[name] % 3 else 200
        if code == 200 and whole:
            time.sleep(2)
        body = picture(len(name)) if code == 200 else b""
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


@pytest.fixture
def troubled() -> Iterator[Troubled]:
    server = Troubled()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(running: Stack, path: str, **words: str) -> Any:
    """What Prometheus answers."""
    with urllib.request.urlopen(
        f"{running.prometheus}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=10
    ) as said:
        return json.loads(said.read())["data"]


def firing(running: Stack) -> set[str]:
    return {one["labels"]["alertname"] for one in ask(running, "alerts")["alerts"] if one["state"] == "firing"}


def wait_for_end(running: Stack, wanted: set[str], seconds: float) -> None:
    """Wait until none of some alerts fires any more."""
    until = time.monotonic() + seconds
    while left := wanted & firing(running):
        assert time.monotonic() < until, f"{sorted(left)} did not end"
        time.sleep(1)


def wait_for(running: Stack, wanted: set[str], run: subprocess.Popen[str], seconds: float) -> None:
    """Wait until each of some alerts has fired."""
    seen: set[str] = set()
    until = time.monotonic() + seconds
    while not wanted <= seen:
        assert time.monotonic() < until, f"{sorted(wanted - seen)} did not fire"
        assert run.poll() is None, run.stderr and run.stderr.read()[-3000:]
        seen |= firing(running)
        time.sleep(1)


def signal_actors(number: signal.Signals, home: str) -> None:
    """Send a signal to the processes that optimise, of this stack."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = f"HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if ours and b"_Stylise" in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), number)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.skipif(bool(stack.missing()), reason=stack.missing())
@pytest.mark.skipif(not shutil.which("ss"), reason="needs iproute2")
def test_alerts_fire_and_the_dashboard_has_figures(
    tmp_path: Path, troubled: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else whatever runs beside the test comes before its workers
    (tmp_path / "rules.yml").write_text(shortened(RULES.read_text("utf-8")))
    at = f"http://127.0.0.1:{troubled.server_port}"
    (tmp_path / "style.png").write_bytes(picture(0))
    kinds = ["deadly"] + ["missing" if row % 4 == 3 else "late" for row in range(ROWS)]
    lines = [f"{at}/{number:03}{kind}.png,{tmp_path}/style.png" for number, kind in enumerate(kinds)]
    (tmp_path / "rows.csv").write_text("content,style\n" + "\n".join(lines) + "\n")
    (tmp_path / "first.csv").write_text("content,style\nstyle.png,style.png\n")
    with stack.running(tmp_path / "rules.yml", seconds=EVERY) as running:
        words = ["--output", f"s3://{BUCKET}/output/night", "--no-report"]
        words += ["--address", running.address, "--batch-size", "1", "--set", "size=48", "--set", "iterations=5"]
        words += ["--allow-read", at, "--allow-read", str(tmp_path), "--set", "scales=", "--num-actors", "1"]
        environment = {**os.environ, **running.environment, "PYTHONPATH": str(REPOSITORY)}
        environment |= {"NST_STORAGE_FIRST_DELAY": "0.05"}
        command = [sys.executable, "-m", "jobs.cli", "run"]
        # One that comes to its end, of which the next one tells when that was.
        ended = subprocess.run([*command, str(tmp_path / "first.csv"), *words], env=environment, check=False)
        assert ended.returncode == 0
        with subprocess.Popen(
            [*command, str(tmp_path / "rows.csv"), *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as run:
            troubled.spared = run.pid
            try:
                early = {rule["alert"] for rule in alerts()} - {"NstRunStalls"}
                wait_for(running, early, run, seconds=1500)
                assert troubled.killed >= 2
                empty = [query for query in dashboard_queries() if not ask(running, "query", query=query)["result"]]
                assert empty == []
                signal_actors(signal.SIGSTOP, running.environment["HOME"])
                wait_for(running, {"NstRunStalls"}, run, seconds=900)
                run.kill()
                run.wait()
                # Its counters are still exported, and nobody is called for a run that there is no more.
                wait_for_end(running, {"NstRunStalls", "NstRowsQuarantined"}, seconds=180)
                assert ask(running, "query", query='ray_nst_rows_total{status="quarantined"}')["result"]
            finally:
                run.kill()
                signal_actors(signal.SIGCONT, running.environment["HOME"])


COMPOSE: dict[str, Any] = yaml.safe_load((stack.INFRA / "stack" / "compose.yaml").read_text("utf-8"))


def test_parts_of_the_compose_file_fit_together() -> None:
    services, folder = COMPOSE["services"], stack.INFRA / "stack"
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source == mount:  # a volume of nobody else
                continue
            assert (folder / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], (name, mount)
        assert set(service.get("depends_on", {})) <= set(services)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert ":latest" not in service["image"]
        assert not service["image"].startswith("minio/")  # from there it is gone
    assert (folder / services["head"]["build"]["context"] / services["head"]["build"]["dockerfile"]).exists()
    for name in ("head", "worker", "worker-gpu"):  # what a service says of its volumes replaces what all nodes have
        assert "./access.json:/etc/nst/access.json:ro" in services[name]["volumes"]


def resolved(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What Docker's own Compose makes of the file, for which it needs no engine."""
    spec = importlib.util.find_spec("compose")  # the program itself: what starts it drops its exit code
    assert spec
    assert spec.origin
    program, file = Path(spec.origin).parent / "docker-compose", stack.INFRA / "stack" / "compose.yaml"
    command = [str(program), "--file", str(file), *words, "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_compose_takes_the_file() -> None:
    ended = resolved("--profile", "gpu", NST_TOKEN="a token", NST_DEVICE="cuda")
    assert ended.returncode == 0, ended.stderr
    services = json.loads(ended.stdout)["services"]
    assert services.keys() == COMPOSE["services"].keys()
    for name in ("head", "worker", "worker-gpu"):
        assert services[name]["build"]["args"] == {"DEVICE": "cuda"}
        assert services[name]["environment"]["RAY_AUTH_TOKEN"] == "a token"
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    binds = [mount for mount in mounts if mount["type"] == "bind"]
    assert [mount["source"] for mount in binds if not Path(mount["source"]).exists()] == []
    assert all(mount["read_only"] for mount in binds)


def test_compose_starts_nothing_without_a_token() -> None:
    ended = resolved()
    assert ended.returncode != 0
    assert "export NST_TOKEN=$(openssl rand -hex 32)" in ended.stderr


def test_nodes_of_the_compose_file_have_no_rights_and_time_to_drain() -> None:
    for name in ("head", "worker", "worker-gpu"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["user"] == "1000:1000"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["shm_size"] == "1gb"
        assert service["entrypoint"] == ["/usr/bin/tini", "--"]  # which passes SIGTERM on
        settings = service["environment"]
        assert settings["RAY_AUTH_MODE"] == "token"
        assert settings["RAY_AUTH_TOKEN"].startswith("${NST_TOKEN:?")  # without one nothing starts
        drain, grace = settings["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"], service["stop_grace_period"]
        assert int(drain) < int(grace.removesuffix("s"))
        assert "--block" in service["command"]
        assert "--metrics-export-port=8080" in service["command"]
    head = COMPOSE["services"]["head"]
    assert "--head" in head["command"]
    assert "--num-cpus=0 --num-gpus=0" in head["command"]  # no row beside the driver
    assert COMPOSE["services"]["worker"]["depends_on"] == {"head": {"condition": "service_healthy"}}
    assert "--address=head:6379" in COMPOSE["services"]["worker"]["command"]
    gpu = COMPOSE["services"]["worker-gpu"]
    assert (gpu["profiles"], gpu["gpus"]) == (["gpu"], "all")


def test_the_stack_has_a_bucket_and_prometheus_its_rules() -> None:
    services = COMPOSE["services"]
    assert f"s/{BUCKET}" in services["bucket"]["command"][0]
    assert services["head"]["depends_on"] == {"bucket": {"condition": "service_completed_successfully"}}
    assert services["bucket"]["depends_on"] == {"store": {"condition": "service_healthy"}}
    assert services["store"]["healthcheck"]["test"] == ["CMD", "mc", "ready", "local"]
    prometheus = yaml.safe_load((REPOSITORY / "infra" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    assert prometheus["rule_files"] == [RULES.name]
    # A driver sets its gauges every ten seconds, and Ray drops them soon: what is scraped more seldom misses them.
    assert prometheus["global"] == {"scrape_interval": "10s", "evaluation_interval": "10s"}


def test_the_stacks_dashboard_and_source_are_where_grafana_looks() -> None:
    folder = stack.INFRA / "stack" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "nst.yaml").read_text("utf-8"))["providers"]
    mounts = dict(mount.split(":")[:2] for mount in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["../grafana"] == provider["options"]["path"]
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    assert (provider["name"], provider["type"]) == ("nst", "file")
    grafana = COMPOSE["services"]["grafana"]["environment"]
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert grafana["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{provider['options']['path']}/nst.json"
    prometheus = yaml.safe_load((stack.INFRA / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (listed,) = prometheus["scrape_configs"][0]["file_sd_configs"][0]["files"]
    mounted = [mount.split(":")[1] for mount in COMPOSE["services"]["prometheus"]["volumes"]]
    assert listed.startswith(f"{mounted[1]}/ray/")
    access = json.loads((stack.INFRA / "stack" / "access.json").read_text("utf-8"))
    assert access["allow_write"] == [f"s3://{BUCKET}/output"]
