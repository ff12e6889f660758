"""Users: as a root file system's own /etc/passwd has them, and who this one is. (passwd(5))"""

from __future__ import annotations

import os

PASSWD, PASSWD_BYTES = "/etc/passwd", 1 << 20  # the file, and as much of it as is read
_HOST_S = 0xEFFFFFFD  # the inode of the first one: PROC_USER_INIT_INO in the kernel's proc_ns.h


def home(passwd: bytes | None, uid: int) -> str:
    """A user's home by the content of such a file; / if it is not told."""
    for line in (passwd or b"").decode(errors="replace").splitlines():
        words = line.split(":")
        if len(words) > 5 and words[2] == str(uid):
            return words[5] or "/"
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
