"""Hosts of this machine with addresses of their own: network namespaces on a bridge, from which nothing gets out.

Each has its own processes and its own /tmp/ray; files are shared, as on machines with one file system.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("ip", "unshare", "nsenter")

INSIDE = """
set -eu
mkdir -p /tmp/ray "$SCRATCH"
mount --bind "$SCRATCH" /tmp/ray
mount --bind "$NAMES" /etc/hosts
exec "$@"
"""


def missing() -> str:
    """Return why there can be no such hosts here; empty if there can."""
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        return "network namespaces need root, and iproute2 and util-linux"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "this machine allows no network namespaces"


@dataclass(frozen=True)
class Host:
    """A host.

    Attributes:
        name: of its namespace.
        address: in their network.
        scratch: its own folder, which is /tmp/ray there.
        names: file with the names of all, which is /etc/hosts there.
    """

    name: str
    address: str
    scratch: Path
    names: Path

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command on it, whose processes end with it."""
        inside = ["ip", "netns", "exec", self.name, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with log.open("ab") as file:
            return subprocess.Popen(
                [*inside, "bash", "-c", INSIDE, "host", *command],
                env={**os.environ, **environment, "SCRATCH": str(self.scratch), "NAMES": str(self.names)},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )


@contextlib.contextmanager
def hosts(count: int, home: Path) -> Iterator[list[Host]]:
    """Make hosts that reach each other and nothing else; they are gone after the block."""
    mark = uuid.uuid4().hex[:5]
    hub, names = f"hub{mark}", [f"n{number}{mark}" for number in range(count)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    made: list[str] = []
    try:
        for name in (hub, *names):
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "br0", "type", "bridge")
        ip("-n", hub, "link", "set", "br0", "up")
        found, listed = [], home / "hosts"
        listed.write_text("127.0.0.1 localhost\n" + "".join(f"10.77.0.{10 + n} host{n}\n" for n in range(count)))
        for number, name in enumerate(names):
            address = f"10.77.0.{10 + number}"
            ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"v{number}", "netns", hub)
            ip("-n", hub, "link", "set", f"v{number}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "route", "add", "default", "dev", "eth0")
            found.append(Host(name, address, home / f"ray-{number}", listed))
        yield found
    finally:
        for name in made:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
