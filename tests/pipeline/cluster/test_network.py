"""What a cluster of this machine's own listens on, and that it asks for a token."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
