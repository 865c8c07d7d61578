"""A page that begins with a sample of its rows, in a real browser: all rows are found, and their cards open."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.report import write_report
from tests.pipeline.report.support.browsing import CARD, Visit, eventually, ids
from tests.pipeline.report.test_many_rows import few, make

pytestmark = pytest.mark.slow


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    few(monkeypatch)
    output = make(tmp_path)
    write_report(str(output))
    return output


def test_a_sample_is_shown_and_all_rows_are_found(visit: Visit, many: Path) -> None:
    page = visit.open(many, "gallery")
    found = page.locator("#found")
    expect(found).to_have_text("a sample of 13 of 60 rows: search, filters and order go through all")
    expect(page.locator(CARD)).to_have_count(13)
    page.fill("#search", "row-0004")
    expect(found).to_have_text("10 of 60 rows")
    assert ids(page) == [f"row-{k:05}" for k in range(40, 50)]
    assert page.locator(f"{CARD} .missing").count() == 0
    page.fill("#search", "scene1 seed")
    expect(found).to_have_text("30 of 60 rows")
    page.fill("#search", "")
    page.fill("[aria-label='seed from']", "1057")
    expect(found).to_have_text("3 of 60 rows")
    page.click("#filters button[type=reset]")
    page.select_option("#sort", "loss")
    expect(found).to_have_text("60 of 60 rows")
    assert ids(page)[:2] == ["row-00059", "row-00058"]
    page.uncheck("#filters .ok input")
    expect(found).to_have_text("12 of 60 rows")


def test_cards_of_found_rows_open_and_can_be_sent(visit: Visit, many: Path) -> None:
    page = visit.open(many, "gallery")
    known = set(ids(page))
    other = next(f"row-{k:05}" for k in range(60) if k % 5 and f"row-{k:05}" not in known)
    page.fill("#search", other)
    expect(page.locator("#found")).to_have_text("1 of 60 rows")
    page.locator(CARD).click()
    expect(page.locator("dialog h2")).to_contain_text(other)
    expect(page.locator("dialog .curve")).to_contain_text("the curves of 13 of its rows")
    loaded = "[...document.querySelectorAll('dialog img')].every(i => i.complete && i.naturalWidth > 0)"
    eventually(page, loaded)
    page.goto("about:blank")
    page.goto(f"file://{many}/report/index.html#gallery&row={other}")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("dialog h2")).to_contain_text(other)


def test_failures_matrix_and_curves_say_of_how_many_they_are(visit: Visit, many: Path) -> None:
    page = visit.open(many, "failures")
    expect(page.locator("#failures-actions button")).to_have_text("Download 8 of 12 rows as a manifest")
    assert sum(int(text.split()[-2]) for text in page.locator("details.reason summary").all_inner_texts()) == 12
    with page.expect_download() as saved:
        page.click("#failures-actions button")
    assert len(Path(saved.value.path()).read_text("utf-8").splitlines()) == 8
    page.click("nav a[href='#curves']")
    page.wait_for_selector("#curves-chart .main-svg")
    expect(page.locator("#curves-note")).to_contain_text("Medians of 10 rows")
    page.click("nav a[href='#matrix']")
    expect(page.locator(".matrix").first).to_be_visible()
