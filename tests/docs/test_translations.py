"""The Chinese messages of the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FOLDER = DOCS / "locale" / "zh" / "LC_MESSAGES"
CATALOGUES = sorted(FOLDER.rglob("*.po"))
# Pages of the table of contents that are English in the Chinese site, with the reason.
ENGLISH = {
    "reference": "made from the help of the commands and from docstrings, which are English",
    "decisions": "a record for those who change the code",
    "conformance": "a record for those who change the code",
    "planning": "its account of the solver changes with the solver; the how-to is translated",
}
TOCTREE = re.compile(r"(?ms)^```\{toctree\}$(.*?)^```$")
LINK = re.compile(r"\]\(([^)]+)\)")
CODE = re.compile(r"`([^`]+)`")


def messages(path: Path) -> list[Message]:
    with path.open("rb") as file:
        return [message for message in read_po(file) if message.id]


def contents() -> Iterator[str]:
    """Yield the pages of the table of contents; a notebook holds its text in both languages."""
    for entries in TOCTREE.findall((DOCS / "index.md").read_text(encoding="utf-8")):
        yield from (line for line in entries.split("\n") if line and not line.startswith(":"))


COMPLETE = (
    "index",
    *(page for page in contents() if not {page, page.partition("/")[0]} & set(ENGLISH)),
    "reference/file-formats",
)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The messages of the pages as they are now, as `make translations` takes them out."""
    if find_spec("myst_nb") is None or find_spec("furo") is None:  # of `make test-tools`
        pytest.skip("Sphinx is not installed")
    folder = tmp_path_factory.mktemp("messages")
    others = ("notebooks/*", "extensions", "locale", "templates", "decisions.md", "conformance.md")
    subprocess.run(
        [sys.executable, "-m", "sphinx", "--quiet", "--builder", "gettext",
         "--define", f"exclude_patterns={','.join(others)}", "--doctree-dir", folder / "doctrees",
         DOCS, folder],
        check=True, timeout=240, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", COMPLETE)
def test_no_message_of_the_page_is_untranslated(templates: Path, page: str) -> None:
    with (templates / f"{page}.pot").open("rb") as file:
        now = [message.id for message in read_po(file) if message.id]
    chinese = {message.id: message.string for message in messages(FOLDER / f"{page}.po")}
    assert now
    assert [each for each in now if not chinese.get(each)] == [], "run `make translations`"


def test_only_pages_of_the_contents_are_excepted() -> None:
    pages = {*contents(), *(page.partition("/")[0] for page in contents())}
    assert set(ENGLISH) <= pages


@pytest.mark.parametrize("page", sorted(set(contents()) - {"notebooks"}))
def test_all_markup_of_the_page_can_be_translated(page: str) -> None:
    # Sphinx translates a paragraph by itself, without the targets that links refer to, and takes
    # no message out of a table inside a directive.
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert not re.search(r"(?m)^\[[^]^]+\]: ", text), "write the target beside the link"
    assert not re.search(r"(?m)^(`{3,}|:{3,})\{(table|list-table|csv-table|tab-item)\}", text)


@pytest.mark.parametrize("page", COMPLETE)
def test_each_heading_of_the_page_has_a_message(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", text)
    known = {message.id for message in messages(FOLDER / f"{page}.po")}
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    assert headings
    assert [each for each in headings if each not in known] == [], "run `make translations`"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_links_and_code_are_those_of_the_original(path: Path) -> None:
    for message in messages(path):
        assert not message.fuzzy, message.id
        if message.string:
            for pattern in (LINK, CODE):
                original = sorted(pattern.findall(str(message.id)))
                assert sorted(pattern.findall(str(message.string))) == original, message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_emphasis_is_seen_by_markdown(path: Path) -> None:
    # In `**词。**词` the mark stays in the text: it may not stand between a full stop and a letter.
    markdown = MarkdownIt()
    for message in messages(path):
        html = re.sub(r"<code>.*?</code>", "", markdown.renderInline(str(message.string)))
        assert "*" not in html, message.string


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_catalogue_of_a_title_alone_says_so(path: Path) -> None:
    page = ROOT / "docs" / path.relative_to(FOLDER).with_suffix(".md")
    if page.exists() and len(messages(path)) == 1 and len(page.read_text().split()) > 20:
        assert path.read_text().startswith("# Only the title is translated")
