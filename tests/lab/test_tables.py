"""Every cell of a table is shown literally, and columns are aligned."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from rich.console import Console

from lab import tables

NAMES = (
    "io[read]", "t[/x]", "[bold]x[/bold]", "a|b", "<script>alert(1)</script>", "a & b &lt;",
    "$x^2$", "$$", "*bold*", "_em_", "snake_case_name", "`code`", "[a](http://b)", "![a](b)",
    "~~gone~~", "[^1]", "back\\slash", "\\(x\\)", "\\begin{x}", "http://b.org/?a=1",
    "# no", "- no", "1. no", "a@b.org", "{x}", "x  y",
)  # fmt: skip


class Texts(HTMLParser):
    """Collects the text of a page's cells and the tags that occur."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_a_cell_as_it_is(name: str) -> None:
    texts = Texts()
    page = markdown2html_mistune("\n".join(tables.markdown(("a", "b"), [(name, "x")])))
    texts.feed(page)
    assert [cell.strip() for cell in texts.cells] == [" ".join(name.split()), "x"]
    assert texts.tags == {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_shows_a_cell_as_it_is(name: str) -> None:
    out = io.StringIO()
    table = tables.numeric("a [b] c", ("one", "two"), [(name, "x")])
    Console(file=out, width=200).print(table)
    assert " ".join(name.split()) in out.getvalue()
    assert "a [b] c" in out.getvalue()


def test_a_cell_is_one_line_without_control_characters() -> None:
    assert tables.plain("a\nb\r\n\tc\x1b[31md\x00") == "a b c�[31md�"
    assert tables.literal("a\n\n# b") == "a # b"


def test_marked_text_is_markdown_already() -> None:
    assert tables.markdown(("a",), [(tables.Marked("**no**"),)])[-1] == "| **no** |"


def test_columns_are_aligned() -> None:
    lines = tables.columns(("NAME", "STATE"), [("web", "running"), ("database", "")])
    assert lines == ["NAME      STATE", "web       running", "database"]
