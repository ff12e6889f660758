"""`tonnage image`: its verbs, each registered by the module that has it."""

from __future__ import annotations

import argparse
import os

from lab.cli import examples, shared_options
from lab.cli.image import archive_files, building, creation, disk, listing, naming, notes, transfer
from lab.cli.image.examples import EXAMPLES
from lab.errors import LabError

# `register` of a module adds its verbs; each sets `image_verb` to a function of the options and
# the store that returns the exit code.
_MODULES = (transfer, building, creation, listing, naming, archive_files, disk)


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add `image` and its verbs."""
    text = "manage images: pull, push, build, list, save, load and more"
    parser = shared_options.add_verb(verbs, "image", _run, text, ())
    below = parser.add_subparsers(metavar="VERB", required=True)
    shared = argparse.ArgumentParser(add_help=False, parents=[common])
    shared.add_argument(
        "--store",
        metavar="DIR",
        help="the directory of the image store; default: $TONNAGE_IMAGES, else"
        " /var/lib/tonnage/images, or ~/.local/share/tonnage/images for users",
    )
    shared.add_argument(
        "--unmapped-ids",
        choices=("refuse", "root"),
        default="refuse",
        help="for users: refuse files of owners for whom /etc/subuid and /etc/subgid grant no ID,"
        " or give them to root; default: refuse",
    )
    shared.add_argument(
        "--durability",
        choices=("safe", "fast"),
        default="safe",
        help="safe: sync images to the disk before naming them; fast: never sync",
    )
    for module in _MODULES:
        module.register(below, shared)
    examples.attach(below, "image", EXAMPLES)


def _run(options: argparse.Namespace) -> int:
    """Run the verb; an error of the runtime becomes one of the lab, which `main` prints."""
    from pathlib import Path

    from runtime.errors import ContainerError
    from runtime.images.store import Store, default_directory
    from runtime.namespaces import rootless

    try:
        directory = Path(options.store) if options.store else default_directory()
        if os.geteuid() != 0:
            rootless.enter()
        squash = options.unmapped_ids == "root"
        store = Store(directory, options.durability, squash=squash, note=notes.note)
        return int(options.image_verb(options, store))
    except ContainerError as error:
        raise LabError(notes.on_one_line(str(error))) from error
    except PermissionError as error:
        words = "run as root, or name another directory with --store"
        raise LabError(
            f"The image store {directory} can't be written: {error}; {words}."
        ) from error
    except OSError as error:
        what = error.filename or directory
        raise LabError(f"The image store {directory}: {what}: {error.strerror}.") from error
