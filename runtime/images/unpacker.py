"""The process that unpacks one layer.

It reads the archive from its standard input and writes a JSON document with the outcome to its
standard output. It is a separate process because it works on one CPU while its parent fetches,
inflates and hashes on another, and because its mounts are its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from runtime.errors import ContainerError
from runtime.images.layer import Layer, Limits
from runtime.images.lower_layers import LayersMissing, LowerLayers
from runtime.images.tar_reader import TarReader
from runtime.images.upper_tree import UpperTree
from runtime.linux import prctl
from runtime.linux.users import in_user_namespace

_PIECE_BYTES = 1 << 18
# overlayfs' attributes, as the host's root and as the root of a user namespace may write them.
_OPAQUE, _USER_OPAQUE = "trusted.overlay.opaque", "user.overlay.opaque"
_USER_OPTIONS = ",userxattr"


def main() -> int:
    """Unpack the layer that the first argument, a JSON document, describes."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    outcome: dict[str, Any] = {}
    try:
        outcome |= _unpack(**json.loads(sys.argv[1]))
    except LayersMissing:
        outcome["layers_missing"] = True
    except ContainerError as error:
        outcome["refused"] = str(error)
    except OSError as error:
        outcome["failed"] = error.strerror or str(error)
    with suppress(BrokenPipeError):  # the parent was killed
        os.write(1, json.dumps(outcome).encode())
    return 0


def _unpack(
    snapshots: str,
    new: str,
    lower: list[str],
    size_bytes: int,
    entries: int,
    ready: int | None,
    squash: bool,
) -> dict[str, Any]:
    """Apply the layer to the snapshot `new`, over the snapshots `lower`, topmost first.

    In a user namespace, owners that are not mapped become root with `squash`.
    """
    os.chdir(snapshots)
    os.umask(0)
    rootless = in_user_namespace()
    options = _USER_OPTIONS if rootless else ""
    below = LowerLayers([f"{each}/fs" for each in lower], f"{new}/merged", ready, options)
    root = os.open(f"{new}/fs", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = UpperTree(root, below, _USER_OPAQUE if rootless else _OPAQUE)
    layer = Layer(tree, Limits(size_bytes, entries))
    pieces = iter(partial(os.read, 0, _PIECE_BYTES), b"")
    reader = _mapped(pieces, tree.skipped, squash=squash) if rootless else TarReader(pieces)
    layer.apply(reader)
    for _ in pieces:
        pass  # the digest of the layer covers the bytes after the end of the archive
    sets_root = b"/" in tree.times
    return {"skipped": tree.skipped, "size_bytes": layer.size_bytes, "sets_root": sets_root}


def _mapped(pieces: Iterator[bytes], skipped: dict[str, int], *, squash: bool) -> TarReader:
    """Return a reader for the user namespace of this process."""
    from runtime.images.mapped_reader import Ids, MappedReader

    uids, gids = Ids("/proc/self/uid_map"), Ids("/proc/self/gid_map")
    return MappedReader(pieces, uids, gids, skipped, squash=squash)


if __name__ == "__main__":
    sys.exit(main())
