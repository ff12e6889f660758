"""What a machine may be called: a name becomes part of paths and of QEMU's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vms.errors import MachineError
from vms.fields import Like, objections

LONGEST = 48
Name = Annotated[
    str,
    Like(
        rf"[A-Za-z0-9_+][A-Za-z0-9_.+-]{{0,{LONGEST - 1}}}",
        f"up to {LONGEST} letters, digits, _ . + -, and begin with none of . -",
    ),
]


@dataclass(frozen=True, slots=True)
class Named:
    """A name, to be looked at before it becomes a path."""

    name: Name


def refuse(name: str) -> None:
    """Raise MachineError for what no machine may be called."""
    for sentence in objections(Named(name)):
        raise MachineError(f"{sentence}.")
