"""`tonnage class`: joins its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import shared_options
from lab.cli.classroom import archive, collect, export_otter, make, serve

if TYPE_CHECKING:
    import argparse

# `register` of each module adds its verbs to the subparsers that it gets.
_MODULES = (make, serve, collect, export_otter, archive)


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add `class` and its verbs."""
    text = "teach with notebooks: make, serve, collect, export and pack them"
    parser = shared_options.add_verb(verbs, "class", _none, text, ())
    below = parser.add_subparsers(metavar="VERB", required=True)
    for module in _MODULES:
        module.register(below, common)


def _none(_: argparse.Namespace) -> int:
    raise AssertionError("argparse requires a verb")
