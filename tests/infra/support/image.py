"""The image, really built without a container engine, and commands run in it as a cluster runs them.

`debootstrap` makes the base and `buildah` builds in a chroot. Commands have the root of the image read-only, its user,
its environment, no network but loopback, and processes and /tmp of their own.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
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


@contextlib.contextmanager
def built(home: Path, weights: Path) -> Iterator[Image]:
    """Build the image in a folder, with a folder of weights in it, and let it be used; all of it is removed again."""
    # overlay is spared the copy of gigabytes that each step is with vfs; not every machine has it.
    driver = "overlay" if _has_overlays(home) else "vfs"
    store = ("--root", str(home / "store"), "--runroot", str(home / "run"), "--storage-driver", driver)

    def buildah(*words: str) -> str:
        ended = subprocess.run(["buildah", *store, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, (words, ended.stdout[-3000:], ended.stderr[-3000:])
        return ended.stdout.strip()

    base = home / "base"
    subprocess.run(["debootstrap", "--variant=minbase", RELEASE, base, MIRROR], check=True, capture_output=True)
    if TRUSTED.exists():  # whom this machine trusts when it installs packages, the image's pip shall trust
        shutil.copy(TRUSTED, base / "etc" / "trusted.crt")
        (base / "etc" / "pip.conf").write_text("[global]\ncert = /etc/trusted.crt\n", "utf-8")
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, str(base), "/")
    buildah("commit", "--quiet", "--rm", container, "localhost/base")
    shutil.rmtree(base)
    arguments = ("--build-arg", "BASE=localhost/base", "--build-context", f"weights={weights}")
    isolation = ("--isolation", "chroot", "--network", "host", "--format", "docker")  # OCI's has no health check
    buildah("bud", *isolation, *arguments, "--file", "infra/container/Dockerfile", "--tag", "localhost/nst", ".")
    container = buildah("from", "localhost/nst")
    try:
        config = json.loads(buildah("inspect", "--type", "image", "localhost/nst"))["Docker"]["config"]
        root = Path(buildah("mount", container))
        yield Image(root, config["User"], tuple(config["Env"]), config)
    finally:
        buildah("umount", container)
        buildah("rm", container)
        shutil.rmtree(home / "store", ignore_errors=True)


def _has_overlays(home: Path) -> bool:
    """Whether a folder can be the upper one of a mount of the kind overlay."""
    folders = {name: home / "probe" / name for name in ("lowerdir", "upperdir", "workdir", "mounted")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    options = ",".join(f"{name}={folder}" for name, folder in folders.items() if name != "mounted")
    mount = ["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", str(folders["mounted"])]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0
