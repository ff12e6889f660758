"""Names of machines and snapshots, which become part of paths and of QEMU's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vms.description import constraints
from vms.description.constraints import Like

LONGEST, _LONGEST_SNAPSHOT = 48, 64


def _like(longest: int) -> Like:
    return Like(
        rf"[A-Za-z0-9_+][A-Za-z0-9_.+-]{{0,{longest - 1}}}",
        f"up to {longest} letters, digits, _ . + -, and not begin with . or -",
    )


Name = Annotated[str, _like(LONGEST)]


@dataclass(frozen=True, slots=True)
class Named:
    """A machine's name on its own, to be validated before it becomes a path."""

    name: Name


@dataclass(frozen=True, slots=True)
class _Snapshot:
    snapshot: Annotated[str, _like(_LONGEST_SNAPSHOT)]


def refuse(name: str) -> None:
    """Raise InvalidDescription for an invalid name of a machine."""
    constraints.refuse(Named(name))


def refuse_snapshot(name: str) -> None:
    """Raise InvalidDescription for an invalid name of a snapshot."""
    constraints.refuse(_Snapshot(name))
