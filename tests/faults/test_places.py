"""Outputs on a file system that is really full, read-only or forbidden: the command says so, and leaves nothing half.

Each runs in name spaces of its own, where a small file system can be mounted by anybody.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import as_csv, furnish
from tests.support import REPOSITORY

UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def can_mount() -> bool:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    return not subprocess.run([*UNSHARE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode


pytestmark = pytest.mark.skipif(not can_mount(), reason="this kernel lets nobody mount a file system of their own")

PLACES = {
    "full": ("mount -t tmpfs -o size=64k none {out} && head -c 60000 /dev/zero > {out}/full", "no space is left there"),
    "read-only": ("mount -t tmpfs none {out} && mount -o remount,ro {out}", "read-only file system"),
    "forbidden": ("chmod 555 {out}", "no permission"),
}


def nst_run(folder: Path, prepare: str, *, size: int = 48) -> subprocess.CompletedProcess[str]:
    """`nst run` of a manifest of four rows into `out`, without the rights of a superuser to pass over modes."""
    studio = furnish(folder)
    pair = {"content": "photo.png", "style": "painting.png"}
    manifest = studio.write("rows.csv", as_csv([{**pair, "seed": n, "id": n} for n in range(4)]))
    out = folder / "out"
    out.mkdir()
    command = f"{sys.executable} -m jobs.cli run {manifest} --output {out} --num-actors 1 --set iterations=2"
    bounded = f"setpriv --bounding-set=-all --inh-caps=-all {command} --set size={size} --set upscale=true"
    script = f"{prepare.format(out=out)} && {bounded}; code=$?; ls -AR {out} >&2; exit $code"
    return subprocess.run([*UNSHARE, script], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(("prepare", "said"), PLACES.values(), ids=PLACES)
def test_a_run_into_such_a_place_does_not_begin(prepare: str, said: str, tmp_path: Path) -> None:
    done = nst_run(tmp_path, prepare)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert ".part" not in done.stderr
    assert "parquet" not in done.stderr


@pytest.mark.slow
def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path) -> None:
    """Pictures of 512 px do not fit where the probe of a run did."""
    done = nst_run(tmp_path, "mount -t tmpfs -o size=700k none {out}", size=512)
    assert done.returncode in (1, 3), done.stderr
    assert "no space is left there" in done.stdout + done.stderr
    assert ".part" not in done.stderr
