"""A watchdog: what becomes of a guest that no longer says that it lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element


@dataclass(frozen=True, slots=True)
class Watchdog:
    """Intel's 6300ESB, armed by the guest; `action` is what the host then does."""

    action: Literal["reset", "shutdown", "poweroff", "pause", "none", "inject-nmi"] = "reset"

    def element(self) -> ET.Element:
        """The <watchdog>."""
        return element("watchdog", model="i6300esb", action=self.action)
