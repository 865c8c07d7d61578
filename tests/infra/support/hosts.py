"""Hosts on this machine: network namespaces with names and addresses of their own, from which nothing gets out.

Files are shared, as on machines with one file system; /tmp is each host's own, but for folders in it that are named.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY

NEEDED = ("ip", "unshare", "nsenter")

NETWORK = "10.77.0"
"""Of which the hosts have addresses; nothing outside of their namespaces reaches it."""

BECOME_HOST = """
set -eu
hostname "$HOST"
mount --bind "$NAMES" /etc/hosts
for folder in $SHARED; do
    case $folder in /tmp/*)
        mkdir -p "$SCRATCH${folder#/tmp}"
        mount --bind "$folder" "$SCRATCH${folder#/tmp}"
    esac
done
mount --rbind "$SCRATCH" /tmp
cd /
exec "$@"
"""


def missing() -> str:
    """Return why there can be no such hosts here; empty if there can."""
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        return "hosts of their own need root, and Debian's iproute2"
    probe = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "this machine allows no network namespaces"


@dataclass
class Started:
    """A command that was started on a host, and all processes that it starts: they end with it.

    Attributes:
        process: which waits for the command, and ends as it does.
        log: what it writes.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.log.read_text("utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal; SIGKILL ends the host's processes at once, as a loss of power does."""
        os.kill(self._first, number)

    def beside(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> "Started":
        """Start another command among its processes, as whoever logs in to that host does."""
        inside = ["nsenter", "--target", str(self._first), "--net", "--uts", "--mount", "--pid"]
        return _started([*inside, *command], environment, log)

    @property
    def _first(self) -> int:
        """Return the number, on this machine, of the command itself: the first process of its namespace."""
        asked = ["ps", "-o", "pid=", "--ppid", str(self.process.pid)]
        until = time.monotonic() + 60
        while not (found := subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, "it does not start"
            time.sleep(0.1)
        return int(found[0])


@dataclass(frozen=True)
class Host:
    """A host.

    Attributes:
        name: by which the hosts know it.
        address: in their network.
        namespace: of the kernel of this machine.
        home: folder that all hosts share.
    """

    name: str
    address: str
    namespace: str
    home: Path

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
        """Start a command on it that sees no process but its own."""
        inside = ["ip", "netns", "exec", self.namespace]
        inside += ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        scratch = self.home / f"tmp-{self.name}"
        scratch.mkdir(mode=0o1777, exist_ok=True)
        own = {"HOST": self.name, "SCRATCH": str(scratch), "NAMES": str(self.home / "hosts")}
        own["SHARED"] = f"{self.home} {REPOSITORY}"
        return _started([*inside, "bash", "-c", BECOME_HOST, "host", *command], {**environment, **own}, log)


def _started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=file, stderr=file, start_new_session=True
        )
    return Started(process, log)


@contextlib.contextmanager
def hosts(count: int, home: Path) -> Iterator[list[Host]]:
    """Make hosts that reach each other and nothing else; they and their processes are gone after the block.

    Args:
        count: of hosts, which are called host0 and so on.
        home: folder that they share, along with the project.
    """
    mark = uuid.uuid4().hex[:6]
    hub, names = f"nst-{mark}", [f"nst-{mark}-{number}" for number in range(count)]
    addresses = [f"{NETWORK}.{10 + number}" for number in range(count)]
    (home / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} host{n}\n" for n, a in enumerate(addresses)))
    made: list[str] = []
    try:
        for name in (hub, *names):
            _ip("netns", "add", name)
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", hub, "link", "set", "br0", "up")
        for number, (name, address) in enumerate(zip(names, addresses, strict=True)):
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"v{number}", "netns", hub)
            _ip("-n", hub, "link", "set", f"v{number}", "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "route", "add", "default", "dev", "eth0")  # Ray asks by which address it would leave
        yield [
            Host(f"host{number}", address, name, home)
            for number, (name, address) in enumerate(zip(names, addresses, strict=True))
        ]
    finally:
        for name in made:
            _end_all_of(name)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _end_all_of(namespace: str) -> None:
    """End the processes of a namespace, which all were started in it by this module."""
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
    for pid in map(int, listed.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
