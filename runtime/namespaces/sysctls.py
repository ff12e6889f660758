"""Kernel parameters of a container's namespaces. (OCI config-linux.md, "Sysctl"; sysctl(8))"""

from __future__ import annotations

import os

from runtime.errors import ContainerError
from runtime.launcher.program import write_file
from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program, Result
    from runtime.spec.config import Spec

_O_PATH, _O_DIRECTORY, _O_CLOEXEC = 0o10000000, 0o200000, 0o2000000
_BY_IPC = ("kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/")
# As calls, since the files are those of the host's root in a user namespace too.
_BY_UTS = {"kernel/hostname": syscalls.SETHOSTNAME, "kernel/domainname": syscalls.SETDOMAINNAME}


def check(spec: Spec) -> None:
    """Refuse parameters that are not a namespace's own, but the host's. Raise ContainerError."""
    own = {namespace.type for namespace in spec.linux.namespaces}
    for key in spec.linux.sysctl:
        path = _path(key)
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ContainerError(f"linux.sysctl: {key!r} is no name of a setting.")
        if path.startswith("net/"):
            needed = "network"
        elif path.startswith(_BY_IPC):
            needed = "ipc"
        elif path.startswith("user/"):
            needed = "user"
        elif path in _BY_UTS:
            needed = "uts"
            name = path.partition("/")[2]
            if getattr(spec, name) not in {"", spec.linux.sysctl[key]}:
                raise ContainerError(f"linux.sysctl: {key} is another name than {name}.")
        else:
            raise ContainerError(f"linux.sysctl: {key} is the whole host's, not a container's.")
        if needed not in own:
            raise ContainerError(f"linux.sysctl: {key} needs a {needed} namespace.")


def write(program: Program, host: Result, values: dict[str, str]) -> None:
    """Write them by the proc of the host, whose root `host` is a descriptor of.

    In the container somebody may have mounted another one there. The working directory is changed.
    """
    what = "enter /proc/sys of the host"
    flags = _O_PATH | _O_DIRECTORY | _O_CLOEXEC
    directory = program.call(what, syscalls.OPENAT, host, b"proc/sys", flags)
    program.call(what, syscalls.FCHDIR, directory)
    for key, value in values.items():
        what, path = f"set linux.sysctl {key}", _path(key)
        if path in _BY_UTS:
            name = os.fsencode(value)
            program.call(what, _BY_UTS[path], name, len(name))
        else:
            write_file(program, what, os.fsencode(path), value)


def _path(key: str) -> str:
    """The path below /proc/sys; the first separator says whether dots and slashes are exchanged.

    net.ipv4.conf.eth0/1.rp_filter and net/ipv4/conf/eth0.1/rp_filter are the same.
    """
    dot, slash = key.find("."), key.find("/")
    if dot < 0 or 0 <= slash < dot:
        return key
    return key.translate({ord("."): "/", ord("/"): "."})
