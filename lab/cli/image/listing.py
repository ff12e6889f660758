"""`tonnage image ls`, `inspect` and `history`, with docker's columns and templates."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.cli import shared_options
from lab.cli.image import templates
from lab.language.message import Message
from lab.units import quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from runtime.images.store import Image, Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_SHORT_DIGITS = 12
_STEP_LETTERS = 45
_EXACT = {"CreatedSince": "CreatedAt", "Size": "SizeBytes"}  # columns of CSV for docker's


class _Size(str):
    """A size as docker shows it, which keeps its bytes for CSV."""

    __slots__ = ("size_bytes",)
    size_bytes: int

    def __new__(cls, size_bytes: int) -> _Size:
        size = super().__new__(cls, quantity(size_bytes, "byte"))
        size.size_bytes = size_bytes
        return size


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add ls, inspect and history."""
    ls = verbs.add_parser("ls", parents=[common], help="list the images of the store")
    ls.add_argument(
        "repository", nargs="?", metavar="REPOSITORY[:TAG]", help="list only these images"
    )
    ls.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    ls.add_argument("--no-trunc", action="store_true", help="print IDs and steps in full")
    ls.add_argument("--digests", action="store_true", help="print a column with digests")
    ls.set_defaults(image_verb=_ls)
    inspect = verbs.add_parser(
        "inspect", parents=[common], help="print the configuration of images as JSON"
    )
    inspect.add_argument("references", nargs="+", metavar="IMAGE")
    inspect.set_defaults(image_verb=_inspect)
    history = verbs.add_parser("history", parents=[common], help="list the steps of an image")
    history.add_argument("reference", metavar="IMAGE")
    history.add_argument("--no-trunc", action="store_true", help="print steps in full")
    history.set_defaults(image_verb=_history)
    for parser in (ls, inspect, history):
        parser.add_argument(
            "--format",
            metavar="FORMAT",
            help="text (or table), json, csv, markdown, or a template such as '{{.ID}}'",
        )
        shared_options.add_language(parser)


def _ls(options: argparse.Namespace, store: Store) -> int:
    images = [image for image in store.images() if _is_named(image.name, options.repository)]
    whole = options.no_trunc or options.format == "csv"
    rows = [_row(store, image, whole=whole) for image in images]
    if options.quiet:
        print(*dict.fromkeys(row["ID"] for row in rows), sep="\n", end="\n" if rows else "")
        return 0
    columns: dict[str, str] = {
        Message("REPOSITORY"): "Repository",
        Message("TAG"): "Tag",
        Message("IMAGE ID"): "ID",
        Message("CREATED"): "CreatedSince",
        Message("SIZE"): "Size",
    }
    if options.digests:
        columns[Message("DIGEST")] = "Digest"
    return _print(options, columns, rows)


def _inspect(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.reference import parse

    documents = [_document(store, store.image(str(parse(each)))) for each in options.references]
    if options.format in (None, "json", "text"):
        print(json.dumps(documents, indent=4))
        return 0
    if options.format == "csv":
        print(tables.records(documents), end="")
        return 0
    if options.format == "markdown":
        for document in documents:
            rows = [(key, _inspected(value)) for key, value in document.items()]
            print(
                *tables.markdown((Message("field"), Message("value")), rows, options.lang), sep="\n"
            )
        return 0
    for document in documents:
        print(templates.fill(options.format, document))
    return 0


def _inspected(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _history(options: argparse.Namespace, store: Store) -> int:
    from runtime.images.reference import parse

    image = store.image(str(parse(options.reference)))
    sizes = iter([layer.size for layer in image.manifest.layers])
    rows = []
    for step in image.config.history or []:
        words = " ".join(step.created_by.split())
        shown = (
            words
            if options.no_trunc or options.format == "csv" or len(words) <= _STEP_LETTERS
            else f"{words[: _STEP_LETTERS - 1]}…"
        )
        size_bytes = 0 if step.empty_layer else next(sizes, 0)
        rows.append(
            {"CreatedAt": step.created, "CreatedSince": _since(step.created), "CreatedBy": shown,
             "Size": _Size(size_bytes), "Comment": step.comment}
        )  # fmt: skip
    columns: dict[str, str] = {
        Message("CREATED"): "CreatedSince",
        Message("CREATED BY"): "CreatedBy",
        Message("SIZE"): "Size",
        Message("COMMENT"): "Comment",
    }
    return _print(options, columns, rows[::-1])


def _print(
    options: argparse.Namespace, columns: dict[str, str], rows: Sequence[dict[str, Any]]
) -> int:
    """Print rows as a table, as CSV, as a JSON document a line, or by a template."""
    cells = [[str(row[key]) for key in columns.values()] for row in rows]
    if options.format in (None, "table", "text"):
        print(*tables.columns(list(columns), cells, options.lang), sep="\n")
    elif options.format == "markdown":
        print(*tables.markdown(list(columns), cells, options.lang), sep="\n")
    elif options.format == "csv":
        names = [_EXACT.get(key, key) for key in columns.values()]
        print(
            tables.csv_lines(names, [[_exact(row, key) for key in names] for row in rows]), end=""
        )
    elif options.format == "json":
        print(*map(json.dumps, rows), sep="\n", end="\n" if rows else "")
    else:
        templates.check(options.format)
        for row in rows:
            print(templates.fill(options.format, row))
    return 0


def _exact(row: dict[str, Any], key: str) -> object:
    return row["Size"].size_bytes if key == "SizeBytes" else row[key]


def _row(store: Store, image: Image, *, whole: bool) -> dict[str, Any]:
    from runtime.images.reference import parse

    reference = parse(image.name) if not image.name.startswith("<none>") else None
    repository, _, tag = (
        reference.familiar.rpartition(":") if reference else ("<none>", "", "<none>")
    )
    identifier = image.id if whole else image.id.partition(":")[2][:_SHORT_DIGITS]
    return {
        "Repository": repository, "Tag": tag, "Digest": image.descriptor.digest, "ID": identifier,
        "CreatedAt": image.config.created, "CreatedSince": _since(image.config.created),
        "Size": _Size(store.snapshots.size_bytes(image.chain_ids)),
    }  # fmt: skip


def _document(store: Store, image: Image) -> dict[str, Any]:
    """Return the fields of an image in docker's inspect."""
    import msgspec

    config = image.config
    return {
        "Id": image.id,
        "RepoTags": [
            name for name, each in store.layout.images() if each.digest == image.descriptor.digest
        ],
        "Digest": image.descriptor.digest,
        "Created": config.created,
        "Author": config.author,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": store.snapshots.size_bytes(image.chain_ids),
        "Config": msgspec.to_builtins(config.config) if config.config else {},
        "RootFS": {"Type": "layers", "Layers": list(config.rootfs.diff_ids)},
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": ":".join(str(each) for each in store.snapshots.layers(image.chain_ids))
            },
        },
    }


def _is_named(name: str, asked: str | None) -> bool:
    from runtime.images.reference import parse

    if not asked:
        return True
    if name.startswith("<none>"):
        return False
    wanted, found = parse(asked), parse(name)
    return wanted.name == found.name and (
        ":" not in asked.rpartition("/")[2] or wanted.tag == found.tag
    )


def _since(created: str) -> str:
    """Return the age of a time in docker's words, or nothing if it is unknown."""
    try:
        then = datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=datetime.UTC)
    seconds = (datetime.datetime.now(datetime.UTC) - then).total_seconds()
    for unit, length in (("year", 365 * 86400), ("month", 30 * 86400), ("week", 7 * 86400),
                         ("day", 86400), ("hour", 3600), ("minute", 60)):  # fmt: skip
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}s ago"
    return f"{max(0, int(seconds))} seconds ago"
