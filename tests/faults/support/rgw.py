"""A genuine S3 server on loopback: Ceph's RADOS gateway, with one monitor and one store in memory.

From Debian's packages radosgw, ceph-mon and ceph-osd. Unlike a mock it refuses bad signatures, honours conditions, and
is a process that can be killed and stopped.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool")

CONFIG = """
[global]
fsid = {fsid}
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = {port_min}
ms bind port max = {port_max}
keyring = {home}/keyring
run dir = {home}/run
crash dir = {home}/out
admin socket = {home}/run/$name.asok
pid file = {home}/run/$name.pid
log file = {home}/out/$name.log
log to stderr = false
err to stderr = false
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 2
osd pool default pgp num = 2
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
paxos propose interval = 0.02
paxos min wait = 0.01
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 1073741824
[mon]
mon data = {home}/mon
mon initial members = a
[osd]
osd data = {home}/osd
osd heartbeat grace = 600
[client]
rgw relaxed region enforcement = true
rgw thread pool size = 64
"""


def installed() -> bool:
    """Whether this machine has the programs."""
    return all(shutil.which(program) for program in NEEDED)


@dataclass(frozen=True)
class Gateway:
    """A server that runs.

    Attributes:
        home: its folder.
        port: on loopback.
        key: of its one user.
        secret: likewise.
    """

    home: Path
    port: int
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What clients need to know."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Serve requests; what was stored before is there."""
        frontend = f"--rgw-frontends=beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1"
        _say(self.home, "radosgw", "-n", "client.rgw.a", frontend)
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        raise TimeoutError("the gateway does not answer")

    def kill(self) -> None:
        """Refuse connections from now on."""
        pid = self._pid("client.rgw.a")
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            time.sleep(0.02)

    def add_user(self, name: str, key: str, secret: str) -> None:
        """Add a user, who has nothing yet."""
        _say(
            self.home,
            *("radosgw-admin", "user", "create", "--uid", name, "--display-name", name),
            *("--access-key", key, "--secret-key", secret),
        )

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Take connections and answer none."""
        pid = self._pid("client.rgw.a")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _pid(self, name: str) -> int:
        return int((self.home / "run" / f"{name}.pid").read_text())


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Gateway]:
    """An empty server in a new folder; it ends with the block, and its data with it."""
    for name in ("mon", "osd", "out", "run"):
        (home / name).mkdir(parents=True)
    port, monitor2, monitor1 = _free_ports(3)
    monitor = f"[v2:127.0.0.1:{monitor2},v1:127.0.0.1:{monitor1}]"
    lowest = 20_000 + secrets.randbelow(200) * 50
    settings = {"fsid": uuid.uuid4(), "monitor": monitor, "home": home, "port_min": lowest, "port_max": lowest + 49}
    (home / "ceph.conf").write_text(CONFIG.format(**settings))
    gateway = Gateway(home, port, secrets.token_hex(10), secrets.token_hex(20))
    keys, keyring = str(home / "monmap"), str(home / "keyring")
    try:
        _run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name, caps in {
            "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
            "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
            "client.rgw.a": ["mon", "allow rw", "osd", "allow rwx"],
        }.items():
            given = [word for kind, cap in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", kind, cap)]
            _run("ceph-authtool", keyring, "--gen-key", "-n", name, *given)
        _run("monmaptool", "--create", "--clobber", "--addv", "a", monitor, "--fsid", str(settings["fsid"]), keys)
        _say(home, "ceph-mon", "--mkfs", "-i", "a", "--monmap", keys, "--keyring", keyring)
        _say(home, "ceph-mon", "-i", "a")
        store = str(uuid.uuid4())
        _say(home, "ceph", "--connect-timeout", "30", "osd", "new", store)
        _say(home, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        _say(home, "ceph-osd", "-i", "0")
        user = ["--uid", "test", "--display-name", "test"]
        access = ["--access-key", gateway.key, "--secret-key", gateway.secret]
        _say(home, "radosgw-admin", "user", "create", *user, *access)
        gateway.start()
        yield gateway
    finally:
        for file in (home / "run").glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)


def _say(home: Path, program: str, *words: str) -> None:
    _run(program, "-c", str(home / "ceph.conf"), *words)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in taken]
