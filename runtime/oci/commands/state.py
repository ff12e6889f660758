"""`state`: one container, as the specification has it."""

from __future__ import annotations

from runtime.container.container import STOPPED, Container
from runtime.oci.commands.naming import only_name
from runtime.spec.json_structs import encode_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print it as JSON."""
    container = Container.load(only_name(words), settings.root)
    print(encode_lines(document(container)))
    return 0


def document(container: Container) -> dict[str, object]:
    """What is told of a container."""
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


def _name(uid: int) -> str:
    """The user's name, looked up once: a list has the same one on every line."""
    if uid not in _names:
        import pwd

        try:
            _names[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            _names[uid] = str(uid)
    return _names[uid]


_names: dict[int, str] = {}
