"""A browser for tests of the report: pages that note what should not happen."""

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Route

CARD = "#grid > li > button"


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


def eventually(page: Page, condition: str) -> None:
    """Wait until JavaScript says yes. Playwright's own waiting is against the policy of the page."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def ids(page: Page) -> list[str]:
    return [text.split(",")[0] for text in page.locator(CARD).evaluate_all("all => all.map(b => b.ariaLabel)")]
