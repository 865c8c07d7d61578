"""The report in a real browser, opened from disk."""

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from pipeline import storage
from pipeline.flow.retry import rows_of
from pipeline.outputs import as_manifest
from pipeline.outputs import table as result_table
from pipeline.report import write_report
from tests.pipeline.report.support import samples

pytestmark = pytest.mark.slow
CARD = "#grid > li > button"


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


class Visit:
    """Pages of one browser that write down what should not happen."""

    def __init__(
        self, browser: Browser, *, width: int = 1280, height: int = 900, dark: bool = False, within: str = "file:"
    ) -> None:
        self.complaints: list[str] = []
        self.within = within
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        self.context.route("**/*", self._only_within)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _only_within(self, route: Route) -> None:
        if route.request.url.startswith((self.within, "data:", "blob:")):
            route.continue_()
        else:
            self.complaints.append(f"outside: {route.request.url}")
            route.abort()

    def open(self, output: Path, view: str = "summary") -> Page:
        self.page.goto(f"file://{output}/report/index.html" + ("" if view == "summary" else f"#{view}"))
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    found = Visit(browser)
    yield found
    found.context.close()
    assert found.complaints == []


def eventually(page: Page, condition: str) -> None:
    """Wait until JavaScript says yes. Playwright's own waiting is against the policy of the page."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def ids(page: Page) -> list[str]:
    return [text.split(",")[0] for text in page.locator(CARD).evaluate_all("all => all.map(b => b.ariaLabel)")]


def test_every_view_opens_and_nothing_moves_sideways(visit: Visit, output: Path) -> None:
    page = visit.open(output)
    for view in ("gallery", "matrix", "curves", "failures", "nights", "summary"):
        page.click(f"nav a[href='#{view}']")
        expect(page.locator(f"#{view}")).to_be_visible()
        expect(page.locator("section.view:visible")).to_have_count(1)
        expect(page.locator(f"#{view}-title")).to_be_focused()
        assert page.locator("nav a[aria-current=page]").get_attribute("href") == f"#{view}"
    assert page.evaluate("window.scrollX + document.documentElement.scrollWidth - innerWidth") == 0


def test_a_hostile_id_is_shown_as_text(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    expect(page.locator(f"{CARD} .id").filter(has_text=samples.HOSTILE)).to_have_count(1)
    assert page.evaluate("document.querySelectorAll('body script').length") == 0


def test_search_filter_and_sort_find_rows(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    found = page.locator("#found")
    expect(found).to_have_text("29 rows")
    page.fill("#search", "ROW-0000 paint1")
    expect(found).to_have_text("4 of 29 rows")
    assert ids(page) == ["row-00002", "row-00003", "row-00006", "row-00007"]
    page.fill("#search", "")
    page.select_option(".facets label:has-text('style_weight') select", label="2")
    expect(found).to_have_text("8 of 29 rows")
    page.fill("[aria-label='loss to']", "0.1")
    expect(found).to_have_text("5 of 29 rows")
    page.select_option("#sort", "loss")
    expect(page.locator(CARD).first).to_have_attribute("aria-label", "row-00024, diverged, loss 0.03846")
    page.click("#descending")
    expect(page.locator(CARD).first).to_have_attribute("aria-label", "row-00008, ok, loss 0.1")
    page.click("#filters button[type=reset]")
    expect(found).to_have_text("29 rows")
    page.uncheck("#filters .ok input")
    expect(found).to_have_text("5 of 29 rows")
    page.fill("#search", "nothing like that")
    expect(page.locator("#grid")).to_have_text("No row fits what is asked.")


def test_the_legend_leads_to_rows_of_its_status(visit: Visit, output: Path) -> None:
    page = visit.open(output)
    page.click("[data-status=failed]")
    expect(page.locator("#found")).to_have_text("3 of 29 rows")
    expect(page.locator("#gallery")).to_be_visible()


def test_the_slider_wipes_between_content_and_result(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    page.locator(CARD).nth(2).click()
    slider = page.locator("dialog .wipe input")

    def upper() -> float:
        clip = page.locator("dialog .wipe .upper").evaluate("image => getComputedStyle(image).clipPath")
        return (
            float(clip.split("calc(100% - ")[1].split("%")[0]) if "calc" in clip else 100 - float(clip.split()[1][:-1])
        )

    assert upper() == 50
    slider.focus()
    page.keyboard.press("Home")
    assert upper() == 0
    page.keyboard.press("ArrowRight")
    assert upper() == 1
    assert slider.get_attribute("aria-valuetext") == "1 % content, 99 % result"
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert upper() == pytest.approx(80, abs=3)
    loaded = page.locator("dialog .wipe img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")
    assert loaded
    page.keyboard.press("Escape")
    page.locator("#wipe-all").fill("40")
    clip = page.locator(f"{CARD} .over").first.evaluate("image => getComputedStyle(image).clipPath")
    assert "40%" in clip or "60%" in clip


def test_the_dialog_is_for_the_keyboard_too(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    page.locator(CARD).first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("h2")).to_contain_text("row-00002")
    for _ in range(25):  # the rest of the page is out of reach
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('main, header.top')")
    page.get_by_role("button", name="Next").press("Enter")
    expect(dialog.locator("h2")).to_contain_text("row-00003")
    expect(page.get_by_role("button", name="Next")).to_be_focused()
    expect(dialog.locator(".place")).to_have_text("4 of 29")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(CARD).nth(2)).to_be_focused()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("row-00028")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.parentElement.getAttribute('aria-posinset')") == "6"


def test_the_first_tab_skips_to_the_content(visit: Visit, output: Path) -> None:
    page = visit.open(output)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#summary")).to_be_visible()


def test_controls_have_names(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, a, [role=region]')].filter(e =>
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby'))).length"""
    )
    assert nameless == 0
    assert page.evaluate("[...document.images].every(image => image.hasAttribute('alt'))")


def test_curves_of_one_row_and_of_groups(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    page.locator(CARD).nth(1).click()
    page.wait_for_selector("dialog .chart .main-svg")
    assert page.evaluate("document.querySelector('dialog .chart').data.map(t => t.name)") == [
        "total",
        "content",
        "style",
    ]
    assert page.evaluate("document.querySelector('dialog .chart').layout.yaxis.type") == "log"
    page.locator("dialog").get_by_label("Logarithmic").uncheck()
    page.locator("dialog").get_by_label("Style layers").check()
    eventually(page, "document.querySelector('dialog .chart').data.length === 5")
    assert page.evaluate("document.querySelector('dialog .chart').layout.yaxis.type") == "linear"
    page.keyboard.press("Escape")
    page.click("nav a[href='#curves']")
    chart = "document.querySelector('#curves-chart')"
    eventually(page, f"{chart}.data?.length === 4")  # two sizes: thin lines and medians
    page.select_option("#curves-group", "style_weight")
    eventually(page, f"{chart}.data.length === 8")
    assert page.evaluate(f"{chart}.data.slice(4).map(t => t.name)") == ["0.5", "1", "2", "4"]
    expect(page.locator("#curves-table tbody tr")).to_have_count(4)
    page.uncheck("#curves-log")
    eventually(page, f"{chart}.layout.yaxis.type === 'linear'")
    page.select_option(".facets label:has-text('style_weight') select", label="2")
    eventually(page, f"{chart}.data.length === 2")


def test_a_matrix_over_two_parameters(visit: Visit, output: Path) -> None:
    page = visit.open(output, "matrix")
    page.select_option("#matrix-down", "style")
    page.select_option("#matrix-across", "style_weight")
    assert page.locator(".matrix thead th").all_inner_texts() == ["0.5", "1", "2", "4"]
    assert page.locator(".matrix tbody th").all_inner_texts() == ["paint0.png", "paint1.png"]
    tiles = page.locator(".matrix .tile")
    expect(tiles).to_have_count(8)
    tiles.nth(2).click()
    # Of the rows that meet there the one with the lowest loss, which falls with the number, comes first.
    expect(page.locator("dialog h2")).to_contain_text("row-00024")
    expect(page.locator("dialog .place")).to_have_text("1 of 4")
    page.keyboard.press("Escape")
    page.click("#matrix-swap")
    expect(page.locator(".matrix tbody tr")).to_have_count(4)


def test_failures_are_listed_and_downloaded_as_a_manifest(visit: Visit, output: Path) -> None:
    page = visit.open(output, "failures")
    reasons = page.locator("details.reason")
    assert [text.split("\n")[0] for text in reasons.locator("summary").all_inner_texts()] == [
        "ImageError 2 rows",
        "diverged 1 row",
        "DeadlineExceeded 1 row",
        "StorageError 1 row",
    ]
    expect(reasons.first.locator(".said").first).to_contain_text("or cut short </script>")
    with page.expect_download() as all_of_them:
        page.click("#failures-actions button")
    text = Path(all_of_them.value.path()).read_text("utf-8")
    assert text == as_manifest(rows_of(str(output), ["failed", "quarantined", "diverged"]))
    with page.expect_download() as one_reason:
        reasons.first.locator("button.save").click()
    lines = [json.loads(line) for line in Path(one_reason.value.path()).read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["row-00025", "row-00028"]
    assert one_reason.value.suggested_filename == "rows-ImageError.jsonl"
    expect(page.locator("#said")).to_have_text("A manifest of 2 rows was handed to the browser.")


def test_two_runs_side_by_side(visit: Visit, output: Path) -> None:
    page = visit.open(output, "nights")
    rows = page.locator("#comparison-list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("SSIM 0.71 <0.9>")
    page.uncheck("#comparison-worse")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("equal")
    rows.first.locator("button").click()
    expect(page.locator("dialog .wipe input")).to_have_attribute("aria-valuetext", "50 % before, 50 % after")
    assert page.locator("dialog .wipe img").evaluate_all("all => new Set(all.map(i => i.src)).size") == 2
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("dialog .sources")).to_contain_text("it does not exist")


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
