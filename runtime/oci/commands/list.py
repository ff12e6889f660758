"""`list`: print the containers as a table, as JSON, or their ids alone."""

from __future__ import annotations

import os

from runtime.container.root_directory import all_below
from runtime.container.state import names
from runtime.errors import ContainerError, InvalidConfig
from runtime.linux.pidfd import reap
from runtime.oci.arguments import SWITCH, VALUE, parse
from runtime.oci.commands.state import document
from runtime.spec.json_structs import encode
from runtime.spec.json_structs import parse as parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings

_OPTIONS = {"--format": VALUE, "--quiet": SWITCH}
_SHORT = {"-f": "--format", "-q": "--quiet"}
_WORTH_A_PROCESS = 500
_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print the containers."""
    options = parse(words, _OPTIONS, _SHORT, mixed=True)
    shape = options.value("--format", "table")
    if shape not in {"table", "json"}:
        raise InvalidConfig(f"--format must be table or json, not {shape!r}.")
    documents = _all_documents(settings.root)
    if options.has("--quiet"):
        print("\n".join(str(each["id"]) for each in documents), end="\n" if documents else "")
    elif shape == "json":
        print(encode(documents))
    else:
        rows = [[name.upper() for name in _COLUMNS]]
        rows += [[str(each[name]) for name in _COLUMNS] for each in documents]
        print_table(rows)
    return 0


def _all_documents(root: str) -> list[dict[str, object]]:
    """Return the document of each container; thousands are read by one process per CPU."""
    every = names(root)
    processes = max(1, min(len(os.sched_getaffinity(0)), len(every) // _WORTH_A_PROCESS))
    share = max(1, -(-len(every) // processes))
    own, *others = [every[at : at + share] for at in range(0, len(every), share)] or [[]]
    helpers = [_start_helper(root, part) for part in others]
    documents = _documents(root, own)
    for pid, descriptor in helpers:
        with open(descriptor, "rb") as pipe:
            text = pipe.read()
        if reap(pid):
            raise ContainerError("Not all containers could be read: a helper process failed.")
        part = parse_json(text, "a helper's part of the list")
        assert isinstance(part, list)
        documents += part
    return documents


def _start_helper(root: str, identifiers: Sequence[str]) -> tuple[int, int]:
    """Start a process that reads these containers; return its pid, and a pipe with its result."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    code = 1
    try:
        with open(writing, "wb") as pipe:
            pipe.write(encode(_documents(root, identifiers)).encode())
        code = 0
    finally:
        os._exit(code)


def _documents(root: str, identifiers: Sequence[str]) -> list[dict[str, object]]:
    documents = []
    for container in all_below(root, identifiers):
        documents.append(document(container))
        container.close()
    return documents


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print the rows in columns, at least three spaces apart."""
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("".join(cells).rstrip())
