"""The namespaces of a container: those to make, those to enter, and who is who in them."""

from __future__ import annotations

import errno
import fcntl
import os

from runtime.errors import ContainerError
from runtime.launcher.program import Block, write_file
from runtime.linux import clone, syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.linux.users import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from runtime.launcher.program import Program
    from runtime.spec.config import IdMapping, Linux, Namespace

# By the words of the OCI runtime-spec, config-linux.md, "Namespaces".
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
# What /proc/PID/ns calls them.
FILES = {name: {"mount": "mnt", "network": "net"}.get(name, name) for name in FLAGS}
# Made when something else has been done before: the cgroup joined, the offsets set.
_LATER = frozenset({"cgroup", "time"})
_BORN_IN = frozenset({"user", "pid"})
# Entered by the child: a thread that shares its memory or its root with another may not.
_IN_PLACE = frozenset({"user", "mount", "time"})
# And this one, in which clone3(2) puts no child into a cgroup that lies elsewhere. (cgroups(7),
# nsdelegate)
_BEHIND_CGROUP = frozenset({"cgroup"})
_NS_GET_NSTYPE = 0xB703
_AF_INET, _SOCK_DGRAM_CLOEXEC = 2, 0o2000002
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_IFREQ_BYTES, _IFNAME_BYTES = 40, 16
_CAP_SETUID_BIT, _CAP_SYS_ADMIN_BIT = 1 << 7, 1 << 21


class Namespaces:
    """What a configuration asks for; a context manager that holds those to enter open.

    Raises ContainerError for a path that is none, or one of another type.
    """

    def __init__(self, wanted: Sequence[Namespace]) -> None:
        self._new = {each.type for each in wanted if not each.path}
        self._entered: dict[str, int] = {}
        paths = {each.type: each.path for each in wanted if each.path}
        try:
            for kind in FLAGS:
                if kind in paths:
                    self._entered[kind] = _opened(kind, paths[kind])
        except BaseException:
            self.close()
            raise
        # Without privileges nothing can be entered but from inside the user namespace; and from
        # inside of one, there is no way back into what is the host's.
        alone = bool(paths) and (in_user_namespace() or (self.enters("user") and not _may_enter()))
        self._alone = alone
        self._by_child = (
            set(self._entered) if alone else self._entered.keys() & (_IN_PLACE | _BEHIND_CGROUP)
        )

    def makes(self, kind: str) -> bool:
        """Whether a new one of that type is made."""
        return kind in self._new

    def enters(self, kind: str) -> bool:
        """Whether one of that type is entered that is there already."""
        return kind in self._entered

    def owns(self, kind: str) -> bool:
        """Whether the container has one that is not the runtime's."""
        return self.makes(kind) or self.enters(kind)

    def clone_flags(self) -> int:
        """What clone3(2) is to make: what a child is born in. The rest it makes itself."""
        return 0 if self.enters("user") else sum(FLAGS[kind] for kind in self._new & _BORN_IN)

    def launch(self, program: Program) -> None:
        """Have the child enter a user namespace, and then what it may there; and make the new ones.

        Who is in a pid namespace is settled when a process is born: see `forks`. To make the others
        takes as long as to write the child's program: the parent does so meanwhile.
        """
        first, then = {"user"}, self._by_child - _IN_PLACE
        if not self._alone:  # and there is no way back to what is the host's
            first, then = then, first
        self._enter(program, self._by_child & first)
        self._enter(program, self._by_child & then)
        made = self._new - _LATER
        if not self.enters("user"):
            made -= _BORN_IN
        if made:
            flags = sum(FLAGS[kind] for kind in made)
            program.call("make the namespaces", syscalls.UNSHARE, flags)

    def enter(self, program: Program) -> None:
        """Have the child enter the others that only it can."""
        self._enter(program, self._by_child & _IN_PLACE - {"user"})

    @property
    def forks(self) -> bool:
        """Whether the child must fork to be in its pid namespace."""
        return "pid" in self._by_child or (self.enters("user") and "pid" in self._new)

    def by_child(self) -> list[int]:
        """The descriptors that the child needs for it."""
        return [self._entered[kind] for kind in self._by_child]

    def entered(self) -> Entered:
        """While this holds, children are born in the others that are to be entered."""
        return Entered(
            {kind: each for kind, each in self._entered.items() if kind not in self._by_child}
        )

    def _enter(self, program: Program, kinds: set[str] | frozenset[str]) -> None:
        for kind, descriptor in self._entered.items():
            if kind in kinds:
                what = f"enter the {kind} namespace"
                program.call(what, syscalls.SETNS, descriptor, FLAGS[kind])

    def close(self) -> None:
        """Close those that were opened."""
        while self._entered:
            os.close(self._entered.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Entered:
    """Has this thread in other namespaces, and back in its own. (setns(2))

    A pid namespace is entered for its children alone. What is entered so needs no privilege in a
    user namespace that the child is born in.
    """

    def __init__(self, wanted: dict[str, int]) -> None:
        self._wanted = wanted
        self._own: dict[str, int] = {}

    def __enter__(self) -> None:
        for kind, descriptor in self._wanted.items():
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
    """A time namespace with its offsets, entered. The host's /proc must be seen.

    (time_namespaces(7))
    """
    program.call("make the time namespace", syscalls.UNSHARE, FLAGS["time"])
    lines = "".join(
        f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in linux.time_offsets.items()
    )
    if lines:
        write_file(program, "set linux.timeOffsets", b"/proc/self/timens_offsets", lines)
    made = program.call(
        "open the time namespace", syscalls.OPENAT,
        AT_FDCWD, b"/proc/self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC,
    )  # fmt: skip
    program.call("enter the time namespace", syscalls.SETNS, made, FLAGS["time"])


def bring_loopback_up(program: Program) -> None:
    """Bring up the loopback interface of a new network namespace. (netdevice(7))"""
    what = "bring the loopback interface up"
    control = program.call(what, syscalls.SOCKET, _AF_INET, _SOCK_DGRAM_CLOEXEC, 0)
    request = b"lo".ljust(_IFNAME_BYTES, b"\0") + _IFF_UP.to_bytes(2, "little")
    block = Block(request.ljust(_IFREQ_BYTES, b"\0"))
    program.call(what, syscalls.IOCTL, control, _SIOCSIFFLAGS, block)


def map_ids(pid: int, linux: Linux) -> None:
    """Say who is who in a process's new user namespace. Raises ContainerError.

    By the kernel's files where this process may, else by newuidmap and newgidmap, which know what
    ranges a user was given. (user_namespaces(7), newuidmap(1))
    """
    for name, mappings, own in (
        ("uid", linux.uid_mappings, os.geteuid()),
        ("gid", linux.gid_mappings, os.getegid()),
    ):
        lines = _lines(mappings)
        if not lines:
            continue
        alone = len(mappings) == 1 and mappings[0].size == 1 and mappings[0].host_id == own
        if not _may_map_any() and name == "gid" and alone:
            # A user who may not drop a group must not be able to in a namespace. (CVE-2014-8989)
            _write(f"/proc/{pid}/setgroups", "deny")
        if _may_map_any() or alone:
            _write(f"/proc/{pid}/{name}_map", lines)
        else:
            _map_by_program(f"new{name}map", pid, mappings)


def may_set_groups(linux: Linux) -> bool:
    """Whether a process in the new user namespace may set its groups. (CVE-2018-7169)"""
    mappings = linux.gid_mappings
    return _may_map_any() or not (len(mappings) == 1 and mappings[0].size == 1)


def become_root_of_user_namespace(program: Program, *, set_groups: bool) -> None:
    """Be its user 0, once it is said who that is."""
    if set_groups:
        program.call("leave the groups", syscalls.SETGROUPS, 0, None)
    program.call("become group 0 of the user namespace", syscalls.SETRESGID, 0, 0, 0)
    program.call("become user 0 of the user namespace", syscalls.SETRESUID, 0, 0, 0)


def _opened(kind: str, path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ContainerError(
            f"linux.namespaces: the {kind} namespace {path} can't be opened: {error.strerror}."
        ) from error
    try:
        found = fcntl.ioctl(descriptor, _NS_GET_NSTYPE)
    except OSError:
        found = 0
    if found != FLAGS[kind]:
        os.close(descriptor)
        raise ContainerError(f"linux.namespaces: {path} is no {kind} namespace.")
    return descriptor


def _may_map_any() -> bool:
    from runtime.linux.capabilities import own_permitted

    return bool(own_permitted() & _CAP_SETUID_BIT)


def _may_enter() -> bool:
    from runtime.linux.capabilities import own_permitted

    return bool(own_permitted() & _CAP_SYS_ADMIN_BIT)


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
        what = "is not installed" if error.errno == errno.ENOENT else error.strerror
        raise ContainerError(f"Ranges of ids need {name}, which {what}: install uidmap.") from error
    _, status = os.waitpid(child, 0)
    if status:
        raise ContainerError(
            f"{name} refused {' '.join(words)}: see what ranges /etc/subuid and /etc/subgid grant."
        )
