"""The images that are delivered: a base, an application on it, and the same with other data.

They are made from the user land, which all targets share: from all of it, or from a few of its
programs (some ten MiB). The application is one layer, so that its second version changes one layer.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.paths import PAYLOAD_IN_TREE
from runtime.errors import ContainerError
from runtime.images import assembly, layer_diff
from runtime.images.manifest import Config, Execution, History, RootFs
from runtime.images.push import push
from runtime.images.reference import parse
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.store import Store, host_platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runtime.images.assembly import NewLayer

BASE, FIRST, CHANGED = "base:1", "app:1", "app:2"
_DATA_BYTES = 1 << 20
_PROGRAMS = ("sh", "dash", "bash", "cat", "cp", "echo", "env", "ls", "mkdir", "mv", "rm", "sleep",
             "touch", "true", "head", "tail", "wc", "sort", "tar", "sed", "grep", "find", "openssl",
             "perl", "ldd", "id", "chmod", "chown")  # fmt: skip
_LIBRARIES = ("ld-linux-x86-64", "libc", "libm", "libdl", "libpthread", "librt", "libresolv",
              "libselinux", "libpcre2-8", "libacl", "libattr", "libtinfo", "libcrypt", "libcrypto",
              "libssl", "libz", "libgcc_s", "libcap")  # fmt: skip
_LIBRARY_DIRECTORIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "lib64")
_LINKS = ("bin", "sbin", "lib", "lib64")
_EMPTY = ("tmp", "proc", "sys", "dev", "root", "run", "var/tmp", "etc")
_FILES = ("etc/passwd", "etc/group")


@dataclass(frozen=True, slots=True)
class Published:
    """The images in the storage of a registry: the ID of each, by REPOSITORY:TAG."""

    data: Path
    ids: dict[str, str]


def add(store: Store, name: str, layers: Sequence[NewLayer], command: Sequence[str]) -> str:
    """Add an image of these layers to the store, and return its ID."""
    with store.lease() as lease:
        config = Config(
            host_platform().architecture,
            "linux",
            RootFs("layers", [layer.diff_id for layer in layers]),
            Execution(cmd=list(command)),
            # buildah refuses a base image whose history lacks its layers.
            history=[History(created_by="tonnage") for _ in layers],
        )
        blobs = [layer.blob for layer in layers]
        return assembly.add_image(store, lease, config, blobs, [name]).id


def add_layer(store: Store, tree: Path) -> NewLayer:
    """Add a directory tree to the store as a layer."""
    with store.lease() as lease:
        return assembly.add_layer(store, lease, layer_diff.archive(tree))


def upload(store: Store, host: str, name: str) -> None:
    """Push an image of the store to the registry at HOST:PORT. Raise TargetFailed."""
    reference = parse(f"{host}/{name}")
    try:
        push(store, name, reference, Repository(reference, Options(), writable=True))
    except ContainerError as error:
        raise TargetFailed(f"The image {name} could not be published: {error}") from error


def publish(directory: Path, tree: Path, host: str, *, small: bool) -> dict[str, str]:
    """Make the images, push them to the registry, and return their IDs by REPOSITORY:TAG.

    `directory` is for what is made meanwhile, and is removed. `small` takes only a few programs of
    the tree.
    """
    try:
        store = Store(directory / "store", "fast")
        base = add_layer(store, copy_programs(tree, directory / "tree") if small else tree)
        layers = {
            BASE: [base],
            FIRST: [base, add_layer(store, _application(directory / "first", 1))],
            CHANGED: [base, add_layer(store, _application(directory / "changed", 2))],
        }
        ids = {}
        for name, chosen in layers.items():
            ids[name] = add(store, name, chosen, [PAYLOAD_IN_TREE, "serve", "delivered"])
            upload(store, host, name)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return ids


def remember(published: Published) -> None:
    """Record beside the registry's storage that it has the images."""
    _record(published.data).write_text(json.dumps(published.ids), encoding="utf-8")


def published(data: Path) -> Published | None:
    """Return what an earlier turn published in that storage, if it did."""
    try:
        return Published(data, json.loads(_record(data).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def copy_programs(tree: Path, small: Path) -> Path:
    """Copy a few programs of the user land with their libraries, and return the new tree."""
    small.mkdir(parents=True)
    for name in _EMPTY:
        (small / name).mkdir(parents=True)
    for name in (*_LINKS, *_FILES, PAYLOAD_IN_TREE.lstrip("/")):
        _copy(tree, small, name)
    for name in _PROGRAMS:
        _copy(tree, small, f"usr/bin/{name}")
    for directory in _LIBRARY_DIRECTORIES:
        for path in sorted((tree / directory).glob("*.so*")):
            if path.name.partition(".so")[0] in _LIBRARIES:
                _copy(tree, small, f"{directory}/{path.name}")
    return small


def _copy(tree: Path, small: Path, name: str) -> None:
    """Copy a file or a link; links between the directories of a merged /usr stay links."""
    source, target = tree / name, small / name
    if not os.path.lexists(source) or os.path.lexists(target):
        return
    if source.is_dir() and not source.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _application(directory: Path, version: int) -> Path:
    """Make the files of one version of the application: data that can't be compressed."""
    (directory / "app").mkdir(parents=True)
    (directory / "app/data").write_bytes(random.Random(version).randbytes(_DATA_BYTES))
    (directory / "app/version").write_text(f"{version}\n", encoding="utf-8")
    return directory


def _record(data: Path) -> Path:
    return data.with_name(f"{data.name}.json")
