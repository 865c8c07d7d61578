"""Outputs on a file system that is really full, read-only or forbidden: the command says so, and leaves nothing half.

Small file systems are mounted in a name space of the test's own, which a kernel lets anybody do, or nobody.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import as_csv, furnish
from tests.support import REPOSITORY

UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
AS_ANYBODY = "setpriv --bounding-set=-all --inh-caps=-all"
"""Modes stop a superuser only where it has put its rights away."""


def can_mount() -> bool:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    return not subprocess.run([*UNSHARE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode


pytestmark = pytest.mark.skipif(not can_mount(), reason="this kernel lets nobody mount a file system of their own")

PREPARE = """
export PYTHONPATH={repository}
cd {home} && mkdir full read-only forbidden medium
mount -t tmpfs -o size=64k none full && head -c 60000 /dev/zero > full/something
mount -t tmpfs none read-only && mount -o remount,ro read-only
chmod 555 forbidden
mount -t tmpfs -o size=700k none medium
cd {repository}
"""

RUN = """
import sys
from jobs.cli import main
_, home, size, *places = sys.argv
for place in places:
    sys.argv = f"nst run {home}/rows.csv -o {home}/{place} --num-actors 1 --set size={size} --set upscale=1".split()
    sys.argv += ["--set", "iterations=2"]
    try:
        main()
    except SystemExit as end:
        print("exit code", end.code, "of", place)
"""


def nst_run(folder: Path, *places: str, size: int = 48) -> subprocess.CompletedProcess[str]:
    """`nst run` into each place, in one process; what lies there afterwards is listed on stdout."""
    studio = furnish(folder)
    pair = {"content": "photo.png", "style": "painting.png"}
    studio.write("rows.csv", as_csv([{**pair, "seed": n, "id": n} for n in range(4)]))
    studio.write("run.py", RUN)
    script = PREPARE.format(home=folder, repository=REPOSITORY)
    script += f"{AS_ANYBODY} {sys.executable} {folder}/run.py {folder} {size} {' '.join(places)}\n"
    script += f"cd {folder}; ls -AR full read-only forbidden medium"
    return subprocess.run([*UNSHARE, script], capture_output=True, text=True, check=False, timeout=300)


def test_a_run_into_such_a_place_does_not_begin(tmp_path: Path) -> None:
    done = nst_run(tmp_path, "full", "read-only", "forbidden")
    said = {
        "full": "no space is left there: free some",
        "read-only": "it is on a read-only file system",
        "forbidden": "no permission: allow it to this user",
    }
    for place, why in said.items():
        assert f"exit code 2 of {place}\n" in done.stdout
        (line,) = [line for line in done.stderr.splitlines() if f"/{place}/" in line]
        assert why in line
    assert ".part" not in done.stdout
    assert "parquet" not in done.stdout


@pytest.mark.slow
@pytest.mark.ray
def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path) -> None:
    """Four pictures of 512 px do not fit where the probe of a run did."""
    done = nst_run(tmp_path, "medium", size=512)
    assert "exit code 1 of medium" in done.stdout or "exit code 3 of medium" in done.stdout
    assert "no space is left there" in done.stdout + done.stderr
    assert ".part" not in done.stdout
