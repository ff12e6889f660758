"""Containers of our runtime that share the network namespace of the process that starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.spec.config import Spec


def sharing_network(spec: Spec) -> Spec:
    """Return the spec without a network namespace of its own."""
    own = tuple(each for each in spec.linux.namespaces if each.type != "network")
    return spec.replace(linux=spec.linux.replace(namespaces=own))
