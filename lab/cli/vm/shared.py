"""Parts that the verbs of `tonnage vm` share: adding a verb, opening libvirt, printing a table."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.errors import InvalidConfig
from lab.language.message import translated

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed import DataclassInstance

    import vms

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
    Action = Callable[[argparse.Namespace], int]
    ConnectedAction = Callable[[argparse.Namespace, vms.Connection], int]


def add_verb(
    verbs: Subparsers, parents: Sequence[argparse.ArgumentParser], name: str, run: Action, text: str
) -> argparse.ArgumentParser:
    """Add a verb that runs `run`; `text` is its line in the list of verbs and heads its help."""
    description = f"{text[:1].upper()}{text[1:]}."
    parser = verbs.add_parser(name, parents=list(parents), help=text, description=description)
    parser.set_defaults(machine_verb=run)
    return parser


def add_connected_verb(
    verbs: Subparsers, common: argparse.ArgumentParser, name: str, run: ConnectedAction, text: str
) -> argparse.ArgumentParser:
    """Add a verb whose function gets an open connection to libvirt."""
    return add_verb(verbs, (common,), name, _connected(run), text)


def add_machine_verb(
    verbs: Subparsers, common: argparse.ArgumentParser, name: str, run: ConnectedAction, text: str
) -> argparse.ArgumentParser:
    """Add a verb with a connection whose first argument is a machine's name."""
    parser = add_connected_verb(verbs, common, name, run, text)
    parser.add_argument("name", metavar="NAME", help="the machine's name")
    return parser


def add_machines(parser: argparse.ArgumentParser) -> None:
    """Add NAME…, the names of one or more machines."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of machines")


def _connected(run: ConnectedAction) -> Action:
    def run_connected(options: argparse.Namespace) -> int:
        with open_libvirt(options.connect) as connection:
            return run(options, connection)

    return run_connected


def libvirt_uri(options: argparse.Namespace) -> str | None:
    """Return --connect or $LIBVIRT_DEFAULT_URI; None stands for this process's own libvirt."""
    from vms.connection.connection import default_uri

    uri: str | None = options.connect or default_uri()
    return uri


@contextmanager
def open_libvirt(uri: str | None) -> Iterator[vms.Connection]:
    """Open the libvirt at the URI, by default at $LIBVIRT_DEFAULT_URI.

    Raise InvalidConfig if neither is given.
    """
    from vms import Connection, paths
    from vms.connection.connection import default_uri

    uri = uri or default_uri()
    if uri is None:
        raise InvalidConfig(
            "This verb needs a libvirt daemon that keeps machines: pass --connect qemu:///system,"
            " or set LIBVIRT_DEFAULT_URI."
        )
    with Connection.open(paths.sockets(), uri) as connection:
        yield connection


def keys_of(kind: type[DataclassInstance]) -> list[str]:
    """Return the keys of the documents that a dataclass becomes."""
    return [field.name for field in fields(kind)]


def _in_base_units(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with seconds, bytes and ISO times, named so, for CSV."""
    result = {}
    for key, value in document.items():
        if key == "created_seconds":  # since the epoch
            at = None if value is None else datetime.fromtimestamp(value, UTC)
            result["created"] = at and at.isoformat()
        elif key.endswith("_ns"):
            result[f"{key.removesuffix('_ns')}_seconds"] = None if value is None else value / 1e9
        elif key.endswith("_mib"):
            size = None if value is None else value * 2**20
            result[f"{key.removesuffix('_mib')}_bytes"] = size
        else:
            result[key] = value
    return result


def print_record(options: argparse.Namespace, document: dict[str, Any], sentence: str) -> None:
    """Print a document as JSON, as a row of CSV or Markdown, or else the sentence."""
    if options.format == "json":
        print(json.dumps(document, indent=2))
    elif options.format == "csv":
        print(tables.records([_in_base_units(document)]), end="")
    elif options.format == "markdown":
        row = [str(value) for value in document.values()]
        print(*tables.markdown(list(document), [row]), sep="\n")
    else:
        print(translated(sentence, options.lang))


def print_event(output_format: str, document: dict[str, Any], *, first: bool) -> None:
    """Print a row of CSV or Markdown as soon as it is known; the headings precede the first."""
    row = [str(value) for value in document.values()]
    if output_format == "csv":
        text = tables.csv_lines(list(document), [row])
        print(text if first else text.partition("\n")[2], end="", flush=True)
    else:
        lines = tables.markdown(list(document), [row])[0 if first else 2 :]
        print(*lines, sep="\n", flush=True)


def print_rows(
    options: argparse.Namespace,
    keys: Sequence[str],
    document: Sequence[dict[str, Any]],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> int:
    """Print the rows as a table, or the document as JSON or CSV; return exit code 0.

    `keys` are those of the document, which CSV has as columns even if there are no rows.
    """
    if options.format == "json":
        print(json.dumps(document, indent=2))
    elif options.format == "csv":
        columns = _in_base_units(dict.fromkeys(keys))
        print(tables.records([_in_base_units(each) for each in document], columns), end="")
    elif options.format == "markdown":
        print(*tables.markdown(headings, rows, options.lang), sep="\n")
    else:
        print(*tables.columns(headings, rows, options.lang), sep="\n")
    return 0
