"""`pause` and `resume`."""

from __future__ import annotations

from runtime.container.container import Container
from runtime.oci.commands.naming import only_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(verb: str, words: Sequence[str], settings: Settings) -> int:
    """Stop all its processes, or let them go on."""
    container = Container.load(only_name(words), settings.root)
    if verb == "pause":
        container.pause()
    else:
        container.resume()
    return 0
