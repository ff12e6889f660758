"""Machines that are paused since the host could not read or write for them.

QEMU halts a guest whose write found the file system full, and writes again when it is resumed.
(QEMU, "werror"; libvirt, virConnectDomainEventIOErrorReasonCallback)
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import libvirt

from vms.domain.events import Events
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from vms.domain.domain import Domain
    from vms.domain.events import Event

_LOOK_SECONDS = 1.0
_ROOM_BYTES = 1 << 20
_FULL = "enospc"
_REASONS = {
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION: "migration",
    libvirt.VIR_DOMAIN_PAUSED_SAVE: "being saved",
    libvirt.VIR_DOMAIN_PAUSED_DUMP: "being dumped",
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: "I/O error",
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "watchdog",
    libvirt.VIR_DOMAIN_PAUSED_SNAPSHOT: "snapshot",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "crashed",
}
# What libvirt calls it in the status that it keeps of a machine.
WORDS = {"ioerror": "I/O error", "watchdog": "watchdog", "crashed": "crashed"}
_ERRORS = {
    libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE: "no space left for",
    libvirt.VIR_DOMAIN_DISK_ERROR_UNSPEC: "I/O error on",
}


def reason(handle: Any) -> str:
    """Return why a machine is paused; empty if it is not, or if somebody asked for it."""
    state, why, *_ = handle.state()
    if state != libvirt.VIR_DOMAIN_PAUSED:
        return ""
    if why == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        with suppress(libvirt.libvirtError):
            errors = handle.diskErrors()
            told = [f"{_ERRORS.get(error, 'error on')} {disk}" for disk, error in errors.items()]
            return ", ".join(told) or _REASONS[why]
    return _REASONS.get(why, "")


@contextmanager
def told(domain: Domain, tell: Callable[[str], object], *, resumes: bool) -> Iterator[None]:
    """Say when the machine is paused by an I/O error while the block runs.

    Where the file system is full, `resumes` has it go on as soon as there is room again.
    """
    ended = threading.Event()
    with Events(domain.handle.connect(), ("io-error",), domain.handle) as heard:

        def watch() -> None:
            with suppress(MachineError):  # libvirt went away, and says so elsewhere
                _watch(domain, heard, ended, tell, resumes=resumes)

        watcher = threading.Thread(target=watch, name="I/O errors", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join(2 * _LOOK_SECONDS)


def _watch(
    domain: Domain,
    heard: Events,
    ended: threading.Event,
    tell: Callable[[str], object],
    *,
    resumes: bool,
) -> None:
    """Tell of each file once, until it was written to again."""
    full = ""
    while not ended.is_set():
        event = heard.within(_LOOK_SECONDS)
        if event is None:
            if full and resumes and _has_room(full):
                domain.resume()
                tell(f"{domain.name} goes on: there is room for {full} again")
                full = ""
        elif event.name == "pause":
            is_full, path = _parsed(event)
            if path != full:
                tell(_sentence(domain.name, path, is_full=is_full, resumes=resumes))
            full = path if is_full else ""


def _parsed(event: Event) -> tuple[bool, str]:
    """Return whether the file system was full, and the file."""
    why, _, path = event.detail.partition(" on ")
    return why == _FULL, path


def _sentence(name: str, path: str, *, is_full: bool, resumes: bool) -> str:
    if not is_full:
        return f"{name} is paused by an I/O error on {path}: tonnage vm resume has it try again"
    if resumes:
        return f"{name} is paused: the file system of {path} is full; make room, and it goes on"
    return (
        f"{name} is paused: the file system of {path} is full; make room, then:"
        f" tonnage vm resume {name}"
    )


def _has_room(path: str) -> bool:
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= _ROOM_BYTES
