"""A user namespace for this process, in which its user is root.

(user_namespaces(7), subuid(5), newuidmap(1))
"""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import ContainerError, Unavailable
from runtime.linux import clone
from runtime.namespaces.id_mappings import map_ids
from runtime.spec.config import IdMapping, Linux

_SUBUID, _SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
_LONGEST_MESSAGE_BYTES = 4096
_IDS = 1 << 32


def enter() -> None:
    """Move this process into a new user namespace, as its root.

    The ids that /etc/subuid and /etc/subgid grant the user are mapped from 1 on. Call it while the
    process has one thread. After an error the process is of no use. Raise Unavailable.
    """
    uid, gid = os.geteuid(), os.getegid()
    names = _names(uid)
    linux = Linux(
        uid_mappings=mappings(uid, granted(_SUBUID, names)),
        gid_mappings=mappings(gid, granted(_SUBGID, names)),
    )
    waiting, unshared = os.pipe()
    answer, reporting = os.pipe()
    # Only a process outside of the namespace may map more than one id.
    own = os.getpid()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(unshared)
            code = _map(own, linux, waiting, reporting)
        finally:
            os._exit(code)
    os.close(waiting)
    os.close(reporting)
    try:
        try:
            clone.unshare(clone.NEWUSER)
        except OSError as error:
            raise Unavailable(
                f"This user can't create a user namespace: {error.strerror}. Allow user namespaces"
                " (sysctl user.max_user_namespaces), or run as root."
            ) from error
        os.write(unshared, b"1")
        why = os.read(answer, _LONGEST_MESSAGE_BYTES).decode()
    finally:
        os.close(unshared)
        os.close(answer)
        _, status = os.waitpid(child, 0)
    if why or status:
        raise Unavailable(why or "The ids of the user namespace could not be mapped.")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def granted(path: Path, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return the ranges that a file grants a user, each as its first id and its length.

    `names` are the user's name and number. Lines that are not well-formed are left out.
    """
    try:
        lines = path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    rows = [line.strip().split(":") for line in lines]
    return [
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in names and row[1].isdecimal() and row[2].isdecimal()
        and int(row[2]) > 0 and int(row[1]) + int(row[2]) < _IDS
    ]  # fmt: skip


def mappings(own: int, ranges: list[tuple[int, int]]) -> tuple[IdMapping, ...]:
    """Return the mapping of the user's own id to 0, and of ranges from 1 on."""
    found = [IdMapping(container_id=0, host_id=own, size=1)]
    next_id = 1
    for first, count in ranges:
        found.append(IdMapping(container_id=next_id, host_id=first, size=count))
        next_id += count
    return tuple(found)


def _names(uid: int) -> tuple[str, ...]:
    import pwd

    try:
        return (pwd.getpwuid(uid).pw_name, str(uid))
    except KeyError:
        return (str(uid),)


def _map(pid: int, linux: Linux, waiting: int, reporting: int) -> int:
    """Map the ids of a process once it is in its namespace. Return the exit code."""
    if not os.read(waiting, 1):
        return 1
    try:
        map_ids(pid, linux)
    except ContainerError as error:
        os.write(reporting, str(error).encode()[:_LONGEST_MESSAGE_BYTES])
        return 1
    return 0
