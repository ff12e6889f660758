"""`tonnage image tag`, `rm` and `prune`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.units import quantity

if TYPE_CHECKING:
    import argparse

    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add tag, rm and prune."""
    tag = verbs.add_parser("tag", parents=[common], help="add a name to an image")
    tag.add_argument("reference", metavar="IMAGE")
    tag.add_argument("name", metavar="NAME")
    tag.set_defaults(image_verb=_tag)
    rm = verbs.add_parser(
        "rm", parents=[common], help="remove names of images, and data that no image uses"
    )
    rm.add_argument("references", nargs="+", metavar="IMAGE")
    rm.add_argument("--no-prune", action="store_true", help="remove only the names")
    rm.set_defaults(image_verb=_rm)
    prune = verbs.add_parser("prune", parents=[common], help="remove data that no named image uses")
    prune.add_argument(
        "--build-cache", action="store_true", help="remove what builds have kept, too"
    )
    prune.set_defaults(image_verb=_prune)


def _tag(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.reference import parse

    store.tag(str(parse(options.reference)), str(parse(options.name)))
    return 0


def _rm(options: argparse.Namespace, store: Store) -> int:
    """Remove every name that is there; say each that is not."""
    from runtime.errors import NotFound
    from runtime.images.reference import parse

    references = [parse(each) for each in options.references]
    code = 0
    for reference in references:
        try:
            store.layout.untag(str(reference))
        except NotFound as error:
            print(f"tonnage: {error}", file=sys.stderr)
            code = 1
        else:
            print(f"Untagged: {reference.familiar}")
    if not options.no_prune:
        store.collect()
    return code


def _prune(options: argparse.Namespace, store: Store) -> int:
    from runtime.build import cache_removal

    if options.build_cache:
        cache_removal.clear(store)
    collected = store.collect()
    print(f"Removed {collected.blobs} blobs and {collected.snapshots} unpacked layers.")
    print(f"Total reclaimed space: {quantity(collected.size_bytes, 'byte')} of blobs")
    return 0
