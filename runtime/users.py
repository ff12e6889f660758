"""Users as a root file system's own /etc/passwd has them. (passwd(5))"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST_BYTES = 1 << 20


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
        return os.read(file, _LARGEST_BYTES)
    except OSError:
        return None
    finally:
        os.close(file)
