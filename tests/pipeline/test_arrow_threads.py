"""What commands read that soon end is decoded without Arrow's threads.

One that gives a buffer back to Python while the interpreter ends makes the process abort, after all its work was done.
"""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.archives import index
from pipeline.outputs import commit, layout, provenance
from tests.support import REPOSITORY

pytestmark = pytest.mark.xdist_group("arrow")  # which is loaded once

SCRIPT = """
import glob, os, sys, time
import numpy, pyarrow.parquet, pyarrow.compute
from pipeline.archives.index import read_index
from pipeline.manifest import read_manifest
from pipeline.outputs import query, read_parts, read_results
acts = {
    "results": lambda: (read_results("."), query.select(".", where=["status=ok"])),
    "parts": lambda: read_parts(".", ["id"], reduced=lambda _, table: table),
    "manifest": lambda: read_manifest("rows.parquet", encoder_sha256="e"),
    "index": lambda: read_index("."),
}
def threads():
    names = [open(path).read().strip() for path in glob.glob("/proc/self/task/*/comm")]
    return len([name for name in names if name != "jemalloc_bg_thd"])
for what, act in acts.items():
    if os.fork():
        print(what, os.wait()[1], flush=True)
        continue
    before = threads()
    act()
    for _ in range(100):  # threads of Python's are gone a moment after they are joined, Arrow's never
        if threads() <= before:
            break
        time.sleep(0.1)
    print(max(threads() - before, 0), end=" ")
    break
"""
"""Does each in a fork, which ends as a process does, and prints how many threads stay, what it did and its status."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What is printed when each thing was read, and what errors say."""
    folder = tmp_path_factory.mktemp("read")
    for k in range(3):
        commit(str(folder), [{"id": f"{k:016}", "status": "ok", "finished_at": provenance.now()}])
    rows = [{"content": f"/{k}.jpg", "style": "/s.jpg"} for k in range(50)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    entry = {"id": "0" * 16, "fingerprint": "f" * 16, "original": "/a.jpg", "path": "a.jpg", "style": "s"}
    table = pa.Table.from_pylist([entry | {"status": "ok"}], schema=index.SCHEMA)
    pq.write_table(table, layout.index_file(str(folder)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("what", ["results", "parts", "manifest", "index"])
def test_what_is_small_is_read_without_threads(what: str, ended: tuple[str, str]) -> None:
    said, errors = ended
    assert f"0 {what} 0" in said.splitlines(), said + errors
