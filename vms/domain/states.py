"""States of machines, by libvirt's names."""

from __future__ import annotations

from typing import Literal

import libvirt

State = Literal[
    "running", "blocked", "paused", "shutting down", "shut off", "crashed", "suspended", "unknown"
]
STATES: dict[int, State] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "blocked",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
}
