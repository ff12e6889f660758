"""`delete`: remove containers and all that belongs to them."""

from __future__ import annotations

from runtime.container.container import Container
from runtime.container.removal import remove_incomplete
from runtime.container.state import StateDirectory
from runtime.errors import CorruptState, InvalidConfig, NotFound
from runtime.oci.arguments import SWITCH, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Delete the named containers; --force kills running ones, and ignores missing ones."""
    options = parse(words, {"--force": SWITCH}, {"-f": "--force"}, mixed=True)
    if not options.words:
        raise InvalidConfig("Name at least one container.")
    for name in options.words:
        _delete(name, settings, force=options.has("--force"))
    return 0


def _delete(name: str, settings: Settings, *, force: bool) -> None:
    try:
        container = Container.load(name, settings.root)
    except NotFound:
        if not force:
            raise
    except CorruptState:
        if not force:
            raise
        remove_incomplete(StateDirectory(settings.root, name))
    else:
        container.delete(force=force)
