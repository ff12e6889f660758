"""Kernel parameters of a container's namespaces. (OCI config-linux.md, "Sysctl"; sysctl(8))"""

from __future__ import annotations

import os

from runtime.errors import InvalidConfig
from runtime.launcher.program import write_file
from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program, Result
    from runtime.spec.config import Spec

_BY_IPC = ("kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/")
# Set by a system call: the files belong to the host's root, even in a user namespace.
_HOSTNAME, _DOMAINNAME = "kernel/hostname", "kernel/domainname"


def check(spec: Spec) -> None:
    """Refuse parameters of the whole host, and of namespaces that are shared with it.

    Raise InvalidConfig.
    """
    own = {namespace.type for namespace in spec.linux.namespaces}
    for key, value in spec.linux.sysctl.items():
        path = _path(key)
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise InvalidConfig(f"linux.sysctl: {key!r} is not the name of a kernel parameter.")
        if path.startswith("net/"):
            needed = "network"
        elif path.startswith(_BY_IPC):
            needed = "ipc"
        elif path.startswith("user/"):
            needed = "user"
        elif path in {_HOSTNAME, _DOMAINNAME}:
            needed = "uts"
            field = path.partition("/")[2]
            if getattr(spec, field) not in {"", value}:
                raise InvalidConfig(f"linux.sysctl: {key} is {value!r}, but {field} differs.")
        else:
            raise InvalidConfig(
                f"linux.sysctl: {key} is a parameter of the whole host; it can't be set for a"
                " container."
            )
        if needed not in own:
            raise InvalidConfig(
                f"linux.sysctl: {key} needs a namespace of the type {needed} in linux.namespaces."
            )


def write(program: Program, host: Result, values: dict[str, str]) -> None:
    """Set parameters through the host's /proc; `host` is a descriptor of the host's root.

    The /proc in the container may be something else. The working directory is changed.
    """
    what = "enter /proc/sys of the host"
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    directory = program.call(what, syscalls.OPENAT, host, b"proc/sys", flags)
    program.call(what, syscalls.FCHDIR, directory)
    for key, value in values.items():
        what, path = f"set linux.sysctl {key}", _path(key)
        name = os.fsencode(value)
        if path == _HOSTNAME:
            program.call(what, syscalls.SETHOSTNAME, name, len(name))
        elif path == _DOMAINNAME:
            program.call(what, syscalls.SETDOMAINNAME, name, len(name))
        else:
            write_file(program, what, os.fsencode(path), value)


def _path(key: str) -> str:
    """Return the path below /proc/sys; the first separator decides how dots and slashes are read.

    net.ipv4.conf.eth0/1.rp_filter and net/ipv4/conf/eth0.1/rp_filter are the same parameter.
    """
    dot, slash = key.find("."), key.find("/")
    if dot < 0 or 0 <= slash < dot:
        return key
    return key.translate({ord("."): "/", ord("/"): "."})
