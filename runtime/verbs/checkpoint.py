"""`checkpoint` and `restore`, which need criu."""

from __future__ import annotations

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci_cli import Settings


def main(verb: str, _: Sequence[str], __: Settings) -> int:
    """Say why it can't be done. Raises ContainerError."""
    raise ContainerError(f"{verb} is not built yet: it will drive criu, where that is installed.")
