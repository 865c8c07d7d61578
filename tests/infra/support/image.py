"""The image, really built without a container engine, and commands run in it as a cluster runs them.

`debootstrap` makes the base and `buildah` builds in a chroot. Commands have the root of the image read-only, its user,
its environment, no network but loopback, and processes and /tmp of their own.
"""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support import REPOSITORY

NEEDED = ("buildah", "debootstrap", "unshare", "chroot", "ip")
RELEASE, MIRROR = "bookworm", "http://deb.debian.org/debian"
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")

INSIDE = """
set -eu
ip link set lo up
mount --bind "$0" "$0"
mount -o remount,ro,bind "$0"
mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot --userspec="$OWNER" "$0" env --ignore-environment --chdir=/tmp "$@"
"""
"""What is $0 is the root; OWNER runs variables and a command."""


def missing() -> str:
    """Return why no image can be built here; empty if one can."""
    lacking = [tool for tool in NEEDED if not shutil.which(tool)]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install buildah debootstrap iproute2"
    return "" if os.geteuid() == 0 else "building without a container engine needs root"


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        root: its files.
        user: who runs in it.
        variables: its environment, as NAME=VALUE.
        config: all that it says of itself, as the OCI has it.
    """

    root: Path
    user: str
    variables: tuple[str, ...]
    config: dict[str, object]

    def run(self, *command: str, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and return what it wrote and how it ended."""
        inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, str(self.root)]
        return subprocess.run(
            [*inside, *self.variables, *command],
            env={**os.environ, "OWNER": self.user},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )


@dataclass
class Builder:
    """Builds images in a folder, upon one base.

    Attributes:
        store: options of buildah, by which it keeps everything below the folder.
        containers: that were made of images, whose files are mounted.
    """

    store: tuple[str, ...]
    containers: list[str] = field(default_factory=list)

    def buildah(self, *words: str) -> str:
        """Run buildah, and return what it wrote."""
        command = ["buildah", *self.store, *words]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, (words, ended.stdout[-3000:], ended.stderr[-3000:])
        return ended.stdout.strip()

    def make_base(self, folder: Path) -> None:
        """Make the base: a distribution, in which whom this machine trusts when it installs packages is trusted too."""
        subprocess.run(["debootstrap", "--variant=minbase", RELEASE, folder, MIRROR], check=True, capture_output=True)
        if TRUSTED.exists():
            shutil.copy(TRUSTED, folder / "etc" / "trusted.crt")
            (folder / "etc" / "pip.conf").write_text("[global]\ncert = /etc/trusted.crt\n", "utf-8")
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(folder), "/")
        self.buildah("commit", "--quiet", "--rm", container, "localhost/base")
        shutil.rmtree(folder)

    def image(self, name: str, *options: str, **arguments: str) -> Image:
        """Build an image, with options of a build and values of its arguments."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        isolation = ("--isolation", "chroot", "--network", "host", "--format", "docker")  # OCI's has no health check
        file, tag = "infra/container/Dockerfile", f"localhost/{name}"
        base = ("--build-arg", "BASE=localhost/base")
        self.buildah("bud", *isolation, *base, *given, *options, "--file", file, "--tag", tag, ".")
        self.containers.append(self.buildah("from", tag))
        config = json.loads(self.buildah("inspect", "--type", "image", tag))["Docker"]["config"]
        root = Path(self.buildah("mount", self.containers[-1]))
        return Image(root, config["User"], tuple(config["Env"]), config)


@contextlib.contextmanager
def building(home: Path) -> Iterator[Builder]:
    """Let images be built in a folder, and used; all of them are removed again."""
    # overlay is spared the copy of gigabytes that each step is with vfs; not every machine has it.
    driver = "overlay" if _has_overlays(home) else "vfs"
    builder = Builder(("--root", str(home / "store"), "--runroot", str(home / "run"), "--storage-driver", driver))
    try:
        builder.make_base(home / "base")
        yield builder
    finally:
        for container in builder.containers:
            builder.buildah("umount", container)
            builder.buildah("rm", container)
        shutil.rmtree(home / "store", ignore_errors=True)


def lacks(index: str, versions: Mapping[str, str]) -> str:
    """Return why packages of some versions are not to be had at an index; empty if all are."""
    for package, version in versions.items():
        wanted = f"{package}-{version}-"
        try:
            with urllib.request.urlopen(f"{index}/{package}/", timeout=60) as page:
                links = urllib.parse.unquote(page.read().decode())
        except OSError as error:
            return f"{index} cannot be reached: {error}"
        if wanted not in links:
            return f"{index} has no {package} {version}"
    return ""


@contextlib.contextmanager
def index_of_stand_ins(home: Path, versions: Mapping[str, str]) -> Iterator[str]:
    """Serve an index of wheels that are called as builds for CPUs are and hold next to nothing; yield its address.

    Args:
        home: folder of the wheels.
        versions: by package.
    """
    for package, version in versions.items():
        (home / package).mkdir(parents=True)
        told = f"{package}-{version}.dist-info"
        files = {
            f"{package}/__init__.py": f'__version__ = "{version}"\n',
            f"{told}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
            f"{told}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{told}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{told}/RECORD"])
        with zipfile.ZipFile(home / package / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
            for name, text in files.items():
                wheel.writestr(name, text)
    handler = functools.partial(_Quiet, directory=str(home))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _has_overlays(home: Path) -> bool:
    """Whether a folder can be the upper one of a mount of the kind overlay."""
    folders = {name: home / "probe" / name for name in ("lowerdir", "upperdir", "workdir", "mounted")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    options = ",".join(f"{name}={folder}" for name, folder in folders.items() if name != "mounted")
    mount = ["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", str(folders["mounted"])]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0
