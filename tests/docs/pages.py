"""Commands on the pages of the documentation, and what a test does with them.

A comment before a block says what: `<!-- test: run -->` runs it, `run with ARGUMENTS` appends
arguments to its last command, `root` runs it in tests/system, `file NAME` writes it to a file for
the commands that follow, `parse — REASON` only parses it, `skip — REASON` does nothing. A block
without a comment is parsed.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(set(ROOT.glob("docs/*/*.md")) - set(ROOT.glob("docs/notebooks/*.md"))),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples/README.md",
]
BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>.*?) -->\n *)?```(?P<language>[^\n`]*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(r"(?<!`)`((?:sudo )?(?:\.venv/bin/)?tonnage [^`]+)`(?!`)")
SHELL = ("sh", "console", "")
PLACEHOLDER = "…"
OPERATORS = ("|", "&&", ";", "&")


@dataclass(frozen=True)
class Block:
    """A block of commands, or of a file's text."""

    page: Path
    line: int
    language: str
    action: str  # run, root, file, parse, skip
    argument: str  # arguments, the file's name, the reason
    text: str

    @property
    def where(self) -> str:
        """The page and the line, for the names of tests and for failures."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """Return the commands, without prompts, output and comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith(("$ ", "# "))]
        return [line for line in map(without_comment, lines) if line]


def without_comment(line: str) -> str:
    """Return a line of a script without its comment and without sudo."""
    return re.sub(r"(^|\s)#\s.*$", "", line).strip().removeprefix("sudo ")


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page that are commands, or marked."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        mark = match["mark"]
        if mark is None and match["language"] not in SHELL:
            continue
        action, _, argument = (mark or "parse").partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        body = re.sub(r"(?m)^ +(?=\S)", "", match["text"]) if match["text"][:1] == " " else None
        yield Block(page, line, match["language"], action, argument, body or match["text"])


def inline(page: Path) -> Iterator[str]:
    """Yield the commands that a page mentions within its text."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"))
    yield from (" ".join(each.split()) for each in INLINE.findall(text))


def words(command: str) -> Iterator[list[str]]:
    """Yield the words of each program that a line runs, without its redirections."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[str] = []
    redirected = False
    for word in lexer:
        if redirected:
            redirected = False
        elif word in OPERATORS:
            yield found
            found = []
        elif set(word) <= set("<>"):
            redirected = True
        elif not (not found and re.fullmatch(r"[A-Z_]+=.*", word)):
            found.append(word)
    yield found


def faults_of_names(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    """Return the verbs and options of a command line that a parser does not know."""
    from setup import manual

    faults: list[str] = []
    for index, word in enumerate(arguments):
        below = manual.commands(parser)
        name, _, _ = word.partition("=")
        if word == "--":
            break
        if below and re.fullmatch(r"[a-z][a-z-]*", word):
            if word not in below:
                return [f"{parser.prog} has no command {word!r}"]
            return faults + faults_of_names(below[word], arguments[index + 1 :])
        if re.fullmatch(r"--?[a-z][a-z-]*", name) and name not in parser._option_string_actions:
            faults.append(f"{parser.prog} has no option {name}")
    return faults
