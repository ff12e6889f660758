"""User and group ids of a user namespace, mapped to ids of the host. (user_namespaces(7))"""

from __future__ import annotations

import errno
import os

from runtime.errors import ContainerError, Unavailable
from runtime.linux import capabilities, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.launcher.program import Program
    from runtime.spec.config import IdMapping, Linux

_SETUID = capabilities.mask(["CAP_SETUID"])


def map_ids(pid: int, linux: Linux) -> None:
    """Write the id mappings of a process's new user namespace. Raise ContainerError.

    They are written to the kernel's files where this process may, and otherwise by newuidmap and
    newgidmap, which know the ranges that a user was granted. (newuidmap(1))
    """
    for name, mappings, own in (
        ("uid", linux.uid_mappings, os.geteuid()),
        ("gid", linux.gid_mappings, os.getegid()),
    ):
        lines = _lines(mappings)
        if not lines:
            continue
        only_own = len(mappings) == 1 and mappings[0].size == 1 and mappings[0].host_id == own
        if not _may_map_any() and name == "gid" and only_own:
            # A user who may not drop a group must not be able to in a namespace. (CVE-2014-8989)
            _write(f"/proc/{pid}/setgroups", "deny")
        if _may_map_any() or only_own:
            _write(f"/proc/{pid}/{name}_map", lines)
        else:
            _map_by_program(f"new{name}map", pid, mappings)


def may_set_groups(linux: Linux) -> bool:
    """Return True if a process in the new user namespace may set its groups. (CVE-2018-7169)"""
    mappings = linux.gid_mappings
    return _may_map_any() or not (len(mappings) == 1 and mappings[0].size == 1)


def become_root_of_user_namespace(program: Program, *, set_groups: bool) -> None:
    """Become user 0 of the user namespace, once its ids are mapped."""
    if set_groups:
        program.call("leave the groups", syscalls.SETGROUPS, 0, None)
    program.call("become group 0 of the user namespace", syscalls.SETRESGID, 0, 0, 0)
    program.call("become user 0 of the user namespace", syscalls.SETRESUID, 0, 0, 0)


def _may_map_any() -> bool:
    return bool(capabilities.own_permitted() & _SETUID)


def _lines(mappings: Iterable[IdMapping]) -> str:
    return "".join(f"{each.container_id} {each.host_id} {each.size}\n" for each in mappings)


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ContainerError(
            f"Can't write {text.strip()!r} to {path}: {error.strerror}."
        ) from error


def _map_by_program(name: str, pid: int, mappings: Iterable[IdMapping]) -> None:
    words = [str(number) for each in mappings
             for number in (each.container_id, each.host_id, each.size)]  # fmt: skip
    try:
        child = os.posix_spawnp(name, [name, str(pid), *words], os.environ)
    except OSError as error:
        reason = "it is not installed" if error.errno == errno.ENOENT else error.strerror
        raise Unavailable(
            f"Ranges of ids need {name}, and it can't be run: {reason}. Install uidmap."
        ) from error
    _, status = os.waitpid(child, 0)
    if status:
        raise Unavailable(
            f"{name} refused {' '.join(words)}: use the ranges that /etc/subuid and /etc/subgid"
            " grant."
        )
