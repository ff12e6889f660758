"""A container as a service of systemd: the environment and the mount that its process is given.

runtime.oci.sd_notify listens at the socket. (sd_listen_fds(3), sd_notify(3))
"""

from __future__ import annotations

import os

from runtime.spec.config import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.spec.config import Spec

NOTIFY_VARIABLE = "NOTIFY_SOCKET"
SOCKET_NAME = "notify.sock"
_DIRECTORY_INSIDE = "/run/notify"


def with_listen_fds(spec: Spec, count: int) -> Spec:
    """Return the configuration with the environment that announces `count` passed sockets.

    The process is the first of its PID namespace, hence its PID is 1.
    """
    names = os.environ.get("LISTEN_FDNAMES")
    variables = [f"LISTEN_FDS={count}", "LISTEN_PID=1"]
    return _with_variables(spec, [*variables, f"LISTEN_FDNAMES={names}"] if names else variables)


def with_notify_socket(spec: Spec, directory: str) -> Spec:
    """Return the configuration with a directory of the host mounted, where the socket will be."""
    options = ("bind", "ro", "nosuid", "nodev", "noexec")
    mount = Mount(destination=_DIRECTORY_INSIDE, type="bind", source=directory, options=options)
    spec = _with_variables(spec, [f"{NOTIFY_VARIABLE}={_DIRECTORY_INSIDE}/{SOCKET_NAME}"])
    return spec.replace(mounts=(*spec.mounts, mount))


def _with_variables(spec: Spec, variables: Iterable[str]) -> Spec:
    """Return the configuration with these variables in place of others of their names."""
    if not spec.process:
        return spec
    variables = tuple(variables)
    names = {each.partition("=")[0] for each in variables}
    others = (each for each in spec.process.env if each.partition("=")[0] not in names)
    return spec.replace(process=spec.process.replace(env=(*others, *variables)))
