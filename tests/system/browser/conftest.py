"""The fixtures `browser`, `context` and `page` for the tests of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.browser.chromium import chromium
from tests.system.browser.page_checks import WIDE, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


# Playwright's event loop runs in this thread while the browser is open: a test that calls
# asyncio.run() belongs in a module of its own.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def errors() -> list[str]:
    """The errors of `page` so far; a test that causes errors on purpose clears the list."""
    return []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser session without cookies or stored data, 1280 pixels wide."""
    opened = browser.new_context(viewport=WIDE)
    opened.set_default_timeout(20_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, errors: list[str]) -> Iterator[Page]:
    """An empty page; the test fails if a console error, a page error or a request abroad occurs."""
    opened = context.new_page()
    watch(opened, errors)
    yield opened
    assert not errors, "\n".join(errors)
