"""Machines that are paused because the host could not read or write for them.

QEMU halts a guest whose write finds the file system full, and repeats the write when the guest is
resumed. (QEMU, "werror"; libvirt, virConnectDomainEventIOErrorReasonCallback)
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

_POLL_SECONDS = 1.0
_FREE_BYTES = 1 << 20
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
# By the words in the status file that libvirt keeps of a running machine.
REASONS_IN_STATUS_FILE = {"ioerror": "I/O error", "watchdog": "watchdog", "crashed": "crashed"}
_ERRORS = {
    libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE: "no space left for",
    libvirt.VIR_DOMAIN_DISK_ERROR_UNSPEC: "I/O error on",
}


def reason(handle: Any) -> str:
    """Return why a machine is paused; empty if a user paused it, or if it is not paused."""
    state, why, *_ = handle.state()
    if state != libvirt.VIR_DOMAIN_PAUSED:
        return ""
    if why == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        with suppress(libvirt.libvirtError):
            errors = handle.diskErrors()
            reasons = [f"{_ERRORS.get(code, 'error on')} {disk}" for disk, code in errors.items()]
            return ", ".join(reasons) or _REASONS[why]
    return _REASONS.get(why, "")


@contextmanager
def reported(domain: Domain, report: Callable[[str], object], *, resumes: bool) -> Iterator[None]:
    """Report pauses by I/O errors while the block runs.

    With `resumes` a machine that a full file system paused is resumed once there is free space.
    """
    ended = threading.Event()
    with Events(domain.handle.connect(), ("io-error",), domain.handle) as events:

        def watch() -> None:
            with suppress(MachineError):  # a lost connection is reported by its other users
                _watch(domain, events, ended, report, resumes=resumes)

        watcher = threading.Thread(target=watch, name="I/O errors", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join(2 * _POLL_SECONDS)


def _watch(
    domain: Domain,
    events: Events,
    ended: threading.Event,
    report: Callable[[str], object],
    *,
    resumes: bool,
) -> None:
    """Report each file once, until a write to it has succeeded again."""
    full = ""
    while not ended.is_set():
        event = events.within(_POLL_SECONDS)
        if event is None:
            if full and resumes and _has_space(full):
                domain.resume()
                report(f"{domain.name} continues: there is free space for {full} again")
                full = ""
        elif event.name == "pause":
            is_full, path = _parsed(event)
            if path != full:
                report(_sentence(domain.name, path, is_full=is_full, resumes=resumes))
            full = path if is_full else ""


def _parsed(event: Event) -> tuple[bool, str]:
    """Return True if the file system was full, and the file."""
    cause, _, path = event.detail.partition(" on ")
    return cause == _FULL, path


def _sentence(name: str, path: str, *, is_full: bool, resumes: bool) -> str:
    if not is_full:
        return f"{name} is paused by an I/O error on {path}: tonnage vm resume {name} retries"
    if resumes:
        return f"{name} is paused: the file system of {path} is full; free some space to continue"
    return (
        f"{name} is paused: the file system of {path} is full; free some space, then run:"
        f" tonnage vm resume {name}"
    )


def _has_space(path: str) -> bool:
    try:
        status = os.statvfs(path)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize >= _FREE_BYTES
