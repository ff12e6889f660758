"""The command line of `tonnage`: joins the parsers of the verbs."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

from lab.cli import shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

# The verbs in the order of the help, and the module that registers each.
_MODULES = {
    "doctor": "lab.cli.doctor",
    "table": "lab.cli.measure",
    "run": "lab.cli.measure",
    "show": "lab.cli.show",
    "report": "lab.cli.report",
    "compare": "lab.cli.compare",
    "calibrate": "lab.cli.calibrate",
    "race": "lab.cli.race",
    "class": "lab.cli.classroom.parser",
    "plan": "lab.cli.plan",
    "scale": "lab.cli.scale",
    "image": "lab.cli.image.parser",
    "vm": "lab.cli.vm.parser",
    "clean": "lab.cli.clean",
}


class _Version(argparse.Action):
    """Prints the version and exits. The version is looked up only on request."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lab import version

        print(version.line())
        parser.exit()


def build(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser. Parsed options hold the verb's function in `verb`.

    If the arguments begin with a verb, the parser knows that verb alone: to import all of them
    takes as long as a short verb.
    """
    parser = argparse.ArgumentParser(
        prog="tonnage",
        description="Measure what containers and virtual machines cost on this host, side by side.",
    )
    parser.add_argument("--debug", action="store_true", help=shared_options.DEBUG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    common = shared_options.common()
    chosen = _MODULES.get(arguments[0]) if arguments else None
    for module in [chosen] if chosen else dict.fromkeys(_MODULES.values()):
        import_module(module).register(verbs, common)
    return parser
