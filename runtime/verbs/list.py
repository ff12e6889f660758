"""`list`: the containers, as a table, as JSON or by their names alone."""

from __future__ import annotations

from runtime.container import all_below
from runtime.errors import ContainerError
from runtime.options import SWITCH, VALUE, parse
from runtime.verbs.state import document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci_cli import Settings

_OPTIONS = {"--format": VALUE, "--quiet": SWITCH}
_SHORT = {"-f": "--format", "-q": "--quiet"}
_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print them."""
    options = parse(words, _OPTIONS, _SHORT, mixed=True)
    shape = options.value("--format", "table")
    if shape not in {"table", "json"}:
        raise ContainerError(f"--format takes table or json, not {shape!r}.")
    found = []
    for container in all_below(settings.root):
        found.append(document(container))
        container.close()
    if options.has("--quiet"):
        print("\n".join(str(each["id"]) for each in found), end="\n" if found else "")
    elif shape == "json":
        import json

        print(json.dumps(found))
    else:
        rows = [[name.upper() for name in _COLUMNS]]
        rows += [[str(each[name]) for name in _COLUMNS] for each in found]
        print_table(rows)
    return 0


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns, three spaces apart at least."""
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("".join(cells).rstrip())
