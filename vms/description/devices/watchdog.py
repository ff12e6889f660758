"""Watchdog of a machine: the host acts when the guest stops resetting the timer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element


@dataclass(frozen=True, slots=True)
class Watchdog:
    """Intel's 6300ESB; the guest arms it, and the host takes `action` when it expires."""

    action: Literal["reset", "shutdown", "poweroff", "pause", "none", "inject-nmi"] = "reset"

    def element(self) -> ET.Element:
        """Return <watchdog>."""
        return element("watchdog", model="i6300esb", action=self.action)
