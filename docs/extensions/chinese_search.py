"""Search in Chinese: words are not separated by spaces, so every pair of characters is a term.

Sphinx's own support needs jieba, 19 MB, and without it no Chinese word is found.
"""

from __future__ import annotations

import re

import sphinx.search
from sphinx.search import SearchLanguage

_RUN = re.compile(r"[一-鿿]+|[^\W一-鿿]+")


class ChinesePairs(SearchLanguage):
    """Terms of Chinese text: pairs of characters, and words of other scripts."""

    lang = "zh"
    language_name = "Chinese"
    # The same terms, from what the reader types.
    js_splitter_code = """
function splitQuery(query) {
  return (query.match(/[\\u4e00-\\u9fff]+|[\\p{L}\\p{N}_]+/gu) || []).flatMap((run) =>
    !/[\\u4e00-\\u9fff]/.test(run) || run.length === 1 ? [run]
      : Array.from({ length: run.length - 1 }, (_, i) => run.slice(i, i + 2)));
}
"""

    def split(self, input: str) -> list[str]:  # noqa: A002
        """Return the terms of a text."""
        return terms(input)

    def stem(self, word: str) -> str:
        """Return a term as it is looked up."""
        return word.lower()

    def word_filter(self, word: str) -> bool:
        """Return True for a term that is worth an entry of the index."""
        return not word.isdigit()


def terms(text: str) -> list[str]:
    """Return the terms of a text: single characters are among them, for queries of one."""
    found = []
    for run in _RUN.findall(text):
        if "一" <= run[0] <= "鿿":
            found += list(run) + [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            found.append(run)
    return found


def register() -> None:
    """Make Sphinx use these terms for a site in Chinese."""
    sphinx.search.languages["zh"] = ChinesePairs
