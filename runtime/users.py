"""Users: as a root file system's own /etc/passwd has them, and who this one is. (passwd(5))"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST_BYTES = 1 << 20
_HOST_S = 0xEFFFFFFD  # the inode of the first one: PROC_USER_INIT_INO in the kernel's proc_ns.h


def home(roots: Iterable[str], uid: int) -> str:
    """A user's home by the first of these trees that has such a file; / if it is not told."""
    for root in roots:
        text = _read(root)
        if text is None:
            continue
        for line in text.decode(errors="replace").splitlines():
            words = line.split(":")
            if len(words) > 5 and words[2] == str(uid):
                return words[5] or "/"
        break
    return "/"


def is_rootless(said: str = "auto") -> bool:
    """Whether this user is another than the host's root, unless it is said `true` or `false`.

    Root of a user namespace is another.
    """
    if said != "auto":
        return said == "true"
    return os.geteuid() != 0 or in_user_namespace()


def in_user_namespace() -> bool:
    """Whether this process is in another user namespace than the host's. (namespaces(7))"""
    return os.stat("/proc/self/ns/user").st_ino != _HOST_S


def _read(root: str) -> bytes | None:
    """The file, by a path in which nothing is a link: it may be the image's to lead astray."""
    try:
        directory = os.open(
            f"{root}/etc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        )
    except OSError:
        return None
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open("passwd", flags, dir_fd=directory)
    except OSError:
        return None
    finally:
        os.close(directory)
    try:
        return os.read(file, min(os.fstat(file).st_size, _LARGEST_BYTES))
    except OSError:
        return None
    finally:
        os.close(file)
