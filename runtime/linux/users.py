"""Users: the user of this process, and the users of a passwd file. (passwd(5))"""

from __future__ import annotations

import os

from runtime.errors import Unavailable

PASSWD, PASSWD_BYTES = "/etc/passwd", 1 << 20  # the file, and the largest part of it that is read
_HOST_USER_NAMESPACE = 0xEFFFFFFD  # its inode: PROC_USER_INIT_INO in the kernel's proc_ns.h


def home(passwd: bytes | None, uid: int) -> str:
    """Return a user's home directory by the content of a passwd file; / if it has none."""
    for line in (passwd or b"").decode(errors="replace").splitlines():
        words = line.split(":")
        if len(words) > 5 and words[2] == str(uid):
            return words[5] or "/"
    return "/"


def own_home() -> str:
    """Return $HOME, else the home directory of this user's account. Raise Unavailable."""
    found = os.path.expanduser("~")
    if found == "~":
        raise Unavailable(f"HOME is not set, and user {os.getuid()} has no account: set HOME.")
    return found


def is_rootless() -> bool:
    """Return True unless this process belongs to the host's root.

    Root of a user namespace is another user of the host.
    """
    return os.geteuid() != 0 or in_user_namespace()


def in_user_namespace() -> bool:
    """Return True if this process is in a user namespace other than the host's. (namespaces(7))"""
    return os.stat("/proc/self/ns/user").st_ino != _HOST_USER_NAMESPACE
