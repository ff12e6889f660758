"""`tonnage image save`, `load` and `export`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add save, load and export."""
    save = verbs.add_parser("save", parents=[common], help="write images to an archive")
    save.add_argument("references", nargs="+", metavar="IMAGE")
    save.set_defaults(image_verb=_save)
    load = verbs.add_parser(
        "load", parents=[common], help="add images from a docker or OCI archive"
    )
    load.add_argument("-i", "--input", type=Path, metavar="FILE", help="default: standard input")
    load.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    load.set_defaults(image_verb=_load)
    export = verbs.add_parser(
        "export", parents=[common], help="write the files of an image to a tar archive"
    )
    export.add_argument("reference", metavar="IMAGE")
    export.set_defaults(image_verb=_export)
    for parser in (save, export):
        parser.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="default: standard output"
        )


def _save(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.archives import save
    from runtime.images.reference import parse

    names = [str(parse(each)) for each in options.references]
    for name in names:
        store.image(name)  # raise before anything is written
    _write(options.output, lambda file: save(store, names, file))
    return 0


def _load(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.archives import load

    if options.input is None:
        images = load(store, sys.stdin.buffer)
    else:
        with opened(options.input) as file:
            images = load(store, file)
    if not options.quiet:
        for image in images:
            print(f"Loaded image: {image.name}")
    return 0


def _export(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.merged_tree import archive
    from runtime.images.reference import parse

    image = store.image(str(parse(options.reference)))
    with store.lease() as lease:
        lease.add(*image.chain_ids)
        layers = store.layers(image)
        _write(options.output, lambda file: file.writelines(archive(layers)))
    return 0


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading. Raise LabError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise LabError(f"{path} can't be read: {error.strerror}.") from error


def _write(output: Path | None, write: Callable[[IO[bytes]], None]) -> None:
    """Write an archive to a file, or to standard output. A file appears once it is complete."""
    if output is None:
        if sys.stdout.isatty():
            raise LabError("Refused to write an archive to a terminal: name a file with --output.")
        write(sys.stdout.buffer)
        return
    aside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            write(file)
        aside.rename(output)
    except OSError as error:
        raise LabError(f"{output} can't be written: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)
