"""The process that unpacks one layer: a mount namespace of its own, the snapshot as its root.

It reads the archive from its standard input and writes a JSON document with the outcome to its
standard output. It is a separate process because chroot(2) and mounts belong to a process, and
because it works on one CPU while its parent fetches, inflates and hashes on another.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from runtime.errors import ContainerError
from runtime.images.layer import Layer, Limits
from runtime.images.tar_reader import TarReader
from runtime.linux import clone, mount, prctl

_PIECE_BYTES = 1 << 18


def main() -> int:
    """Unpack the layer that the first argument, a JSON document, describes."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    outcome: dict[str, Any] = {}
    try:
        layer = _unpack(**json.loads(sys.argv[1]))
        outcome |= {"skipped": layer.skipped, "size_bytes": layer.size_bytes}
    except ContainerError as error:
        outcome["refused"] = str(error)
    except OSError as error:
        outcome["failed"] = error.strerror or str(error)
    with suppress(BrokenPipeError):  # the parent was killed
        os.write(1, json.dumps(outcome).encode())
    return 0


def _unpack(snapshots: str, new: str, lower: list[str], size_bytes: int, entries: int) -> Layer:
    """Mount the snapshot `new` over the snapshots `lower`, topmost first, and apply the layer."""
    os.chdir(snapshots)
    root = f"{new}/fs"
    if lower:
        clone.unshare(clone.NEWNS)
        mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
        # Relative names: the options of mount(2) have room for one page.
        layers = ":".join(f"{each}/fs" for each in lower)
        options = f"lowerdir={layers},upperdir={root},workdir={new}/work"
        root = f"{new}/merged"
        mount.mount(b"overlay", os.fsencode(root), b"overlay", 0, os.fsencode(options))
    os.chroot(root)
    os.chdir("/")
    os.umask(0)
    layer = Layer(Limits(size_bytes, entries))
    pieces = iter(partial(os.read, 0, _PIECE_BYTES), b"")
    layer.apply(TarReader(pieces))
    for _ in pieces:
        pass  # the digest of the layer covers the bytes after the end of the archive
    return layer


if __name__ == "__main__":
    sys.exit(main())
