"""`tonnage image save` and `load`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add save and load."""
    save = verbs.add_parser("save", parents=[common], help="write images to an archive")
    save.add_argument("references", nargs="+", metavar="IMAGE")
    save.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    save.set_defaults(image_verb=_save)
    load = verbs.add_parser(
        "load", parents=[common], help="add images from a docker or OCI archive"
    )
    load.add_argument("-i", "--input", type=Path, metavar="FILE", help="default: standard input")
    load.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    load.set_defaults(image_verb=_load)


def _save(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.archives import save
    from runtime.images.reference import parse

    names = [str(parse(each)) for each in options.references]
    for name in names:
        store.image(name)  # raise before anything is written
    if options.output is None:
        if sys.stdout.isatty():
            raise LabError("Refused to write an archive to a terminal: name a file with --output.")
        save(store, names, sys.stdout.buffer)
        return 0
    aside = options.output.with_name(f".{options.output.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            save(store, names, file)
        aside.rename(options.output)
    except OSError as error:
        raise LabError(f"{options.output} can't be written: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)
    return 0


def _load(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.archives import load

    if options.input is None:
        images = load(store, sys.stdin.buffer)
    else:
        try:
            with options.input.open("rb") as file:
                images = load(store, file)
        except FileNotFoundError:
            raise LabError(f"There is no file {options.input}.") from None
    if not options.quiet:
        for image in images:
            print(f"Loaded image: {image.name}")
    return 0
