"""libvirt's own errors as one sentence that says what to do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import libvirt

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What QEMU, the kernel or ssh said decides before libvirt's code does: many things share one code.
_BY_WORDS = (
    (r"[Cc]annot (set up guest|allocate) memory|Cannot allocate memory",
     "the host has not so much memory left: give it less, or stop other machines"),
    (r"Failed to get .*lock|is locked by another process",
     "another machine uses that disk image: give each its own clone"),
    (r"[Aa]ddress already in use|Could not set up host forwarding|[Ff]ailed to bind",
     "that port or socket is in use: choose another one, or stop what uses it"),
    (r"No more available PCI slots",
     "all its ports for devices are in use: unplug one, or describe the device while it is off"),
    (r"Tray of device .* is not open|is locked and force was not requested",
     "the guest holds it locked: eject it inside, or give --force"),
    (r"Active console session exists",
     "somebody else is at it: leave it there first, or take it over (--force)"),
    (r"KVM kernel module|/dev/kvm|invalid accelerator kvm|failed to set MSR|does not support.*kvm",
     "KVM does not work for this machine: tonnage doctor says why; --accel tcg emulates"),
    (r"unable to map backing store|hugetlbfs|huge ?page",
     "the host has not that many huge pages: set vm.nr_hugepages, or do without them"),
    (r"Permission denied",
     "the account that QEMU runs as may not read one of its files: move it, or open it to that"
     " account"),
    (r"Active (console session|channel stream) exists",
     "somebody else is connected to it: leave there first"),
    (r"No space left on device", "the file system is full: make room"),
    (r"Unable to find any firmware|firmware.*not (found|supported)",
     "no firmware fits: apt-get install ovmf"),
    (r"[Uu]nable to find (a satisfying virtiofsd|passt)|virtiofsd.*not (found|supported)"
     r"|Cannot find 'passt'",
     "a program that the device needs is missing: apt-get install virtiofsd passt"),
    (r"element 'backend': 'passt'",
     "this libvirt was built without passt: use slirp (--network user)"),
    (r"Host key verification failed|Permission denied \(publickey|ssh: ",
     "ssh could not log in there: try ssh to that host by hand"),
    (r"client socket is closed|[Ee]nd of file while reading|Connection reset|Broken pipe"
     r"|keepalive",
     "libvirt went away: start its daemon again; what is asked for next connects anew"),
    (r"Failed to connect socket|Connection refused|Unable to resolve|No route to host",
     "no libvirt answers there: start its daemon (systemctl start virtqemud.socket or libvirtd),"
     " or leave --connect out"),
)  # fmt: skip

_BY_CODE = {
    libvirt.VIR_ERR_NO_CONNECT: "that is no address of a libvirt: try qemu:///system",
    libvirt.VIR_ERR_NO_DOMAIN: "tonnage vm list shows which machines there are",
    libvirt.VIR_ERR_DOM_EXIST: "choose another name, or remove that machine first",
    libvirt.VIR_ERR_NO_SUPPORT: "this libvirt has no driver for it: try --connect qemu:///system",
    libvirt.VIR_ERR_NO_NETWORK: "define that network first, or use the user-mode one",
    libvirt.VIR_ERR_NETWORK_EXIST: "choose another name, or remove that network first",
    libvirt.VIR_ERR_AUTH_FAILED: "this user may not: use sudo, or join the group libvirt",
    libvirt.VIR_ERR_AUTH_CANCELLED: "this user may not: use sudo, or join the group libvirt",
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: "this user may not: use sudo, or join the group libvirt",
    libvirt.VIR_ERR_OPERATION_DENIED: "this connection may only read: use sudo, or another address",
    libvirt.VIR_ERR_OPERATION_TIMEOUT: "another operation on that machine is under way: try again",
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: "the agent in the machine does not answer: is it running?",
    libvirt.VIR_ERR_AGENT_UNSYNCED: "the agent in the machine does not answer: try again",
    libvirt.VIR_ERR_RESOURCE_BUSY: "something else holds it: stop that first",
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: "that host's CPU can't run it: choose another CPU model",
    libvirt.VIR_ERR_NO_MEMORY: "the host has not so much memory left",
}

_NOT_THERE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)

# "internal error: process exited …: 2026-11-24T16:00:00.0Z qemu-system-x86_64: -device …: why"
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ")
_PROGRAM = re.compile(r"^qemu-system-\w+: (?:-\S+ \S+: )?")
_WRAPPING = re.compile(
    r"^(?:internal error|operation failed|unsupported configuration|invalid argument)[^:]*: "
)


@contextmanager
def translate_errors(failed: str) -> Iterator[None]:
    """Turn libvirt's errors into MachineError: `failed` begins its sentence ("Can't start box")."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise MachineError(sentence(failed, error)) from error


class NotThereError(Exception):
    """libvirt has no such machine, or it does not run."""


def asked(ask: Callable[[], int]) -> int:
    """Ask about a machine that may have gone. Raises NotThereError, and libvirt's other errors."""
    try:
        return ask()
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NOT_THERE:
            raise NotThereError from error
        raise


def sentence(failed: str, error: libvirt.libvirtError) -> str:
    """What failed, why, and what to do."""
    said = str(error.get_error_message() or error)
    advice = next((todo for words, todo in _BY_WORDS if re.search(words, said)), None)
    advice = advice or _BY_CODE.get(error.get_error_code())
    reason = _reason(said)
    return f"{failed}: {reason}: {advice}." if advice else f"{failed}: {reason}."


def _reason(said: str) -> str:
    """The line of it that says why, without time stamps, programs' names and wrappings."""
    lines = [_STAMP.sub("", line.strip()) for line in said.strip().splitlines() if line.strip()]
    line = lines[-1] if lines else "no reason was given"
    if len(lines) == 1:
        line = re.sub(r"^.*?\d{4}-\d\d-\d\dT[\d:.]+Z (?=qemu)", "", line)
    return _PROGRAM.sub("", _WRAPPING.sub("", line)).rstrip(".: ")
