"""Verbs on machines that a libvirt keeps: how it is opened for them, and how they show tables."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    import vms

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
    Verb = Callable[[argparse.Namespace, vms.Connection], int]


def verb(
    verbs: Subparsers, common: argparse.ArgumentParser, name: str, act: Verb, text: str
) -> argparse.ArgumentParser:
    """A verb that has libvirt opened for it."""
    parser = verbs.add_parser(name, parents=[common], help=text)
    parser.set_defaults(machine_verb=_connected(act))
    return parser


def one(
    verbs: Subparsers, common: argparse.ArgumentParser, name: str, act: Verb, text: str
) -> argparse.ArgumentParser:
    """A verb whose first argument is a machine."""
    parser = verb(verbs, common, name, act, text)
    parser.add_argument("name", metavar="NAME")
    return parser


def _connected(act: Verb) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        with opened(options.connect) as connection:
            return act(options, connection)

    return run


def address(options: argparse.Namespace) -> str | None:
    """Which libvirt: asked for, or named by the environment; None is one of the process's own."""
    from vms.connection.connection import default_uri

    uri: str | None = options.connect or default_uri()
    return uri


@contextmanager
def opened(asked: str | None) -> Iterator[vms.Connection]:
    """The libvirt that was asked for, or that the environment names."""
    from vms import Connection, paths
    from vms.connection.connection import default_uri

    uri = asked or default_uri()
    if uri is None:
        raise LabError(
            "Machines that are kept need a libvirt that stays: --connect qemu:///system, or"
            " LIBVIRT_DEFAULT_URI in the environment."
        )
    with Connection.open(paths.sockets(), uri) as connection:
        yield connection


def show(
    options: argparse.Namespace,
    document: Sequence[dict[str, Any]],
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> int:
    """A table, or the document that it was made of."""
    if options.format == "json":
        print(json.dumps(document, indent=2))
        return 0
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        print("  ".join(w.ljust(n) for w, n in zip(row, widths, strict=True)).rstrip())
    return 0
