"""Links from pages to files of the project outside `docs/`.

A file becomes a download of the site. A folder can't, so its path stands in place of the link.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#]*)(#[^)]*)?\)")


def rewritten(text: str, page: Path, project: Path) -> str:
    """Return a page's text whose links are all to pages, downloads and addresses."""
    pages = project / "docs"

    def replaced(match: re.Match[str]) -> str:
        target = (page.parent / match[2]).resolve()
        if target.is_relative_to(pages):
            return match[0]
        if not target.is_dir():
            return f"[{match[1]}](path:{match[2]})"
        path = target.relative_to(project).as_posix()
        return f"`{path}/`" if match[1].strip("`/") in path else f"{match[1]} (`{path}/`)"

    return LINK.sub(replaced, text)


def rewrite(app: Sphinx, docname: str, source: list[str]) -> None:
    """Rewrite a page before it is read."""
    page = Path(app.srcdir) / f"{docname}.md"
    source[0] = rewritten(source[0], page, Path(app.srcdir).parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
