"""`state`: print the state of a container, in the format of the specification."""

from __future__ import annotations

from runtime.container.container import STOPPED, Container
from runtime.lazy import remembered
from runtime.oci.arguments import only_container
from runtime.spec.json_structs import encode_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print the state as JSON."""
    container = Container.load(only_container(words), settings.root)
    print(encode_lines(document(container)))
    return 0


def document(container: Container) -> dict[str, object]:
    """Return the state of a container."""
    state, status = container.state, container.status
    return {
        "ociVersion": state.oci_version,
        "id": state.identifier,
        "pid": 0 if status == STOPPED else state.pid,
        "status": status,
        "bundle": state.bundle,
        "rootfs": state.rootfs,
        "created": state.created,
        "owner": _name(state.owner),
        "annotations": state.annotations,
    }


@remembered
def _name(uid: int) -> str:
    """Return the user's name, which is the same for most containers of a list."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
