"""Parts that the verbs of `tonnage vm` share: adding a verb, opening libvirt, printing a table."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

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


def print_rows(
    options: argparse.Namespace,
    document: Sequence[dict[str, Any]],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> int:
    """Print the rows as a table, or the document with --format json; return exit code 0."""
    if options.format == "json":
        print(json.dumps(document, indent=2))
    else:
        print(*tables.columns(headings, rows), sep="\n")
    return 0
