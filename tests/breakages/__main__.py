"""`make breakages`: break the code line by line in a copy of it; each time, the named test must fail.

`make breakages ONLY="ID ID"` tries some. First all named tests are run unbroken, since one that always fails notices
nothing. What was caught is kept in caught.json, from which CONTRIBUTING has its figure (`make readmes`).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.breakages.breakages import Breakage, breakages, keep
from tests.breakages.processes import PASSED, Trial, run_all
from tests.support import REPOSITORY
from tests.test_structure import files

SECONDS = 120
"""That a test may take: a breakage may make it hang, which counts as noticed."""

VERDICTS = {0: "survived", 1: "caught"}
"""By pytest's exit code."""


def main() -> None:
    """Try the breakages that are named, or all of them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="ID", help="of a breakage; by default all")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="tests at a time")
    options = parser.parse_args()
    every = {breakage.id: breakage for breakage in breakages()}
    if unknown := set(options.only) - every.keys():
        raise SystemExit(f"{', '.join(sorted(unknown))}: expected ids of breakages, see tests/breakages/*.toml")
    chosen = [every[id] for id in options.only or every]
    with tempfile.TemporaryDirectory(prefix="nst-breakages-") as folder:
        copies = [_copy(Path(folder, str(number))) for number in range(max(1, options.processes))]
        _check_unbroken(sorted({breakage.test for breakage in chosen}), copies)
        verdicts = _try_all(chosen, copies)
    keep(verdicts, [id for id, verdict in verdicts.items() if verdict == "caught"])
    missed = {id: verdict for id, verdict in verdicts.items() if verdict != "caught"}
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} caught")
    for id, verdict in missed.items():
        print(f"{verdict}: {id}: {every[id].effect}")
    sys.exit(bool(missed))


def _copy(folder: Path) -> Path:
    """Copy the working tree into a folder, compiled such that an edit of a file is always seen."""
    for file in files():
        target = folder / file.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    # By content, not by time and size: an edit may take the same second and as many bytes.
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    subprocess.run([*compiled, "nst_kernel", "pipeline", "jobs", "tests"], cwd=folder, check=True)
    return folder


def _check_unbroken(tests: list[str], copies: list[Path]) -> None:
    """Exit unless all tests pass where nothing is broken."""
    parts = [tests[number :: len(copies)] for number in range(len(copies))]
    trials = [Trial(f"part {number}", part, 20 * SECONDS) for number, part in enumerate(parts) if part]
    for ended in run_all(trials, copies):
        if ended.code != PASSED:
            raise SystemExit(f"Without any breakage:\n{ended.output}")
    print(f"{len(tests)} tests pass without any breakage", flush=True)


def _try_all(chosen: list[Breakage], copies: list[Path]) -> dict[str, str]:
    """Return the verdict on each breakage by its id, and print each as it is found."""
    verdicts: dict[str, str] = {}
    whole: dict[str, str] = {}  # the file of each breakage as it was
    by_id = {breakage.id: breakage for breakage in chosen}
    width = max(map(len, by_id))

    def broken(id: str, copy: Path) -> bool:
        file = copy / by_id[id].file
        whole[id] = file.read_text("utf-8")
        text = by_id[id].applied(whole[id])
        if text is not None:
            file.write_text(text, encoding="utf-8")
        return text is not None

    def mended(id: str, copy: Path) -> None:
        (copy / by_id[id].file).write_text(whole[id], encoding="utf-8")

    trials = [Trial(breakage.id, [breakage.test], SECONDS) for breakage in chosen]
    for ended in run_all(trials, copies, before=broken, after=mended):
        verdict = VERDICTS.get(ended.code, "not run") if ended.applied else "does not apply"
        verdicts[ended.id] = verdict
        print(f"{ended.id:{width}}  {verdict:14} {ended.seconds:5.1f} s  {by_id[ended.id].test}", flush=True)
    return verdicts


if __name__ == "__main__":
    main()
