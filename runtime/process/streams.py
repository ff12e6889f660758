"""Streams that belong to the user of a process, who opens them again as /dev/stdout.

A pipe, a terminal or a file that the process is given is another's by its mode, so that its user
could write to descriptor 1 and not to /dev/stdout. Its owner is changed, as runc does, but for
files that are only read: whoever owns a file may write to it as well.
"""

from __future__ import annotations

import os
import stat
from fcntl import F_GETFL, fcntl

from runtime.launcher.channel import Meeting, die_with_runtime, tell
from runtime.namespaces.namespaces import Namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.spec.config import Namespace, Spec


class Owners:
    """The owners that streams had before they were given to a user.

    `left` are those that this process may not give, but maybe the child as root of its user
    namespace.
    """

    def __init__(self, streams: Iterable[int], find_user: Callable[[], int | None]) -> None:
        """Give them to the user; `find_user` returns its id here, or None if it has none."""
        self.left: tuple[int, ...] = ()
        self._before: list[tuple[int, int]] = []
        if given := [stream for stream in streams if _can_be_given(stream)]:
            self._give(given, find_user())

    def _give(self, streams: Iterable[int], user: int | None) -> None:
        for stream in streams:
            owner = os.fstat(stream).st_uid
            if owner == user:
                continue
            if user is None:
                self.left += (stream,)
                continue
            try:
                os.fchown(stream, user, -1)
            except PermissionError:
                self.left += (stream,)
            except OSError:
                continue  # its file system has no owners, or is read-only
            else:
                self._before.append((stream, owner))

    def give_back(self) -> None:
        """Have them as they were, as far as that is possible."""
        while self._before:
            stream, owner = self._before.pop()
            try:
                os.fchown(stream, owner, -1)
            except OSError:
                continue


def user_of(spec: Spec, uid: int) -> int | None:
    """Return the id that a user of a container to be made has here, or None."""
    wanted = next((each for each in spec.linux.namespaces if each.type == "user"), None)
    if wanted is None:
        return uid
    if wanted.path:
        return _mapped(_map_of_namespace(wanted), uid)
    mappings = spec.linux.uid_mappings
    return _mapped([(each.container_id, each.host_id, each.size) for each in mappings], uid)


def user_beside(pid: int, uid: int) -> int | None:
    """Return the id that a user of a process's user namespace has here, or None."""
    return _mapped(_map_of_process(pid), uid)


def _can_be_given(stream: int) -> bool:
    mode = os.fstat(stream).st_mode
    if stat.S_ISREG(mode):
        return fcntl(stream, F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    return stat.S_ISFIFO(mode) or os.isatty(stream)


def _mapped(mappings: Iterable[tuple[int, int, int]], uid: int) -> int | None:
    for inside, here, size in mappings:
        if inside <= uid < inside + size:
            return here + uid - inside
    return None


def _map_of_process(pid: int) -> list[tuple[int, int, int]]:
    """As it is seen from this process's user namespace. (user_namespaces(7))"""
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        words = [tuple(map(int, line.split())) for line in file]
    return [(inside, here, size) for inside, here, size in words]


def _map_of_namespace(wanted: Namespace) -> list[tuple[int, int, int]]:
    with Namespaces((wanted,)) as spaces, Meeting() as meeting:
        die_with_runtime(meeting.launch)
        spaces.launch(meeting.launch)
        tell(meeting.launch, meeting.report)
        child, talk = meeting.start(kept=spaces.by_child())
        talk.hear()
        return _map_of_process(child.pid)
