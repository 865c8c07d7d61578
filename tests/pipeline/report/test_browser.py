"""What the report does in a real browser, opened from disk."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.flow.retry import rows_of
from pipeline.outputs import as_manifest
from tests.pipeline.report.support import samples
from tests.pipeline.report.support.browsing import CARD, Visit, eventually, ids

pytestmark = pytest.mark.slow


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
    expect(page.locator("#grid")).to_have_text("No row matches the filters.")


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
    # Content is held fixed: a matrix for each.
    assert page.locator(".matrix caption").all_inner_texts() == ["scene0.png", "scene1.png"]
    expect(page.locator("#matrix-note")).to_contain_text("A matrix for each content.")
    first = page.locator(".matrix").first
    assert first.locator("thead th").all_inner_texts() == ["0.5", "1", "2", "4"]
    assert first.locator("tbody th").all_inner_texts() == ["paint0.png", "paint1.png"]
    tiles = first.locator(".tile")
    expect(tiles).to_have_count(8)
    tiles.nth(2).click()
    # Of the rows that meet there the one with the lowest loss, which falls with the number, comes first.
    expect(page.locator("dialog h2")).to_contain_text("row-00024")
    expect(page.locator("dialog .place")).to_have_text("1 of 2")
    page.keyboard.press("Escape")
    page.click("#matrix-swap")
    expect(first.locator("tbody tr")).to_have_count(4)


def test_an_address_that_is_sent_opens_the_same(visit: Visit, output: Path) -> None:
    page = visit.open(output, "gallery")
    page.fill("#search", "paint1")
    page.select_option("#sort", "loss")
    page.click("#descending")
    page.select_option(".facets label:has-text('style_weight') select", label="2")
    page.uncheck("#filters .failed input")
    eventually(page, "location.hash.includes('style_weight=2')")
    page.locator(CARD).first.click()
    title = page.locator("dialog h2").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("dialog .place")).to_contain_text("2 of 2")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("dialog h2")).to_have_text(title)
    before, shown = page.evaluate("location.hash"), ids(page)
    assert "row=" in before
    page.goto("about:blank")
    page.goto(f"file://{output}/report/index.html{before}")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("dialog h2")).to_have_text(title)
    assert page.input_value("#search") == "paint1"
    assert ids(page) == shown
    page.keyboard.press("Escape")
    assert "row=" not in page.evaluate("location.hash")
    page.click("nav a[href='#matrix']")
    eventually(page, "location.hash.startsWith('#matrix&') && location.hash.includes('style_weight=2')")


def test_failures_are_listed_and_downloaded_as_a_manifest(visit: Visit, output: Path) -> None:
    page = visit.open(output, "failures")
    reasons = page.locator("details.reason")
    assert [text.split("\n")[0] for text in reasons.locator("summary").all_inner_texts()] == [
        "the picture is damaged 2 rows",
        "the loss stopped being finite 1 row",
        "took longer than … s and longer and longer and longer and longer and longer and longer and longer an … 1 row",
        "cannot read …: it does not exist 1 row",
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
    assert one_reason.value.suggested_filename == "rows-the-picture-is-damaged.jsonl"
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
