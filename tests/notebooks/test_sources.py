"""The notebooks as they are stored: paired with their text, without outputs, in two languages."""

from __future__ import annotations

import re
from typing import Any

import jupytext
import nbformat
import pytest
from markdown_it import MarkdownIt

from tests.notebooks.sources import CHINESE, ENGLISH, FOLDER, NAMES, read

TEXTS = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
HAN = re.compile(r"[\u4e00-\u9fff]")


def contents(notebook: Any) -> list[tuple[str, str, list[str]]]:
    """Return what text and notebook share of each cell."""
    return [
        (cell.cell_type, cell.source, list(cell.metadata.get("tags", ())))
        for cell in notebook.cells
    ]


def language(cell: Any) -> str:
    tags = set(cell.metadata.get("tags", ())) & {ENGLISH, CHINESE}
    assert len(tags) == 1, f"a text without one of {ENGLISH}, {CHINESE}: {cell.source[:60]!r}"
    return str(tags.pop())


def test_each_notebook_has_its_text() -> None:
    assert TEXTS == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_text_agree(name: str) -> None:
    text = jupytext.read(FOLDER / f"{name}.md")
    assert contents(read(name)) == contents(text), "run `make notebooks`"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_no_outputs_and_only_stable_metadata(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_each_english_text_is_followed_by_its_chinese(name: str) -> None:
    cells = read(name).cells
    for place, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        if language(cell) == CHINESE:
            before = cells[place - 1] if place else None
            assert before is not None
            assert before.cell_type == "markdown"
            assert language(before) == ENGLISH
            assert HAN.search(cell.source)
            continue
        after = cells[place + 1]
        assert after.cell_type == "markdown"
        assert language(after) == CHINESE
        assert not HAN.search(cell.source.replace("思考题", ""))
        others = [set(each.metadata.tags) - {ENGLISH, CHINESE} for each in (cell, after)]
        assert others[0] == others[1]


@pytest.mark.parametrize("name", NAMES)
def test_chinese_has_neither_spaces_between_characters_nor_their_punctuation(name: str) -> None:
    for cell in read(name).cells:
        if cell.cell_type == "markdown" and language(cell) == CHINESE:
            assert not re.search(r"[\u4e00-\u9fff，。；：][ \n](?!\n)[\u4e00-\u9fff]", cell.source)
            assert not re.search(r"[\u4e00-\u9fff][,;?!]", cell.source)


@pytest.mark.parametrize("name", NAMES)
def test_emphasis_is_shown_as_such(name: str) -> None:
    """Markdown ends no emphasis between a Chinese mark and a letter; the asterisks would stay."""
    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            shown = re.sub(
                r"<(pre|code)\b.*?</\1>", "", MarkdownIt().render(cell.source), flags=re.S
            )
            assert "*" not in shown, shown


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_ends_with_its_questions(name: str) -> None:
    sources = [cell.source for cell in read(name).cells]
    headings = [source.splitlines()[0] for source in sources if source.startswith("## ")]
    assert headings[-2:] == ["## Questions", "## 思考题"]
    assert sum(f'questions("{name}", ' in source for source in sources) == 1
    assert "questions.check(1, " in "".join(sources)


def test_a_report_leaves_out_the_questions_of_its_notebook() -> None:
    tagged = [
        "questions" in cell.metadata.get("tags", ()) for cell in read("containers-vs-vms").cells
    ]
    assert any(tagged)
    assert all(tagged[tagged.index(True) :])
