"""What a cluster of this machine's own listens on, and that it asks for a token."""

import contextlib
import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private import services

from pipeline.cluster import connection

LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1, ::1 and ::ffff:127.0.0.1 as they are there."""


def descendants(pid: int) -> Iterator[int]:
    """This process and those that it, or one of them, has started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))


def sockets(pid: int) -> Iterator[str]:
    """The inodes of a process' sockets."""
    with contextlib.suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(handle.readlink())
                if target.startswith("socket:"):
                    yield target.removeprefix("socket:[").removesuffix("]")


def listening() -> dict[str, set[str]]:
    """Addresses that this process and those below it listen on, by name of the process."""
    places = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                places[fields[9]] = fields[1].partition(":")[0]
    found: dict[str, set[str]] = {}
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split(" ")[0].rpartition("/")[2]
            found.setdefault(name, set()).update(places[inode] for inode in sockets(pid) if inode in places)
    return found


def test_it_listens_on_loopback_alone(local_ray: None) -> None:
    addresses = listening()
    assert {"raylet", "gcs_server"} <= addresses.keys()
    assert {name: where for name, where in addresses.items() if not where <= set(LOOPBACK)} == {}


def test_it_asks_for_a_token(local_ray: None) -> None:
    authentication = pytest.importorskip("ray._private.authentication.authentication_utils")
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert authentication.is_token_auth_enabled()
    assert (Path.home() / ".ray" / "auth_token").is_file()


def test_a_cluster_elsewhere_is_connected_to_by_the_address_that_it_sees(local_ray: None) -> None:
    constants = importlib.import_module("ray._private.ray_constants")
    assert constants.ENABLE_RAY_CLUSTER  # as Ray has it on Linux: changed for the start of our own cluster alone


CONNECT = """
import sys, ray
from pipeline.cluster import connection
for address in sys.argv[1:]:
    connection.connect(address)
    print(ray.get_runtime_context().gcs_address)
    ray.shutdown()
"""


def test_another_process_of_this_machine_connects_to_it(local_ray: None) -> None:
    here = ray.get_runtime_context().gcs_address
    addresses = [f"{host}:{here.rpartition(':')[2]}" for host in ("127.0.0.1", "localhost")]
    command = [sys.executable, "-c", CONNECT, *addresses]
    done = subprocess.run(command, check=True, timeout=100, capture_output=True, text=True)
    assert done.stdout.split() == [here, here]


@pytest.mark.parametrize("address", ["HOST:PORT", "auto"])
@pytest.mark.parametrize(("listens_on", "reachable"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_ray_looks_for_a_cluster_on_loopback_where_it_listens(
    listens_on: str, reachable: bool, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray takes loopback for the machine's other address, which here is 127.0.0.2, unless it is told not to."""

    class Asked(Exception):
        pass

    def init(*_: object, **__: object) -> None:
        raise Asked(constants.ENABLE_RAY_CLUSTER)

    constants = importlib.import_module("ray._private.ray_constants")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.2")
    with socket.create_server((listens_on, 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(services, "find_gcs_addresses", set)
        monkeypatch.setattr(services, "find_bootstrap_address", lambda _: place)
        with pytest.raises(Asked) as asked:
            connection.connect("auto" if address == "auto" else place)
    assert asked.value.args == (reachable,)
