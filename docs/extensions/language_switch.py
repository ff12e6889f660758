"""The link from a page to the same page in the other language, and a note on untranslated pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LOCALE = Path(__file__).parents[1] / "locale"
# By language: the folder of the other one, its name there, and what this page says of itself.
OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}
# The comment of catalogues that have a title for the navigation, and nothing else.
TITLE_ONLY = "Only the title is translated"
# Pages that are not translated begin with one of these in the Chinese site.
NOTE = '<p class="untranslated" role="note">{}</p>\n'
NOT_TRANSLATED = NOTE.format("本页尚未翻译，以下为英文原文。")
IN_PART = NOTE.format("本页只有一部分已翻译，其余为英文原文。")


def add_link(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Add the other language's name, code and address to what a template knows."""
    code, name = OTHER[app.config.language]
    up = "../" * (pagename.count("/") + 1)
    if "body" in context and pagename in app.env.found_docs:
        context["body"] = with_note(context["body"], app.config.language, pagename)
    # Sphinx gives the captions of the navigation a role that needs a level.
    if "furo_navigation_tree" in context:
        context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
            'role="heading"', 'role="heading" aria-level="2"'
        )
    context["other_language"] = {"code": code, "name": name, "url": f"{up}{code}/{pagename}.html"}


def translated_share(page: str, language: str) -> float:
    """Return the share of a page's messages that are translated."""
    path = LOCALE / language / "LC_MESSAGES" / f"{page}.po"
    if not path.exists():
        return 0.0
    with path.open("rb") as file:
        catalogue = read_po(file)
    if TITLE_ONLY in catalogue.header_comment:
        return 0.0
    messages = [message for message in catalogue if message.id]
    return sum(bool(message.string) for message in messages) / max(len(messages), 1)


def with_note(body: str, language: str, page: str) -> str:
    """Return a page's text; in the Chinese site, a note before what is in English."""
    if language == "en" or page.startswith("notebooks/"):
        return body
    share = translated_share(page, language)
    if share == 0:
        return f'{NOT_TRANSLATED}<div lang="en">{body}</div>'
    return body if share == 1 else IN_PART + body


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", add_link, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
