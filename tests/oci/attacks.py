"""Helpers for containers that run an attacker's program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.oci.driver import PYTHON

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

ATTACK = [*PYTHON[:-1], "/attacker.py"]
_ATTACKER = Path(__file__).with_name("attacker.py")


def put_attacker(bundle: Bundle) -> None:
    """Copy the attacker's program into the image."""
    (bundle.rootfs / "attacker.py").write_text(_ATTACKER.read_text())


def attack(bundle: Bundle, *words: str) -> None:
    """Run one of the attacker's attacks in the container."""
    put_attacker(bundle)
    bundle.process["args"] = [*ATTACK, *words]
