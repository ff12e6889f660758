"""The checks of pages find what they look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.browser.page_checks import (
    broken_images,
    dark,
    images_without_text,
    is_local,
    narrow,
    printed,
    serious_findings,
    sideways_scroll_pixels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
GOOD = f"""<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>
<p>Some text.</p><img src="{PIXEL}" alt="a pixel"></main></html>"""


def opened(page: Page, folder: Path, html: str) -> Page:
    """Return the page after it has loaded a file."""
    path = folder / "page.html"
    path.write_text(html)
    page.goto(path.as_uri())
    return page


def test_a_good_page_has_no_findings(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, GOOD)
    assert not serious_findings(page)
    assert not images_without_text(page)
    assert not broken_images(page)
    assert sideways_scroll_pixels(page) == 0


def test_errors_and_requests_abroad_are_collected(
    page: Page, errors: list[str], tmp_path: Path
) -> None:
    opened(page, tmp_path, """<script>
      console.error("first"); setTimeout(() => { throw new Error("second") }, 0);
      new Image().src = "http://192.0.2.1/third.png"; new Image().src = "fourth.png";
    </script>""")  # fmt: skip
    page.wait_for_function("performance.now() > 300")
    for cause in ("first", "second", "192.0.2.1/third", "failed: file:"):
        assert any(cause in error for error in errors), (cause, errors)
    errors.clear()


def test_serious_findings_name_the_element(page: Page, tmp_path: Path) -> None:
    opened(
        page,
        tmp_path,
        f"""<!doctype html><html><title>A page</title><main>
      <p id="pale" style="color:#ddd;background:#fff">pale</p><img src="{PIXEL}"></main></html>""",
    )
    found = "\n".join(serious_findings(page))
    assert "color-contrast (serious) #pale" in found
    assert "image-alt (critical)" in found
    assert "html-has-lang (serious)" in found
    assert images_without_text(page)


def test_a_missing_image_is_found(page: Page, errors: list[str], tmp_path: Path) -> None:
    opened(page, tmp_path, '<img src="nowhere.png" alt="nothing" loading="lazy">')
    assert broken_images(page)
    errors.clear()


def test_a_page_that_is_too_wide_scrolls(page: Page, tmp_path: Path) -> None:
    opened(
        page,
        tmp_path,
        """<!doctype html><meta name="viewport" content="width=device-width">
      <body style="margin:0"><div style="width:500px">wide</div>""",
    )
    assert sideways_scroll_pixels(page) == 0
    narrow(page)
    assert sideways_scroll_pixels(page) == 110


def test_media_are_emulated(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, GOOD)
    dark(page)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    printed(page)
    assert page.evaluate("matchMedia('print').matches")


def test_urls_of_this_host_are_local() -> None:
    assert all(map(is_local, ("file:///a", "data:,a", "http://127.0.0.1:80/", "http://[::1]/")))
    assert not any(map(is_local, ("http://example.org/", "https://localhost.example.org/")))
