"""`tonnage image pull` and `push`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    from runtime.images.manifest import Descriptor
    from runtime.images.reference import Reference
    from runtime.images.registry.http import Options
    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_SHOWN_DIGITS = 12


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add pull and push."""
    pull = verbs.add_parser("pull", parents=[common], help="download images from a registry")
    pull.add_argument("references", nargs="+", metavar="IMAGE", help="such as debian:12")
    pull.add_argument("--platform", metavar="OS/ARCH[/VARIANT]", help="default: this host's")
    pull.set_defaults(image_verb=_pull)
    push = verbs.add_parser("push", parents=[common], help="upload an image to a registry")
    push.add_argument("reference", metavar="IMAGE")
    push.add_argument("destination", nargs="?", metavar="AS", help="default: the image's own name")
    push.set_defaults(image_verb=_push)
    for parser in (pull, push):
        parser.add_argument("-q", "--quiet", action="store_true", help="print only the digest")
        parser.add_argument(
            "--tls-verify",
            choices=("true", "false"),
            default="true",
            help="false: allow plain HTTP and untrusted certificates",
        )
        parser.add_argument(
            "--ca",
            type=Path,
            metavar="FILE",
            help="trust these certificates too",
        )
        parser.add_argument(
            "--creds", metavar="USER:PASSWORD", help="default: those of docker login"
        )


def _pull(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.pull import pull
    from runtime.images.reference import parse
    from runtime.images.registry.repository import Repository
    from runtime.images.store import parse_platform

    references = [parse(each) for each in options.references]
    platform = parse_platform(options.platform) if options.platform else None
    for reference in references:
        repository = Repository(reference, _reached(options, reference))
        progress = _Progress(quiet=options.quiet)
        image = pull(store, reference, repository, platform=platform, progress=progress)
        print(image.id if options.quiet else f"{reference}  {image.descriptor.digest}")
    return 0


def _push(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.push import push
    from runtime.images.reference import parse
    from runtime.images.registry.repository import Repository

    source = parse(options.reference)
    target = parse(options.destination or options.reference)
    repository = Repository(target, _reached(options, target), writable=True)
    mount_from = source.repository if source.registry == target.registry else None
    if mount_from == target.repository:
        mount_from = None
    progress = _Progress(quiet=options.quiet)
    pushed = push(store, str(source), target, repository, mount_from=mount_from, progress=progress)
    print(pushed.digest if options.quiet else f"{target}  {pushed.digest}")
    return 0


def _reached(options: argparse.Namespace, reference: Reference) -> Options:
    """Return how the registry of a reference is reached. Raise LabError."""
    from runtime.images.registry import credentials
    from runtime.images.registry.http import Options

    if options.creds:
        user, colon, password = options.creds.partition(":")
        if not colon:
            raise LabError("--creds is USER:PASSWORD.")
        known: credentials.Credentials | None = credentials.Credentials(user, password)
    else:
        known = credentials.find(reference.registry)
    return Options(known, options.ca, insecure=options.tls_verify == "false")


class _Progress:
    """Prints a line to standard error for each completed step of a layer."""

    _WORDS = {"fetch": "fetched", "unpack": "unpacked", "push": "pushed"}  # noqa: RUF012 - constant

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, blob: Descriptor, step: str, size_bytes: int) -> None:
        if not self._quiet and size_bytes == blob.size:
            digits = blob.digest.partition(":")[2][:_SHOWN_DIGITS]
            print(f"{digits}: {self._WORDS[step]} {size_bytes} bytes", file=sys.stderr)
