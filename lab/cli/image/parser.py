"""`tonnage image`: its verbs, each registered by the module that has it."""

from __future__ import annotations

import argparse

from lab.cli.image import archive_files, building, listing, naming, transfer
from lab.errors import LabError

# `register` of a module adds its verbs; each sets `image_verb` to a function of the options and
# the store that returns the exit code.
_MODULES = (transfer, building, listing, naming, archive_files)


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `image` and all verbs below it."""
    image = verbs.add_parser("image", help="images: pull, push, build, list, save, load")
    image.set_defaults(verb=_run)
    below = image.add_subparsers(metavar="VERB", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--store",
        metavar="DIR",
        help="the directory of the image store; default: $TONNAGE_IMAGES, else"
        " /var/lib/tonnage/images",
    )
    common.add_argument(
        "--durability",
        choices=("safe", "fast"),
        default="safe",
        help="safe: what is added is on the disk before it has a name; fast: nothing is synced",
    )
    for module in _MODULES:
        module.register(below, common)


def _run(options: argparse.Namespace) -> int:
    """Run the verb; an error of the runtime becomes one of the lab, which `main` prints."""
    from pathlib import Path

    from runtime.errors import ContainerError
    from runtime.images.store import Store, default_directory

    directory = Path(options.store) if options.store else default_directory()
    try:
        return int(options.image_verb(options, Store(directory, options.durability)))
    except ContainerError as error:
        raise LabError(str(error)) from error
    except PermissionError as error:
        words = "run as root, or name another directory with --store"
        raise LabError(
            f"The image store {directory} can't be written: {error}; {words}."
        ) from error
