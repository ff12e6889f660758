"""`tonnage class pack` and `tonnage class unpack`: a class without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.classroom import class_options
from lab.cli.exit_codes import DONE
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add both verbs."""
    parents = (common, shared_options.output_format())
    parser = shared_options.add_verb(
        verbs,
        "pack",
        _pack,
        "pack wheels, user land, guest kernel, run and notebooks into one archive",
        parents,
        "class pack",
    )
    parser.add_argument(
        "archive", type=argument_types.folder, metavar="ARCHIVE", help="the file .tar to write"
    )
    class_options.add_run(parser)
    parser.add_argument(
        "--no-userland",
        action="store_true",
        help="leave out user land and kernel, for a class that replays the run; needs no root",
    )
    parser = shared_options.add_verb(
        verbs,
        "unpack",
        _unpack,
        "unpack such an archive, and check every file by its digest",
        parents,
        "class unpack",
    )
    parser.add_argument(
        "archive", type=argument_types.folder, metavar="ARCHIVE", help="the archive"
    )
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        default=Path("tonnage-class"),
        metavar="DIR",
        help="the folder to create; default: tonnage-class",
    )
    parser.add_argument(
        "--sha256",
        type=argument_types.sha256,
        metavar="DIGEST",
        help="the archive's digest; default: the one in ARCHIVE.sha256, if that is there",
    )


def _pack(options: argparse.Namespace) -> int:
    from lab.classroom import class_run, packing
    from lab.progress import Progress

    with Progress() as progress:
        digest = packing.pack(
            options.archive,
            class_run.path(options.run),
            progress.tell,
            userland=not options.no_userland,
        )
    if options.format == "json":
        print_json({"archive": str(options.archive), "sha256": digest})
    else:
        print(f"{digest}  {options.archive}")
    return DONE


def _unpack(options: argparse.Namespace) -> int:
    from lab.classroom import unpacking
    from lab.errors import InvalidConfig

    try:
        manifest = unpacking.unpack(options.archive, options.out, options.sha256)
    except unpacking.Refused as refused:
        raise InvalidConfig(str(refused)) from refused
    count = len(manifest["files"])
    if options.format == "json":
        print_json({"folder": str(options.out), "files": count, "tonnage": manifest["tonnage"]})
    else:
        print(f"{options.out}: all files agree with their digests ({count})")
        print(f"next: python3 {options.out}/install.py")
    return DONE
