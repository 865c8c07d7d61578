"""Consoles whose encoding lacks letters: a line is written all the same."""

import os
import subprocess
import sys
from pathlib import Path

from jobs.exit_codes import ExitCode


def test_a_latin_1_console_shows_what_it_can(tmp_path: Path) -> None:
    file = tmp_path / "写真.csv"
    file.write_text("content,style\na,b,c\n")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    words = [sys.executable, "-m", "jobs.cli", "validate", str(file)]
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert done.returncode == ExitCode.NOTHING_STARTED, done.stderr
    assert rb"\u5199\u771f.csv, line 2: 'a,b,c': expected 2 cells" in done.stderr
