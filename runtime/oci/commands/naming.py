"""Commands whose one word is a container."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.oci.arguments import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def only_name(words: Sequence[str]) -> str:
    """The container that is named, and nothing else. Raises ContainerError."""
    found = parse(words, {}, {}, mixed=True).words
    if len(found) != 1:
        raise ContainerError("Name one container.")
    return found[0]
