"""File trees, entry by entry: what two programs made of the same layers is compared."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# overlayfs' own attributes, and labels of the host.
_LEFT_OUT = ("trusted.overlay.", "user.overlay.", "security.selinux")


@dataclass(frozen=True)
class File:
    """All that a test compares of a file; `same_as` is the first name of its hard links."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: str
    xattrs: tuple[tuple[str, bytes], ...]
    same_as: str


def entries(root: Path) -> dict[str, File]:
    """Return every file below a directory by its name; the directory itself is `.`."""
    names = ["."]
    for parent, directories, files in os.walk(root):
        above = Path(parent).relative_to(root)
        names += [str(above / each) for each in directories + files]
    first: dict[int, str] = {}
    return {name: _file(root, name, first) for name in sorted(names)}


@contextmanager
def mounted(layers: Sequence[Path], scratch: Path) -> Iterator[Path]:
    """Mount layers, topmost first, as an overlay that can't be written."""
    empty, target = scratch / "empty-layer", scratch / "mounted"
    empty.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    options = f"lowerdir={':'.join(str(each) for each in [*layers, empty])}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)


def _file(root: Path, name: str, first: dict[int, str]) -> File:
    path = root / name
    status = path.lstat()
    kind = {
        stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link",
        stat.S_IFCHR: "character", stat.S_IFBLK: "block", stat.S_IFIFO: "fifo",
    }[stat.S_IFMT(status.st_mode)]  # fmt: skip
    content = ""
    if kind == "file":
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif kind == "link":
        content = str(path.readlink())
    elif kind in ("character", "block"):
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    attributes = [
        each for each in os.listxattr(path, follow_symlinks=False) if not each.startswith(_LEFT_OUT)
    ]
    return File(
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        content,
        tuple((each, os.getxattr(path, each, follow_symlinks=False)) for each in attributes),
        name if kind == "directory" else first.setdefault(status.st_ino, name),
    )
