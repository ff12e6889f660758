"""A machine's identity by its kernel's command line: host name and machine ID, for systemd.

Clones of one image would otherwise be one machine to whoever goes by these, DHCP servers first.
(kernel-command-line(7), machine-id(5))
"""

from __future__ import annotations

import re
import uuid

_LONGEST_HOSTNAME = 63
_WORDS = re.compile(r"\bsystemd\.(hostname|machine_id)=\S+")


def words(name: str) -> str:
    """The words that give a machine of that name a host name and a machine ID of its own."""
    return f"systemd.hostname={hostname_of(name)} systemd.machine_id={uuid.uuid4().hex}"


def renewed(command_line: str, name: str) -> str:
    """The same command line for another machine: what says who it is says so of that one."""
    own = dict(word.split("=") for word in words(name).split())
    return _WORDS.sub(
        lambda found: f"systemd.{found[1]}={own[f'systemd.{found[1]}']}", command_line
    )


def hostname_of(name: str) -> str:
    """The host name that is nearest to a machine's name. (RFC 1123, 2.1)"""
    letters = re.sub(r"[^A-Za-z0-9.-]", "-", name)[:_LONGEST_HOSTNAME].strip("-.")
    return letters or "machine"
