"""`tonnage image import` and `bootstrap`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.image.archive_files import opened
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    from runtime.images.manifest import Execution
    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add import and bootstrap."""
    parser = verbs.add_parser(
        "import", parents=[common], help="make an image of a root file system in a tar archive"
    )
    parser.add_argument("file", metavar="FILE", help="-: standard input")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="for the history")
    parser.add_argument(
        "-c", "--change", action="append", default=[], metavar="INSTRUCTION",
        help="a Dockerfile instruction such as 'CMD [\"/bin/sh\"]'; may be repeated",
    )  # fmt: skip
    parser.set_defaults(image_verb=_import)
    parser = verbs.add_parser(
        "bootstrap", parents=[common], help="make a base image from Debian packages"
    )
    parser.add_argument("release", metavar="RELEASE", help="such as debian:bookworm")
    parser.add_argument("-t", "--tag", metavar="NAME", help="default: RELEASE")
    parser.add_argument(
        "--include", action="append", default=[], metavar="PACKAGE", help="may be repeated"
    )
    parser.set_defaults(image_verb=_bootstrap)


def _import(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.imported import import_archive
    from runtime.images.reference import parse

    names = [str(parse(options.name))] if options.name else []
    execution = _changed(options.change)
    if options.file == "-":
        image = import_archive(store, sys.stdin.buffer, names, execution, options.message)
    else:
        with opened(Path(options.file)) as file:
            image = import_archive(store, file, names, execution, options.message)
    print(image.id)
    return 0


def _changed(instructions: list[str]) -> Execution | None:
    """Return the configuration that instructions make. Raise LabError for another instruction."""
    from runtime.build import settings
    from runtime.build.dockerfile import parse

    if not instructions:
        return None
    found = settings.of_image(None, "\\")
    for text in instructions:
        for instruction in parse(text, "--change").instructions:
            if not settings.apply(found, instruction):
                raise LabError(f"--change {text!r} does not only change the configuration.")
    return found.execution()


def _bootstrap(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.imported import bootstrap
    from runtime.images.reference import parse

    name = str(parse(options.tag or options.release))
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(epoch) if epoch.isdecimal() else None
    image = bootstrap(store, options.release, [name], options.include, seconds)
    print(f"{image.name}  {image.id}")
    return 0
