"""The namespaces of a container: which are created, which are entered, and by which process."""

from __future__ import annotations

import os
from fcntl import ioctl

from runtime.errors import ContainerError, InvalidConfig
from runtime.launcher.program import Block, write_file
from runtime.linux import capabilities, clone, syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.linux.users import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from runtime.launcher.program import Program
    from runtime.spec.config import Linux, Namespace

# By the types of the OCI runtime-spec, config-linux.md, "Namespaces".
FLAGS = {
    "user": clone.NEWUSER,
    "mount": clone.NEWNS,
    "cgroup": clone.NEWCGROUP,
    "uts": clone.NEWUTS,
    "ipc": clone.NEWIPC,
    "network": clone.NEWNET,
    "pid": clone.NEWPID,
    "time": clone.NEWTIME,
}
# The names of the files in /proc/PID/ns.
FILES = {name: {"mount": "mnt", "network": "net"}.get(name, name) for name in FLAGS}
# Created later than the others: once the cgroup is joined, and the clock offsets are set.
_LATER = frozenset({"cgroup", "time"})
# Created by clone3(2) itself, since a process is born in them.
_BORN_IN = frozenset({"user", "pid"})
# Entered by the child: a thread that shares its memory or its root with others may not enter them.
_IN_PLACE = frozenset({"user", "mount", "time"})
# Entered by the child too: from inside a cgroup namespace, clone3(2) can't start a child in a
# cgroup outside of it. (cgroups(7), nsdelegate)
_BEHIND_CGROUP = frozenset({"cgroup"})
_NS_GET_NSTYPE = 0xB703
_AF_INET, _SOCK_DGRAM_CLOEXEC = 2, 0o2000002
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_IFREQ_BYTES, _IFNAME_BYTES = 40, 16
_SYS_ADMIN = capabilities.mask(["CAP_SYS_ADMIN"])


class Namespaces:
    """The namespaces of a configuration; a context manager that keeps those to enter open.

    Raise InvalidConfig for a path that is not a namespace, or not one of the type.
    """

    def __init__(self, configured: Sequence[Namespace]) -> None:
        self._new = {each.type for each in configured if not each.path}
        self._entered: dict[str, int] = {}
        paths = {each.type: each.path for each in configured if each.path}
        try:
            for kind in FLAGS:
                if kind in paths:
                    self._entered[kind] = _open_namespace(kind, paths[kind])
        except BaseException:
            self.close()
            raise
        # A process without privileges may enter namespaces only from inside their user namespace;
        # from inside a user namespace it can't return to the host's namespaces.
        self._child_enters_all = bool(paths) and (
            in_user_namespace()
            or (self.enters("user") and not capabilities.own_permitted() & _SYS_ADMIN)
        )
        self._by_child = (
            set(self._entered)
            if self._child_enters_all
            else self._entered.keys() & (_IN_PLACE | _BEHIND_CGROUP)
        )

    def makes(self, kind: str) -> bool:
        """Return True if a namespace of this type is created."""
        return kind in self._new

    def enters(self, kind: str) -> bool:
        """Return True if an existing namespace of this type is entered."""
        return kind in self._entered

    def owns(self, kind: str) -> bool:
        """Return True if the container has another namespace of this type than the runtime."""
        return self.makes(kind) or self.enters(kind)

    def clone_flags(self) -> int:
        """Return the flags of the namespaces that clone3(2) creates; the child creates the rest."""
        return 0 if self.enters("user") else sum(FLAGS[kind] for kind in self._new & _BORN_IN)

    def launch(self, program: Program) -> None:
        """Enter the user namespace and those that only the child may enter; create the new ones.

        A process is in the pid namespace that was chosen when it was created: see `forks`. The
        creation of namespaces takes as long as the parent takes to write the child's program, and
        happens meanwhile.
        """
        first, then = {"user"}, self._by_child - _IN_PLACE
        if not self._child_enters_all:  # from a user namespace it could not enter the host's
            first, then = then, first
        self._enter(program, self._by_child & first)
        self._enter(program, self._by_child & then)
        created = self._new - _LATER
        if not self.enters("user"):
            created -= _BORN_IN
        if created:
            flags = sum(FLAGS[kind] for kind in created)
            program.call("make the namespaces", syscalls.UNSHARE, flags)

    def enter(self, program: Program) -> None:
        """Enter the remaining namespaces that only the child can enter."""
        self._enter(program, self._by_child & _IN_PLACE - {"user"})

    @property
    def forks(self) -> bool:
        """Return True if the child must fork to be in its pid namespace."""
        return "pid" in self._by_child or (self.enters("user") and "pid" in self._new)

    def by_child(self) -> list[int]:
        """Return the descriptors of the namespaces that the child enters."""
        return [self._entered[kind] for kind in self._by_child]

    def entered(self) -> Entered:
        """Return a context manager in which children are born in the other namespaces to enter."""
        return Entered(
            {kind: each for kind, each in self._entered.items() if kind not in self._by_child}
        )

    def _enter(self, program: Program, kinds: set[str] | frozenset[str]) -> None:
        for kind, descriptor in self._entered.items():
            if kind in kinds:
                what = f"enter the {kind} namespace"
                program.call(what, syscalls.SETNS, descriptor, FLAGS[kind])

    def close(self) -> None:
        """Close the descriptors."""
        while self._entered:
            os.close(self._entered.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Entered:
    """A context manager that moves this thread into namespaces, and back. (setns(2))

    A pid namespace is entered by its children alone. The child needs no privilege of its own for
    the namespaces in which it is born, if it is in a user namespace.
    """

    def __init__(self, descriptors: dict[str, int]) -> None:
        self._descriptors = descriptors
        self._own: dict[str, int] = {}

    def __enter__(self) -> None:
        for kind, descriptor in self._descriptors.items():
            path = f"/proc/thread-self/ns/{FILES[kind]}"
            self._own[kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                clone.setns(descriptor, FLAGS[kind])
            except OSError as error:
                self.__exit__()
                raise ContainerError(
                    f"linux.namespaces: can't enter the {kind} namespace: {error.strerror}."
                ) from error

    def __exit__(self, *_: object) -> None:
        while self._own:
            kind, descriptor = self._own.popitem()
            clone.setns(descriptor, FLAGS[kind])
            os.close(descriptor)


def make_time_namespace(program: Program, linux: Linux) -> None:
    """Create a time namespace, set its offsets and enter it, while the host's /proc is visible.

    (time_namespaces(7))
    """
    program.call("make the time namespace", syscalls.UNSHARE, FLAGS["time"])
    lines = "".join(
        f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in linux.time_offsets.items()
    )
    if lines:
        write_file(program, "set linux.timeOffsets", b"/proc/self/timens_offsets", lines)
    namespace = program.call(
        "open the time namespace", syscalls.OPENAT,
        AT_FDCWD, b"/proc/self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC,
    )  # fmt: skip
    program.call("enter the time namespace", syscalls.SETNS, namespace, FLAGS["time"])


def bring_loopback_up(program: Program) -> None:
    """Bring up the loopback interface of a new network namespace. (netdevice(7))"""
    what = "bring the loopback interface up"
    control = program.call(what, syscalls.SOCKET, _AF_INET, _SOCK_DGRAM_CLOEXEC, 0)
    request = b"lo".ljust(_IFNAME_BYTES, b"\0") + _IFF_UP.to_bytes(2, "little")
    block = Block(request.ljust(_IFREQ_BYTES, b"\0"))
    program.call(what, syscalls.IOCTL, control, _SIOCSIFFLAGS, block)


def _open_namespace(kind: str, path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidConfig(
            f"linux.namespaces: can't open the {kind} namespace {path}: {error.strerror}."
        ) from error
    try:
        flag = ioctl(descriptor, _NS_GET_NSTYPE)
    except OSError:
        flag = 0
    if flag != FLAGS[kind]:
        os.close(descriptor)
        raise InvalidConfig(f"linux.namespaces: {path} is not a {kind} namespace.")
    return descriptor
