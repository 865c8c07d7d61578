"""A browser, a run with its report, and pages of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from pipeline.report import write_report
from tests.pipeline.report.support import samples
from tests.pipeline.report.support.browsing import Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "these tests need a Chromium on the path"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        started = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 29 rows and the report on it, with another run."""
    folder = tmp_path_factory.mktemp("run")
    output = samples.make(folder)
    older = samples.make(folder / "older")
    write_report(str(output), hourly_price=3.6, comparison=samples.comparison(output, older))
    return output


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with a few bytes in the place of the charting library's five million: no browser opens them."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "// no charts")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    found = Visit(browser)
    yield found
    found.context.close()
    assert found.complaints == []
