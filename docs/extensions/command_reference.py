"""The reference of the commands, from their parsers.

A page contains `<!-- commands of PROGRAM -->`, where PROGRAM is one of the keys of PARSERS; the
line is replaced when the page is read.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from setup import manual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sphinx.application import Sphinx

PLACE = re.compile(r"<!-- commands of ([a-z -]+) -->")
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "tonnage": manual.lab_parser,
    "tonnage image": lambda: manual.commands(manual.lab_parser())["image"],
    "tonnage vm": lambda: manual.commands(manual.lab_parser())["vm"],
    "tonnage-oci": manual.oci_parser,
}
# Groups of commands that have a page of their own.
SEPARATE = ("tonnage image", "tonnage vm")


def escaped(text: str) -> str:
    """Return text in which nothing is Markdown, in one line."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|$#])", r"\\\1", line)


def usage(parser: argparse.ArgumentParser) -> list[str]:
    """Return the lines of a block with the usage."""
    return ["```text", parser.format_usage().removeprefix("usage: ").rstrip(), "```", ""]


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield a definition list of the options and operands."""
    for option in manual.options(parser):
        names = ", ".join(f"`{name}`" for name in option.names)
        value = f"*{escaped(option.value)}*" if option.value else ""
        yield f"{names} {value}".strip()
        yield f": {escaped(option.explanation) or '(see the usage)'}"
        yield ""


def reference(parser: argparse.ArgumentParser, level: int = 2) -> Iterator[str]:
    """Yield the lines of the reference of a program, or of a group of its commands."""
    yield from usage(parser)
    yield from options(parser)
    purposes = manual.purposes(parser)
    for name, command in manual.commands(parser).items():
        yield f"{'#' * level} {parser.prog} {name}"
        yield ""
        purpose = command.description or purposes.get(name, "")
        yield f"{escaped(purpose[:1].upper() + purpose[1:]).rstrip('.')}."
        yield ""
        if command.prog in SEPARATE:
            yield f"See [{command.prog}]({command.prog.replace(' ', '-')}.md)."
            yield ""
        elif manual.commands(command):
            yield from reference(command, level + 1)
        else:
            yield from usage(command)
            yield from options(command)


def fill(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Replace the places of a page by the reference of their programs."""
    source[0] = PLACE.sub(lambda match: "\n".join(reference(PARSERS[match[1]]())), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
