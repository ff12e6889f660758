"""The reference of a package: its public names, which are imported when they are first used.

A page contains `<!-- names of PACKAGE -->`; the line is replaced when the page is read.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

PLACE = re.compile(r"<!-- names of (\w+) -->")


def directives(package: str) -> Iterator[str]:
    """Yield the lines of a block that documents what `__all__` lists: classes, then errors."""
    module = import_module(package)
    values = {name: getattr(module, name) for name in module.__all__}
    errors = [name for name, value in values.items() if is_error(value)]
    others = [name for name in values if name not in errors]
    for title, names in (("Classes and functions", others), ("Errors", errors)):
        yield from (f"## {title}", "", "```{eval-rst}")
        for name in names:
            yield from directive(f"{package}.{name}", values[name])
        yield from ("```", "")


def is_error(value: object) -> bool:
    """Return True for a class of exceptions."""
    return isinstance(value, type) and issubclass(value, Exception)


def directive(name: str, value: object) -> list[str]:
    """Return the directive that documents a value."""
    if isinstance(value, type):
        return [f".. autoclass:: {name}", "   :members:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. autodata:: {name}", ""]


def fill(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Replace the places of a page by the references of their packages."""
    source[0] = PLACE.sub(lambda match: "\n".join(directives(match[1])), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
