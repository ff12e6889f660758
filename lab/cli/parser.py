"""The command line of `tonnage`: joins the parsers of the verbs."""

from __future__ import annotations

import argparse

from lab.cli import (
    calibrate,
    clean,
    compare,
    doctor,
    measure,
    plan,
    race,
    report,
    scale,
    shared_options,
    show,
)
from lab.cli.image import parser as image
from lab.cli.vm import parser as vm

_VERBS = (doctor, measure, show, report, compare, calibrate, race, plan, scale, image, vm, clean)


class _Version(argparse.Action):
    """Prints the version and exits. The version is looked up only on request."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lab import version

        print(version.line())
        parser.exit()


def build() -> argparse.ArgumentParser:
    """Return the parser. Parsed options hold the verb's function in `verb`."""
    parser = argparse.ArgumentParser(
        prog="tonnage",
        description="Measure what containers and virtual machines cost on this host, side by side.",
    )
    parser.add_argument("--debug", action="store_true", help=shared_options.DEBUG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    common = shared_options.common()
    for verb in _VERBS:
        verb.register(verbs, common)
    return parser
