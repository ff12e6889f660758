"""`pause` and `resume`: stop all processes of a container, and let them continue."""

from __future__ import annotations

from runtime.container.container import Container
from runtime.oci.arguments import only_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(verb: str, words: Sequence[str], settings: Settings) -> int:
    """Pause or resume the container."""
    container = Container.load(only_container(words), settings.root)
    if verb == "pause":
        container.pause()
    else:
        container.resume()
    return 0
