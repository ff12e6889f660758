"""Identity of a machine on its kernel's command line: host name and machine ID, for systemd.

Without them all clones of an image would share one identity, which confuses DHCP servers first.
(kernel-command-line(7), machine-id(5))
"""

from __future__ import annotations

import re
import uuid

_LONGEST_HOSTNAME = 63
_PARAMETERS = re.compile(r"\bsystemd\.(hostname|machine_id)=\S+")


def words(name: str) -> str:
    """Return the kernel parameters that give a machine its host name and a new machine ID."""
    return f"systemd.hostname={hostname_of(name)} systemd.machine_id={uuid.uuid4().hex}"


def renewed(command_line: str, name: str) -> str:
    """Return the command line with the identity in it, if any, replaced by that of `name`."""
    own = dict(parameter.split("=") for parameter in words(name).split())
    return _PARAMETERS.sub(
        lambda match: f"systemd.{match[1]}={own[f'systemd.{match[1]}']}", command_line
    )


def hostname_of(name: str) -> str:
    """Return the valid host name that is nearest to a machine's name. (RFC 1123, 2.1)"""
    letters = re.sub(r"[^A-Za-z0-9.-]", "-", name)[:_LONGEST_HOSTNAME].strip("-.")
    return letters or "machine"
