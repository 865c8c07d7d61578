"""The report in dark and light, on a phone, from object storage, without pictures, and with many rows."""

import itertools
import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipeline import storage
from pipeline.outputs import table as result_table
from pipeline.report import write_report
from tests.pipeline.report.support import samples
from tests.pipeline.report.support.browsing import CARD, Visit, eventually

pytestmark = pytest.mark.slow


def test_the_price_of_a_device_makes_the_cost(visit: Visit, output: Path) -> None:
    page = visit.open(output)
    expect(page.locator("#cost")).to_have_text("$0.29")
    page.fill("#price", "36")
    expect(page.locator("#cost")).to_have_text("$2.90")


def test_dark_and_light(browser: Browser, output: Path) -> None:
    visit = Visit(browser, dark=True)
    page = visit.open(output)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(22, 21, 19)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(250, 249, 246)"
    visit.open(output)
    assert page.evaluate(ground) == "rgb(250, 249, 246)"
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("view", ["summary", "gallery", "matrix", "curves", "failures", "nights"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, output: Path, view: str) -> None:
    visit = Visit(browser, width=375, height=700)
    page = visit.open(output, view)
    if view == "curves":
        page.wait_for_selector("#curves-chart .main-svg")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    if view == "gallery":
        page.locator(CARD).first.click()
        page.wait_for_selector("dialog .main-svg")
        assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog'))")
    visit.context.close()
    assert visit.complaints == []


OUTSIDE = """() => [...document.querySelectorAll('nav a, .plainly th, .plainly td')].filter(e => e.checkVisibility())
  .map(e => [e, e.getBoundingClientRect()]).filter(([, { left, right }]) => left < 0 || right > innerWidth)
  .map(([e]) => e.textContent)"""

LINES = """all => all.map(e => {
  const range = document.createRange();
  range.selectNodeContents(e);
  return new Set([...range.getClientRects()].map(({ top }) => top)).size;
})"""


@pytest.mark.parametrize("width", [360, 390])
def test_tabs_and_tables_are_inside_the_screen_of_a_phone(browser: Browser, output: Path, width: int) -> None:
    visit = Visit(browser, width=width, height=700)
    page = visit.open(output)
    for view in ("summary", "gallery", "matrix", "curves", "failures", "nights"):
        page.evaluate("window.scrollTo(0, 10000)")
        page.click(f"nav a[href='#{view}']")
        if view == "curves":
            page.wait_for_selector("#curves-table td")
        if view == "nights":
            page.uncheck("#comparison-worse")
            expect(page.locator("#comparison-list tbody tr")).to_have_count(3)
            assert page.locator("#nights .settings th[scope=row]").evaluate_all(LINES) == [1, 1]
        assert page.evaluate("scrollY") == 0
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate("document.querySelector('.comparison')?.scrollWidth ?? 0") <= width
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("view", ["gallery", "matrix", "failures"])
def test_a_tab_that_an_address_names_opens_at_its_top(browser: Browser, output: Path, view: str) -> None:
    visit = Visit(browser, height=300)
    page = visit.open(output, view)
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)  # in which browsers look for what the address names
    assert page.evaluate("document.documentElement.scrollHeight > innerHeight && scrollY === 0")
    visit.context.close()


CONTRASTS = """() => {
  const light = (c) => c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.closest('svg, [disabled], .wipe, .tile')) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${e.tagName}.${e.className}: ${e.textContent.slice(0, 30)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(browser: Browser, output: Path, dark: bool) -> None:
    visit = Visit(browser, dark=dark)
    for view in ("summary", "gallery", "failures", "nights"):
        page = visit.open(output, view)
        assert page.evaluate(CONTRASTS) == []
    visit.context.close()


@pytest.mark.parametrize(("good", "failed"), [(0, 0), (0, 4)])
def test_a_run_without_pictures_opens(visit: Visit, tmp_path: Path, good: int, failed: int) -> None:
    output = samples.make(tmp_path, good=good, failed=failed, diverged=0)
    write_report(str(output))
    for view in ("summary", "gallery", "matrix", "curves", "failures"):
        page = visit.open(output, view)
        expect(page.locator(f"#{view}")).to_be_visible()
    expect(page.locator("details.reason")).to_have_count(min(failed, 3))


def test_pictures_that_are_gone_leave_a_place(browser: Browser, tmp_path: Path) -> None:
    output = samples.make(tmp_path, good=8, failed=0, diverged=0)
    (tmp_path / "content" / "scene0.png").unlink()
    write_report(str(output))
    (output / "images" / "made1.png").unlink()
    for thumb in (output / "report" / "thumbs").iterdir():
        thumb.unlink()
    visit = Visit(browser)
    page = visit.open(output, "gallery")
    expect(page.locator(f"{CARD} .face .missing").first).to_be_visible()
    page.locator(CARD).nth(1).click()
    # The result is gone, and so is its thumbnail, which is tried then.
    expect(page.locator("dialog .wipe .missing")).to_have_count(2)
    visit.context.close()
    assert {said.partition(":")[2] for said in visit.complaints} <= {
        " Failed to load resource: net::ERR_FILE_NOT_FOUND"
    }


def test_a_report_in_object_storage_opens(browser: Browser, output: Path, bucket: str) -> None:
    import boto3

    for path in output.rglob("*"):
        if path.is_file():
            key = f"run/{path.relative_to(output)}"
            storage.write_bytes(f"{bucket}/{key}", path.read_bytes())
            boto3.client("s3").put_object_acl(Bucket=bucket.removeprefix("s3://"), Key=key, ACL="public-read")
    site = f"{os.environ['AWS_ENDPOINT_URL']}/{bucket.removeprefix('s3://')}/run/report"
    visit = Visit(browser, within=site.rpartition("/")[0])
    visit.page.goto(f"{site}/index.html#gallery")
    visit.page.wait_for_selector("html[data-ready]")
    visit.page.locator(CARD).nth(1).click()
    visit.page.wait_for_selector("dialog .chart .main-svg")
    shown = "all => all.every(i => i.complete && i.naturalWidth > 0)"
    assert visit.page.locator("dialog .wipe img").evaluate_all(shown)
    visit.context.close()
    assert visit.complaints == []


def test_ten_thousand_rows(visit: Visit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = samples.make(tmp_path, good=0, failed=0, diverged=0)
    rows = itertools.chain(
        (samples.ok(output, k, curve=samples.curve(60, 1 / (k % 97 + 2)), id=f"row-{k:05}") for k in range(9500)),
        (samples.bad(output, k) for k in range(9500, 10000)),
    )
    while some := list(itertools.islice(rows, 2000)):
        result_table.commit(str(output), some)
    began = time.monotonic()
    write_report(str(output))
    made = time.monotonic()
    page = visit.open(output)
    opened = time.monotonic()
    with capsys.disabled():
        print(f"10,000 rows: made in {made - began:.1f} s, opened in {opened - made:.2f} s")
    assert page.evaluate("document.getElementsByTagName('*').length") < 1500
    page.click("nav a[href='#gallery']")
    expect(page.locator("#found")).to_have_text("10,000 rows")
    for share in (0.2, 0.5, 0.9, 1.0, 0.0):
        page.evaluate(f"window.scrollTo(0, {share} * document.documentElement.scrollHeight)")
        eventually(
            page,
            """[...document.querySelectorAll('#grid > li')].some(e => {
            const { top, bottom } = e.getBoundingClientRect();
            return top < innerHeight / 2 && bottom > innerHeight / 3 })""",
        )
        assert page.locator(CARD).count() < 100
    page.locator(CARD).first.focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("row-09999")
    page.fill("#search", "row-0777")
    expect(page.locator("#found")).to_have_text("10 of 10,000 rows")
    page.fill("#search", "")
    page.click("nav a[href='#curves']")
    page.wait_for_selector("#curves-chart .main-svg")
    expect(page.locator("#curves-note")).to_contain_text("Medians of 9,500 rows")
    page.click("nav a[href='#failures']")
    expect(page.locator("ul.errors li")).to_have_count(50)
    assert page.evaluate("document.getElementsByTagName('*').length") < 4000
