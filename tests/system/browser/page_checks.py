"""Checks that every page has to pass: no errors, no foreign request, readable at any width.

Pages are opened from files or from a server on the loopback: `page.goto(path.as_uri())`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request, ViewportSize

WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}  # a telephone held upright
# What needs no network beyond this host.
LOCAL_SCHEMES = ("file", "data", "blob", "about")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
BLOCKING = ("serious", "critical")


def watch(page: Page, errors: list[str]) -> None:
    """Append the page's errors to a list: of the console, uncaught ones, and failed requests."""

    def logged(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"console: {message.text} ({message.location.get('url')})")

    def requested(request: Request) -> None:
        if not is_local(request.url):
            errors.append(f"a foreign request: {request.url}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a download, or a page that was left
            errors.append(f"failed: {request.url}: {request.failure}")

    page.on("console", logged)
    page.on("pageerror", lambda error: errors.append(f"page: {error}"))
    page.on("request", requested)
    page.on("requestfailed", failed)


def is_local(url: str) -> bool:
    """Return True if no other host is needed to fetch a URL."""
    parts = urlsplit(url)
    return parts.scheme in LOCAL_SCHEMES or parts.hostname in LOOPBACK


def wide(page: Page) -> None:
    """Make the page as wide as a laptop's window."""
    page.set_viewport_size(WIDE)


def narrow(page: Page) -> None:
    """Make the page 390 pixels wide, as on a telephone."""
    page.set_viewport_size(NARROW)


def dark(page: Page) -> None:
    """Show the page as to a reader who prefers dark colours."""
    page.emulate_media(color_scheme="dark")


def printed(page: Page) -> None:
    """Show the page as it is printed."""
    page.emulate_media(media="print")


def sideways_scroll_pixels(page: Page) -> int:
    """Return by how much the page is wider than the window."""
    width = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return int(width)


def images_without_text(page: Page) -> list[str]:
    """Return the images, and figures drawn as SVG, that lack a description."""
    found: list[str] = page.evaluate("""() => [
      ...[...document.images].filter((each) => !each.alt.trim()),
      ...[...document.querySelectorAll('svg[role=img]')].filter((each) =>
        !each.getAttribute('aria-label') && !each.getAttribute('aria-labelledby')
        && !each.querySelector('title')),
    ].map((each) => each.outerHTML.slice(0, 160))""")
    return found


def broken_images(page: Page) -> list[str]:
    """Return the sources of the images that could not be loaded."""
    found: list[str] = page.evaluate("""async () => {
      const images = [...document.images];
      for (const each of images) each.loading = 'eager';
      await Promise.all(images.map((each) => each.decode().catch(() => {})));
      return images.filter((each) => !each.naturalWidth).map((each) => each.src.slice(0, 160));
    }""")
    return found


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical in a page: rule, element and reason."""
    from axe_playwright_python.sync_playwright import Axe

    # Without preload: it fetches style sheets, which a page that is opened from a file can't.
    options = {"resultTypes": ["violations"], "preload": False}
    violations: list[dict[str, Any]] = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']} ({each['impact']}) {' '.join(map(str, node['target']))}: "
        f"{node['failureSummary'].splitlines()[-1].strip()}"
        for each in violations
        if each["impact"] in BLOCKING
        for node in each["nodes"]
    ]
