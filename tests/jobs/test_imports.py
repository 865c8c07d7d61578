"""What commands import: those that compute nothing load neither torch nor Ray, and the first word comes at once."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from tests.support import REPOSITORY, draw

HEAVY = {"torch", "ray", "pandas", "scipy"}

PROGRAM = """
import contextlib, io, json, os, sys
from jobs import cli
for words in json.loads(sys.argv[1]):
    os.environ.pop("_NST_COMPLETE", None)
    name, said = " ".join(words), io.StringIO()
    if words[0] == "complete":
        os.environ |= {"_NST_COMPLETE": "complete_bash", "COMP_WORDS": "nst " + words[1], "COMP_CWORD": words[2]}
        words = []
    sys.argv = ["nst", *words]
    code = 0
    with contextlib.redirect_stdout(said):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    loaded = sorted({"torch", "ray", "pandas", "scipy", "pyarrow", "numpy", "pydantic"} & sys.modules.keys())
    print(json.dumps([name, code, loaded, said.getvalue()]))
"""


class Dashboard(BaseHTTPRequestHandler):
    """Answers as a Ray dashboard without jobs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def dashboard() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Dashboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_light_commands_load_what_they_need(tmp_path: Path, dashboard: str) -> None:
    """One process, one command after the other: what one has loaded is there for those after it."""
    Image.fromarray(draw(1, 32, 48)).save(tmp_path / "a.png")
    (tmp_path / "pairs.csv").write_text("content,style\na.png,a.png\n")
    grid = "kind: grid\nname: g\ncontents: [a.png]\nstyles: [a.png]\noutput: runs\nparameters: {size: [32, 64]}\n"
    (tmp_path / "grid.yaml").write_text(grid)
    (tmp_path / "runs" / "history").mkdir(parents=True)
    run = {
        "id": "2026-01-01T000000Z-0123abcd",
        "grid": "0123abcd",
        "name": "g",
        "began_at": "2026-01-01T00:00:00+00:00",
        "rows": 1,
        "counts": {},
        "finished_at": None,
    }
    (tmp_path / "runs" / "history" / "2026-01-01T000000Z-0123abcd.json").write_text(json.dumps(run))
    result_table.commit(str(tmp_path / "out"), [{"id": "a", "status": "ok", "finished_at": provenance.now()}])
    commands = [
        ["--help"],
        ["complete", "ret", "1"],
        ["run", "--help"],
        ["complete", "run --set si", "3"],
        ["params"],
        ["status", "--address", dashboard],
        ["schema"],
        ["validate", "pairs.csv"],
        ["validate", "grid.yaml"],
        ["results", "out"],
        ["grid", "runs", "runs"],
        ["report", "out"],
    ]
    words = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(name, code) for name, code, _, _ in ends] == [(" ".join(each), 0) for each in commands], done.stderr
    assert {name: found for name, _, loaded, _ in ends if (found := set(loaded) & HEAVY)} == {}
    # What commands and parameters are called needs pydantic, which typer reads its values with, and nothing else.
    assert [set(loaded) - {"pydantic"} for _, _, loaded, _ in ends[:5]] == [set()] * 5
    assert ends[0][2] == []
    assert ends[1][3].split() == ["retry"]
