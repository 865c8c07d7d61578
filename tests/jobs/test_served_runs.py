"""`--serve`: the page of a run while it goes, and one page at its end."""

import dataclasses
import json
import time
import urllib.request
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jobs import runner
from jobs.exit_codes import ExitCode
from pipeline import execute, report, storage
from pipeline.outputs import grid_runs, layout, provenance
from pipeline.planning import Fetched, Optimised
from pipeline.report import serve
from pipeline.specs import GridJob, job_of, options_of
from tests.bench.stub import StubKernel
from tests.jobs.test_cli import QUICK, nst, pair
from tests.support.without_ray import flow

assert pair  # a fixture


class Watched:
    """What is done to a page, in order, and what a browser sees while rows are computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        self.seen: list[tuple[str, Any]] = []
        self.served: serve.Served | None = None
        made, at_end, enter = report.write_report, runner.report_at_end, serve.Served.__enter__

        def slowly(*words: Any, **named: Any) -> str:
            self.order.append("anew")
            page = made(*words, **named)
            time.sleep(0.5)  # longer than a server takes to shut down
            self.order.append("made")
            return page

        def ending(*words: Any, **named: Any) -> None:
            self.order.append("end")
            at_end(*words, **named)

        def entered(served: serve.Served) -> serve.Served:
            self.served = served
            return enter(served)

        look = self.look

        class Looking(StubKernel):
            def __call__(self, fetched: Fetched) -> Optimised:
                look()
                return super().__call__(fetched)

        def stubbed(*words: Any, **_: Any) -> Any:
            return flow(*words, kernel=Looking)

        monkeypatch.setattr(serve, "write_report", slowly)
        monkeypatch.setattr(serve, "EVERY_SECONDS", 0.01)
        monkeypatch.setattr(serve, "KNOWN_SECONDS", 0.0)
        monkeypatch.setattr(serve, "QUIET_SECONDS", 0.05)
        monkeypatch.setattr(serve, "SHARE", 100.0)
        monkeypatch.setattr(runner, "report_at_end", ending)
        monkeypatch.setattr(serve.Served, "__enter__", entered)
        monkeypatch.setattr(import_module("pipeline.flow.run"), "flow", stubbed)

    def look(self) -> None:
        """Look at what is served, as soon as the first row's page is there."""
        assert self.served
        time.sleep(0.2)
        for path in ("report/", "progress.json"):
            with urllib.request.urlopen(self.served.address + path, timeout=10) as answer:
                text = answer.read().decode()
            self.seen.append((path, json.loads(text) if path.endswith("json") else text))


@pytest.mark.usefixtures("without_ray", "pair")
@pytest.mark.parametrize("kind", ["manifest", "grid"])
def test_a_served_run_is_seen_and_has_one_page_at_its_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    seeds = range(4)
    if kind == "manifest":
        Path("rows.csv").write_text("content,style,seed\n" + "".join(f"photo.png,painting.png,{n}\n" for n in seeds))
        words = ["run", "rows.csv", "-o", "out", "--batch-size", "1"]
    else:
        grid = {"kind": "grid", "name": "g", "contents": ["photo.png"], "styles": ["painting.png"], "output": "out"}
        Path("grid.yaml").write_text(json.dumps({**grid, "parameters": {"seed": list(seeds)}}))
        words = ["grid", "run", "grid.yaml", "--batch-size", "1"]
    assert nst(*words, "--serve", *QUICK) == ExitCode.OK
    progress = [said for path, said in watched.seen if path == "progress.json"]
    assert progress[0]["total"] == len(seeds)
    pages = [text for path, text in watched.seen if path == "report/"]
    assert "No row has finished yet" in pages[0]
    assert 'data-stamp="' in pages[-1]
    *before, last = watched.order
    assert last == "end"
    assert before == ["anew", "made"] * (len(before) // 2)  # nothing is made beside the last page, or after it
    assert before
    (page,) = Path("out").rglob("report/index.html")
    (index,) = page.parent.glob("data/index-0.*.js")
    assert index.name.split(".")[1] in page.read_text()
    assert '"name":"seed","values":[0,1,2,3]' in index.read_text()


@pytest.mark.usefixtures("pair")
def test_a_grid_that_takes_days_is_seen_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = {"kind": "grid", "name": "g", "contents": ["photo.png"], "styles": ["painting.png"], "output": "out"}
    job = job_of({**grid, "parameters": {"seed": [1, 2]}})
    options = options_of(job)
    began_at = provenance.now()
    at_work = execute.output_at_work(job, options)
    assert at_work() is None
    assert isinstance(job, GridJob)
    run = grid_runs.GridRun(f"{began_at:%Y-%m-%dT%H%M%SZ}-{execute._grid_of(job, options)}", "", "g", began_at, 2)
    run = dataclasses.replace(run, grid=run.id[-8:])
    grid_runs.write_run(options.output, run)
    monkeypatch.setattr(provenance, "now", lambda: began_at + timedelta(days=3))
    assert at_work() == storage.absolute(layout.run_folder(options.output, run.id))
