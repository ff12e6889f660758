"""`list`: the containers, as a table, as JSON or by their names alone."""

from __future__ import annotations

import os

from runtime.container.container import all_below
from runtime.container.state import names
from runtime.errors import ContainerError
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
    """Print them."""
    options = parse(words, _OPTIONS, _SHORT, mixed=True)
    shape = options.value("--format", "table")
    if shape not in {"table", "json"}:
        raise ContainerError(f"--format takes table or json, not {shape!r}.")
    found = _all_told(settings.root)
    if options.has("--quiet"):
        print("\n".join(str(each["id"]) for each in found), end="\n" if found else "")
    elif shape == "json":
        print(encode(found))
    else:
        rows = [[name.upper() for name in _COLUMNS]]
        rows += [[str(each[name]) for name in _COLUMNS] for each in found]
        print_table(rows)
    return 0


def _all_told(root: str) -> list[dict[str, object]]:
    """What is told of each; of thousands, by a process for each CPU."""
    every = names(root)
    processes = max(1, min(len(os.sched_getaffinity(0)), len(every) // _WORTH_A_PROCESS))
    share = max(1, -(-len(every) // processes))
    own, *others = [every[at : at + share] for at in range(0, len(every), share)] or [[]]
    asked = [_ask(root, wanted) for wanted in others]
    found = _told(root, own)
    for pid, answer in asked:
        with open(answer, "rb") as pipe:
            text = pipe.read()
        if reap(pid):
            raise ContainerError("Not all containers could be looked at.")
        told = parse_json(text, "a part of the list")
        assert isinstance(told, list)
        found += told
    return found


def _ask(root: str, wanted: Sequence[str]) -> tuple[int, int]:
    """The pid of a process that looks at these, and the descriptor that it answers at."""
    answer, answering = os.pipe()
    if pid := os.fork():
        os.close(answering)
        return pid, answer
    code = 1
    try:
        with open(answering, "wb") as pipe:
            pipe.write(encode(_told(root, wanted)).encode())
        code = 0
    finally:
        os._exit(code)


def _told(root: str, wanted: Sequence[str]) -> list[dict[str, object]]:
    found = []
    for container in all_below(root, wanted):
        found.append(document(container))
        container.close()
    return found


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns, three spaces apart at least."""
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("".join(cells).rstrip())
