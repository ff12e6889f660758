"""A store with a small base image, and built images with their files at hand."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.build.builder import build
from runtime.build.options import Options
from runtime.images import lookup
from runtime.images.archives import load
from runtime.images.store import Image, Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, oci_archive

if TYPE_CHECKING:
    import os

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh", "cat", "echo", "mkdir", "rm", "ln", "chmod", "chown", "test", "id", "env", "pwd", "touch",
    "cp", "mv", "ls", "true", "false", "printf", "mktemp", "stat", "grep", "sleep", "mkfifo", "dd",
    "readlink", "find", "sort", "rmdir", "date", "sed", "head", "wc", "tr", "mknod", "df",
)  # fmt: skip
CONFIG = {"Env": ["PATH=/bin", "BASE=1"], "Cmd": ["/bin/sh"]}


def add_base(store: Store, name: str = "base") -> None:
    """Add an image with a static shell and two users. Skip the test if there is no such shell."""
    if (
        not BUSYBOX.exists()
        or b"dynamically"
        in subprocess.run(["ldd", BUSYBOX], capture_output=True, check=False).stderr
    ):
        pytest.skip("busybox-static is not installed")
    layer = archive(
        member("bin", "directory"),
        member("bin/busybox", content=BUSYBOX.read_bytes(), mode=0o755),
        *(member(f"bin/{applet}", "symlink", linkname="busybox") for applet in APPLETS),
        *(member(each, "directory") for each in ("dev", "proc", "sys", "etc", "root")),
        member(
            "etc/passwd", content=b"root:x:0:0::/root:/bin/sh\nme:x:1000:1001::/home/me:/bin/sh\n"
        ),
        member("etc/group", content=b"root:x:0:\nus:x:1001:\nmore:x:1002:me\n"),
        member("etc/hosts", content=b""),
        member("etc/resolv.conf", content=b""),
        member("tmp", "directory", mode=0o1777),
    )
    load(store, io.BytesIO(oci_archive(name, *blobs_of([layer], config=CONFIG))))


class Built:
    """An image with its files looked up in its layers."""

    def __init__(self, store: Store, image: Image, told: list[str]) -> None:
        self.image = image
        self.told = told
        self._layers = store.snapshots.layers(image.chain_ids)

    def read(self, name: str) -> str:
        path = lookup.find(self._layers, name)
        assert path is not None, f"{name} is not there"
        return path.read_text()

    def has(self, name: str) -> bool:
        return lookup.find(self._layers, name) is not None

    def status(self, name: str) -> os.stat_result:
        path = lookup.find(self._layers, name)
        assert path is not None, f"{name} is not there"
        return path.stat()

    @property
    def cached(self) -> int:
        return sum(line.endswith(" CACHED") for line in self.told)


def built(store: Store, context: Path, text: str, **options: object) -> Built:
    """Build an image, and return it with the lines of progress."""
    told: list[str] = []
    image = build(
        store,
        Options(context=context, dockerfile=text, tell=told.append, **options),  # type: ignore[arg-type]
    )
    return Built(store, image, told)


def left_in(store: Store) -> list[str]:
    """Return what a build has left beside images and its cache."""
    builds = store.directory / "builds"
    return [
        *(path.name for path in (builds.iterdir() if builds.exists() else ())),
        *(path.name for path in store.snapshots.directory.iterdir()
          if path.name.startswith(".new-")),
        *(path.name for path in (store.directory / "leases").iterdir() if path.name != "lock"),
        *(path.name for path in (store.directory / "partial").iterdir()),
    ]  # fmt: skip
