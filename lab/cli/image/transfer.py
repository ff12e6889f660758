"""`tonnage image pull` and `push`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types
from lab.cli.image import notes
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    from runtime.images.manifest import Descriptor
    from runtime.images.registry.http import Options
    from runtime.images.registry.registries_conf import Source
    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_SHOWN_DIGITS = 12


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add pull and push."""
    pull = verbs.add_parser("pull", parents=[common], help="download images from a registry")
    pull.add_argument("references", nargs="+", metavar="IMAGE", help="such as debian:12")
    pull.add_argument("--platform", metavar="OS/ARCH[/VARIANT]", help="default: this host's")
    pull.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="HOST[:PORT][/PATH]",
        help="try this registry first; may be repeated; default: those of registries.conf",
    )
    pull.set_defaults(image_verb=_pull)
    push = verbs.add_parser("push", parents=[common], help="upload an image to a registry")
    push.add_argument("reference", metavar="IMAGE")
    push.add_argument("destination", nargs="?", metavar="AS", help="default: the image's own name")
    push.add_argument(
        "--chunk-size",
        type=argument_types.size,
        default=0,
        metavar="SIZE",
        help="send layers in chunks of this size, such as 16M; default: only if the registry"
        " refuses whole layers",
    )
    push.set_defaults(image_verb=_push)
    for parser in (pull, push):
        parser.add_argument("-q", "--quiet", action="store_true", help="print only the digest")
        parser.add_argument(
            "--tls-verify",
            choices=("true", "false"),
            help="false: allow plain HTTP and untrusted certificates; default: true, or what"
            " registries.conf says",
        )
        parser.add_argument(
            "--ca",
            type=Path,
            metavar="FILE",
            help="trust these certificates too",
        )
        parser.add_argument(
            "--creds",
            metavar="USER:PASSWORD",
            help="default: those of docker login; mirrors do not get them",
        )


def _pull(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.mirrors import pull_from
    from runtime.images.reference import parse
    from runtime.images.registry import registries_conf
    from runtime.images.registry.repository import Repository
    from runtime.images.store import parse_platform

    registries = registries_conf.load()
    references = [registries.resolve(each) for each in options.references]
    sources = [
        [
            *(registries_conf.mirror(each, reference) for each in options.mirror),
            *registries.sources(reference),
        ]
        for reference in references
    ]
    platform = parse_platform(options.platform) if options.platform else None
    note = notes.ignore if options.quiet else notes.note
    for text, reference, places in zip(options.references, references, sources, strict=True):
        if reference != parse(text):
            note(f"{text} is an alias of {reference}.")
        image = pull_from(
            store,
            reference,
            [Repository(each.reference, _reached(options, each)) for each in places],
            note=note,
            platform=platform,
            progress=_Progress(quiet=options.quiet),
        )
        print(image.id if options.quiet else f"{reference}  {image.descriptor.digest}")
    return 0


def _push(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.push import push
    from runtime.images.reference import parse
    from runtime.images.registry import registries_conf
    from runtime.images.registry.registries_conf import Source
    from runtime.images.registry.repository import Repository

    source = parse(options.reference)
    target = parse(options.destination or options.reference)
    registries = registries_conf.load()
    registries.check_allowed(target)
    there = Source(target, registries.is_insecure(target), is_mirror=False)
    repository = Repository(target, _reached(options, there), writable=True)
    mount_from = source.repository if source.registry == target.registry else None
    if mount_from == target.repository:
        mount_from = None
    pushed = push(
        store,
        str(source),
        target,
        repository,
        mount_from=mount_from,
        chunk_bytes=options.chunk_size,
        progress=_Progress(quiet=options.quiet),
    )
    print(pushed.digest if options.quiet else f"{target}  {pushed.digest}")
    return 0


def _reached(options: argparse.Namespace, source: Source) -> Options:
    """Return how the registry of a source is reached. Raise LabError."""
    from runtime.images.mirrors import options_of
    from runtime.images.registry import credentials

    known: credentials.Credentials | None
    if options.creds and not source.is_mirror:
        user, colon, password = options.creds.partition(":")
        if not colon:
            raise LabError("--creds is USER:PASSWORD.")
        known = credentials.Credentials(user, password)
    else:
        known = credentials.find(source.reference.registry)
    insecure = None if options.tls_verify is None else options.tls_verify == "false"
    return options_of(source, known, options.ca, insecure)


class _Progress:
    """Prints a line to standard error for each completed step of a layer."""

    _WORDS = {"fetch": "fetched", "unpack": "unpacked", "push": "pushed"}  # noqa: RUF012 - constant

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, blob: Descriptor, step: str, size_bytes: int) -> None:
        if not self._quiet and size_bytes == blob.size:
            digits = blob.digest.partition(":")[2][:_SHOWN_DIGITS]
            print(f"{digits}: {self._WORDS[step]} {size_bytes} bytes", file=sys.stderr)
