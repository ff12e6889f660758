"""Send the listener of a seccomp filter to the agent that answers it.

(OCI config-linux.md, "The Container Process State"; seccomp_unotify(2))
"""

from __future__ import annotations

from runtime.errors import Unavailable
from runtime.launcher.descriptors import connect, scm_rights
from runtime.spec.json_structs import encode
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.state import State
    from runtime.spec.config import Seccomp


def send(listener: int, seccomp: Seccomp, state: State, pid: int) -> None:
    """Send a listener and the state of its process over linux.seccomp.listenerPath.

    Raise Unavailable if no agent takes it.
    """
    document = {
        "ociVersion": SPECIFICATION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": seccomp.listener_metadata,
        "state": {
            "ociVersion": SPECIFICATION,
            "id": state.identifier,
            "status": "running" if pid != state.pid else "creating",
            "pid": state.pid,
            "bundle": state.bundle,
            "annotations": state.annotations,
        },
    }
    try:
        agent = connect(seccomp.listener_path)
        try:
            agent.sendmsg([encode(document).encode()], scm_rights(listener))
        finally:
            agent.close()
    except OSError as error:
        raise Unavailable(
            f"linux.seccomp.listenerPath: can't send the listener to {seccomp.listener_path}:"
            f" {error.strerror}. Start the seccomp agent."
        ) from error
