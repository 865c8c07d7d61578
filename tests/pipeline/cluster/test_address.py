"""Addresses from which no run can be driven are told before anything is begun, and leave no lock."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import ray
from ray._private import services

from pipeline.cluster import check_address
from pipeline.flow.run import run
from pipeline.layout import lock_file
from pipeline.options import Resources, RunOptions
from tests.e2e.conftest import as_csv, furnish

ROWS: list[dict[str, object]] = [{"content": "photo.png", "style": "painting.png"}]


@pytest.fixture(autouse=True)
def nobody_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def head() -> Iterator[str]:
    """The address of something that answers, and is no node's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dashboard() -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"ray_version": "2.52.0"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_cluster_of_other_machines_is_not_driven_from_here(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.setattr("pipeline.cluster.address.GCS_PORT", int(head.rpartition(":")[2]))
    with pytest.raises(ValueError, match=rf"^address {head}: no node of that cluster is on this machine; .*nst submit"):
        check_address(head)


def test_from_a_node_it_is(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_gcs_addresses", lambda: {"10.0.0.1:6379"})
    monkeypatch.setattr("pipeline.cluster.address.GCS_PORT", int(head.rpartition(":")[2]))
    check_address(head)
    for of_our_own in (None, "local"):
        check_address(of_our_own)


def test_a_dashboard_is_named(dashboard: str) -> None:
    for address in (dashboard, f"http://{dashboard}"):
        with pytest.raises(ValueError, match=f"^address {address}: it is the address of a dashboard; .*nst submit"):
            check_address(address)


def test_rays_client_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^address ray://head:10001: through Ray's client no run .*nst submit"):
        check_address("ray://head:10001")


@pytest.mark.parametrize("address", ["ray://head:10001", "127.0.0.1:1"])
def test_such_a_run_leaves_nothing(address: str, tmp_path: Path) -> None:
    studio = furnish(tmp_path)
    manifest = studio.write("rows.csv", as_csv(ROWS))
    with pytest.raises(ValueError, match=f"^address {address}: "):
        run(str(manifest), RunOptions(output=studio.output, resources=Resources(address=address)))
    assert not Path(lock_file(studio.output)).exists()
    assert not Path(studio.output).exists()
