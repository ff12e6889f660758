"""The documentation as a site, in a browser: every page in both languages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.browser.page_checks import (
    broken_images,
    dark,
    images_without_text,
    narrow,
    printed,
    serious_findings,
    sideways_scroll_pixels,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(1200)  # the first test builds the site
ROOT = Path(__file__).parents[3]
LANGUAGES = ("en", "zh")
SECONDS = 1200
MAIN = (
    "index",
    "tutorial",
    "how-to/own-workload",
    "how-to/plan-capacity",
    "how-to/add-target",
    "how-to/teach-class",
    "how-to/offline",
    "reference/tonnage",
    "reference/runtime",
    "reference/file-formats",
    "explanation/container-start",
    "method",
    "limitations",
    "planning",
    "machines",
    "classroom",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site in both languages, without the outputs of notebooks, built as `make docs` does."""
    for name in ("furo", "myst_nb", "sphinx_copybutton"):  # of `make test-tools`
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp("site")
    for language in LANGUAGES:
        subprocess.run(
            [sys.executable, "-m", "sphinx", "--quiet", "--nitpicky", "--fail-on-warning",
             "--define", f"language={language}", "--define", "nb_execution_mode=off",
             "--doctree-dir", folder / ".doctrees" / language, ROOT / "docs", folder / language],
            timeout=SECONDS, check=True,
            env={key: value for key, value in os.environ.items() if key != "HOME"},
        )  # fmt: skip
    return folder


def opened(page: Page, site: Path, language: str, name: str) -> Page:
    """Return the page after it has loaded a page of the site from its file."""
    page.goto((site / language / f"{name}.html").as_uri())
    return page


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_can_be_read(page: Page, site: Path, language: str, name: str) -> None:
    opened(page, site, language, name)
    assert page.locator("html").get_attribute("lang") in {language, f"{language}-CN"}
    assert not broken_images(page)
    assert not images_without_text(page)
    assert not serious_findings(page)
    narrow(page)
    assert sideways_scroll_pixels(page) == 0


@pytest.mark.parametrize("name", ["index", "tutorial", "method", "reference/tonnage"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dark_page_can_be_read(page: Page, site: Path, language: str, name: str) -> None:
    dark(opened(page, site, language, name))
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60, background
    assert not serious_findings(page)


@pytest.mark.parametrize("name", ["tutorial", "limitations"])
def test_a_printed_page_is_whole(page: Page, site: Path, name: str) -> None:
    printed(opened(page, site, "en", name))
    assert not page.locator(".sidebar-drawer").is_visible()
    assert not page.locator(".copybtn").first.is_visible()
    last = page.locator("article p, article li").last
    assert last.is_visible()
    # Nothing is cut off at the right: an element that scrolls can't be scrolled on paper.
    page.set_viewport_size({"width": 720, "height": 1000})
    cut = page.evaluate("""() => [...document.querySelectorAll('article pre, article table')]
      .filter((each) => each.parentElement.scrollWidth > each.parentElement.clientWidth + 1)
      .map((each) => each.innerText.slice(0, 60))""")
    assert not cut


@pytest.mark.parametrize(
    ("language", "query", "found"),
    [
        ("en", "grace period", "explanation/container-start"),
        ("en", "runtime-binary", "how-to/add-target"),
        ("zh", "虚拟机", "tutorial"),
        ("zh", "置信区间", "tutorial"),
        ("zh", "赛跑", "tutorial"),
        ("zh", "cgroup", "tutorial"),
    ],
)
def test_search_finds_from_a_file(
    page: Page, site: Path, language: str, query: str, found: str
) -> None:
    opened(page, site, language, "index")
    page.locator("input[name=q]").first.fill(query)
    page.locator("input[name=q]").first.press("Enter")
    # The page shows its results one after the other.
    page.locator(f"#search-results li a[href*='{found}.html']").first.wait_for()


def test_search_says_that_nothing_was_found(page: Page, site: Path) -> None:
    page.goto((site / "zh" / "search.html").as_uri() + "?q=獬豸麒麟")
    page.wait_for_function("document.querySelector('#search-results p.search-summary')?.innerText")
    assert page.locator("#search-results .search li").count() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_switch_leads_to_the_same_page(page: Page, site: Path, language: str) -> None:
    opened(page, site, language, "how-to/offline")
    page.locator(".language-switch").click()
    other = "zh" if language == "en" else "en"
    assert page.url.endswith(f"/{other}/how-to/offline.html")


def test_a_copied_command_has_no_prompt(page: Page, site: Path) -> None:
    opened(page, site, "en", "machines")
    page.evaluate("""document.addEventListener("copy", () => {
      window.copied = document.activeElement.value || getSelection().toString();
    }, true)""")
    block = page.locator(".highlight-console", has_text="uname -r")
    block.hover()
    block.locator(".copybtn").click()
    page.wait_for_function("window.copied !== undefined")
    copied = page.evaluate("window.copied")
    assert copied.splitlines()[0] == "uname -r"


def test_anchors_are_the_same_in_both_languages(site: Path) -> None:
    for name in MAIN:
        ids = [
            re.findall(r'<section id="([^"]+)"', (site / each / f"{name}.html").read_text())
            for each in LANGUAGES
        ]
        assert ids[0] == ids[1], name


def test_links_lead_to_files_and_anchors(site: Path) -> None:
    broken = []
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    for path, text in pages.items():
        for href in re.findall(r'<a [^>]*href="([^"]+)"', text):
            target, _, anchor = href.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = (path.parent / target).resolve() if target else path
            if not file.is_file() or (
                anchor and file in pages and f'id="{anchor}"' not in pages[file]
            ):
                broken.append(f"{path.relative_to(site)}: {href}")
    assert not broken, "\n".join(broken[:20])


def test_the_site_names_no_path_of_this_machine(site: Path) -> None:
    named = [
        str(path.relative_to(site))
        for path in site.rglob("*.html")
        if str(ROOT) in path.read_text() or str(site) in path.read_text()
    ]
    assert not named
