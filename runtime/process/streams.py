"""The owner of a process's streams, which its user may open again as /dev/stdout.

A pipe, a terminal or a file that the process is given belongs to another user. The process could
write to descriptor 1 and not to /dev/stdout. So its owner is changed, as runc does. A file that is
open for reading alone keeps its owner, because an owner may write as well.
"""

from __future__ import annotations

import os
import stat
from fcntl import F_GETFL, fcntl

from runtime.launcher.channel import ChildLaunch, die_with_parent
from runtime.namespaces.namespaces import Namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.spec.config import Namespace, Spec


class StreamOwners:
    """The former owners of streams that were given to a user.

    `remaining` are the streams that this process may not give. The child may, if it is root of the
    user namespace that the owner is mapped in.
    """

    def __init__(self, streams: Iterable[int], find_user: Callable[[], int | None]) -> None:
        """Give the streams to the user whose ID `find_user` returns; None if it has no ID here."""
        self.remaining: tuple[int, ...] = ()
        self._former: list[tuple[int, int]] = []
        if candidates := [stream for stream in streams if _can_be_given(stream)]:
            self._give(candidates, find_user())

    def _give(self, streams: Iterable[int], user: int | None) -> None:
        for stream in streams:
            owner = os.fstat(stream).st_uid
            if owner == user:
                continue
            if user is None:
                self.remaining += (stream,)
                continue
            try:
                os.fchown(stream, user, -1)
            except PermissionError:
                self.remaining += (stream,)
            except OSError:
                continue  # its file system has no owners, or is read-only
            else:
                self._former.append((stream, owner))

    def restore(self) -> None:
        """Give the streams back to their former owners, as far as that is possible."""
        while self._former:
            stream, owner = self._former.pop()
            try:
                os.fchown(stream, owner, -1)
            except OSError:
                continue


def user_of(spec: Spec, uid: int) -> int | None:
    """Return the ID that a user of a new container has in this namespace, or None."""
    namespace = next((each for each in spec.linux.namespaces if each.type == "user"), None)
    if namespace is None:
        return uid
    if namespace.path:
        return _mapped(_map_of_namespace(namespace), uid)
    mappings = spec.linux.uid_mappings
    return _mapped([(each.container_id, each.host_id, each.size) for each in mappings], uid)


def user_beside(pid: int, uid: int) -> int | None:
    """Return the ID that a user of a process's user namespace has in this namespace, or None."""
    return _mapped(_map_of_process(pid), uid)


def _can_be_given(stream: int) -> bool:
    mode = os.fstat(stream).st_mode
    if stat.S_ISREG(mode):
        return fcntl(stream, F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    return stat.S_ISFIFO(mode) or os.isatty(stream)


def _mapped(mappings: Iterable[tuple[int, int, int]], uid: int) -> int | None:
    for container_id, own_id, size in mappings:
        if container_id <= uid < container_id + size:
            return own_id + uid - container_id
    return None


def _map_of_process(pid: int) -> list[tuple[int, int, int]]:
    """Return the user ID map of a process, as this user namespace sees it. (user_namespaces(7))"""
    with open(f"/proc/{pid}/uid_map", encoding="utf-8") as file:
        lines = [tuple(map(int, line.split())) for line in file]
    return [(container_id, own_id, size) for container_id, own_id, size in lines]


def _map_of_namespace(namespace: Namespace) -> list[tuple[int, int, int]]:
    with Namespaces((namespace,)) as namespaces, ChildLaunch() as launch:
        die_with_parent(launch.calls)
        namespaces.launch(launch.calls)
        launch.end.report(launch.calls, "it is in the namespace")
        child, channel = launch.start(kept=namespaces.by_child())
        channel.await_calls()
        return _map_of_process(child.pid)
