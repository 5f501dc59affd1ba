"""Debian's Chromium, driven by Playwright: one browser for all tests, a context of its own for each.

    tab = new_tab(theme="dark", width=390)
    tab.page.goto(url)

Whatever a page complains of is kept (script errors, blocked by the CSP, parts that did not load), and a test that left
a complaint behind fails. `examine` looks at the open page in both themes and widths.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, sync_playwright

from neighbours import need

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
WIDTHS = (390, 1280)
HEIGHT = 900
SCREENSHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
PATIENCE = 10_000
"""Milliseconds until a page that does not come is a failure."""
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-component-update", "--no-first-run"]
"""No sandbox, because CI is root; and nothing that asks its maker's servers."""
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
NOT_LOADED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
"""What Chromium says of a document that is an error page on purpose. What else failed is found by its answer."""


@dataclass(kw_only=True)
class Tab:
    """One page in a context of its own, and what it complained of."""

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("response", self._answered)
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not NOT_LOADED.match(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type != "document":
            self.complaints.append(f"{response.status}: {response.url}")

    def forgive(self) -> list[str]:
        """What was complained of until now; it does not fail the test any more."""
        found = list(self.complaints)
        self.complaints.clear()
        return found

    def examine(self, name: str) -> None:
        """The open page in both themes and widths: a screenshot of each, no violation of axe's rules, nothing cut off.

        The page stays as it is, so that one that is shown once can be examined too.
        """
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        found: list[str] = []
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": HEIGHT})
                file = SCREENSHOTS / f"{name}-{theme}-{width}.png"
                self.page.screenshot(path=file, full_page=True, animations="disabled", caret="initial")
                found += [f"{name}, {theme}, {width} px: {problem}" for problem in self.problems()]
        self.page.emulate_media(color_scheme=None, reduced_motion=None)
        assert not found, "\n".join(found)

    def problems(self) -> Iterator[str]:
        """What is wrong with the page as it looks now."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        for violation in self.page.evaluate("options => axe.run(options).then(found => found.violations)", AXE):
            nodes = "; ".join(
                f"{' '.join(map(str, node['target']))} {node['failureSummary']}" for node in violation["nodes"]
            )
            yield f"{violation['id']}: {violation['help']}: {nodes}"
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            yield f"the page is {wide} px wider than the window"


NewTab = Callable[..., Tab]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; it is started once."""
    program = need("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_tab(chromium: Browser) -> Iterator[NewTab]:
    """Opens a browser of the test's own; what its pages complained of fails the test at its end."""
    tabs: list[Tab] = []

    def make(*, theme: Theme = "light", width: int = 1280, **more: Any) -> Tab:  # noqa: ANN401 (Playwright's own options)
        context = chromium.new_context(
            color_scheme=theme, viewport={"width": width, "height": HEIGHT}, locale="en-GB", **more
        )
        tab = Tab(context=context, page=context.new_page())
        tabs.append(tab)
        return tab

    yield make
    complaints = [f"{tab.page.url}: {complaint}" for tab in tabs for complaint in tab.complaints]
    for tab in tabs:
        tab.context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def tab(new_tab: NewTab) -> Tab:
    """A usual one."""
    return new_tab()
