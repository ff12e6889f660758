"""Docstrings as reStructuredText: their indented lines are code, trees or tables of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx


def with_literal_blocks(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a docstring, its indented ones as literal blocks."""
    inside = in_list = False
    for line in lines:
        if not line.strip():
            yield line
            continue
        indented = line.startswith(" ")
        if not indented:
            in_list = line.startswith(("- ", "* "))
        if indented and not inside and not in_list:
            yield from ("", "::", "")
            inside = True
        elif not indented and inside:
            yield ""
            inside = False
        yield line


def mend(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Rewrite a docstring before it is parsed."""
    lines[:] = list(with_literal_blocks(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
