"""Machines that run for as long as a process of ours does, each process with a root of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vms import embedded, state
from vms.inventory import Listed, described
from vms.pauses import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def own_root() -> Iterator[Path]:
    """A root for this process's embedded libvirt; what dead processes left is cleaned up first.

    When the block ends the root is removed, with all that was put there.
    """
    clean()
    root = state.roots() / str(os.getpid())
    embedded.claim(root)
    try:
        yield root
    finally:
        embedded.release(root)
        embedded.clean(root)


def clean() -> list[str]:
    """Remove what processes that are gone left; what was done, a line each."""
    return [line for root in _roots() for line in embedded.clean(root)]


def machines() -> list[Listed]:
    """The machines that living processes run in the foreground, by name."""
    files = (
        file for root in _roots() if embedded.is_owned(root) for file in root.glob("run/qemu/*.xml")
    )
    found = (_listed(file) for file in files)
    return sorted((each for each in found if each), key=lambda each: each.name)


def _roots() -> list[Path]:
    return sorted(path for path in state.roots().glob("*") if path.is_dir())


def _listed(file: Path) -> Listed | None:
    """What libvirt keeps of a machine that runs; None if it ended meanwhile."""
    try:
        status = ET.fromstring(file.read_bytes())
    except (OSError, ET.ParseError):
        return None
    domain = status.find("domain")
    if domain is None:
        return None
    state, reason = status.get("state", ""), WORDS.get(status.get("reason", ""), "")
    return described(
        domain,
        state,
        pid=int(status.get("pid", "0")),
        reason=reason if state == "paused" else "",
    )
