"""Translation of libvirt's errors into ours: a class by the cause, and a message with advice."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import libvirt

from vms.errors import (
    AlreadyExists,
    InUse,
    InvalidDescription,
    InvalidState,
    MachineError,
    NotFound,
    PermissionDenied,
    TimedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Cause(NamedTuple):
    """The class of an error, and advice for the user, if there is any."""

    kind: type[MachineError]
    advice: str = ""


# The words of QEMU, the kernel or ssh decide first: one code of libvirt's has many causes.
_BY_WORDS = (
    (r"[Cc]annot (set up guest|allocate) memory|Cannot allocate memory",
     _Cause(Unavailable,
            "the host has too little free memory: give the machine less, or stop others")),
    (r"Failed to get .*lock|is locked by another process",
     _Cause(InUse, "another machine uses that disk image: give each machine its own clone")),
    (r"[Aa]ddress already in use|Could not set up host forwarding|[Ff]ailed to bind",
     _Cause(InUse, "that port or socket is in use: choose another, or stop the program that has"
                   " it")),
    (r"No more available PCI slots",
     _Cause(Unavailable, "the machine has no free port for a device: unplug a device, or add the"
                         " new one to the description while the machine is off")),
    (r"Tray of device .* is not open|is locked and force was not requested",
     _Cause(InUse, "the guest has locked the drive: eject the medium in the guest, or give"
                   " --force")),
    (r"Active console session exists",
     _Cause(InUse, "another user has the console: ask them to leave it, or take it over"
                   " (--force)")),
    (r"KVM kernel module|/dev/kvm|invalid accelerator kvm|failed to set MSR|does not support.*kvm",
     _Cause(Unavailable, "KVM does not work for this machine: tonnage doctor shows the reason,"
                         " --accel tcg emulates instead")),
    (r"unable to map backing store|hugetlbfs|huge ?page",
     _Cause(Unavailable, "the host has too few huge pages: raise vm.nr_hugepages, or do without"
                         " huge pages")),
    (r"Permission denied \(publickey",
     _Cause(PermissionDenied, "ssh could not log in to that host: try ssh by hand")),
    (r"Permission denied",
     _Cause(PermissionDenied, "the account that QEMU runs as may not read one of the machine's"
                              " files: move the file, or change its permissions")),
    (r"Active (console session|channel stream) exists",
     _Cause(InUse, "another user is connected to that port: ask them to leave it")),
    (r"No space left on device", _Cause(Unavailable, "the file system is full: free some space")),
    (r"Unable to find any firmware|firmware.*not (found|supported)",
     _Cause(Unavailable, "no suitable firmware is installed: apt-get install ovmf")),
    (r"[Uu]nable to find (a satisfying virtiofsd|passt)|virtiofsd.*not (found|supported)"
     r"|Cannot find 'passt'",
     _Cause(Unavailable, "the device needs a program that is missing: apt-get install virtiofsd"
                         " passt")),
    (r"element 'backend': 'passt'",
     _Cause(Unavailable, "this libvirt was built without passt: use slirp (--network user)")),
    (r"Host key verification failed|ssh: ",
     _Cause(PermissionDenied, "ssh could not log in to that host: try ssh by hand")),
    (r"client socket is closed|[Ee]nd of file while reading|Connection reset|Broken pipe"
     r"|keepalive",
     _Cause(Unavailable, "the connection to libvirt was lost: start its daemon again; the next"
                         " request reconnects")),
    (r"Failed to connect socket|Connection refused|Unable to resolve|No route to host",
     _Cause(Unavailable, "no libvirt answers at that address: start its daemon (systemctl start"
                         " virtqemud.socket or libvirtd), or omit --connect")),
)  # fmt: skip

_NO_PERMISSION = _Cause(
    PermissionDenied, "this user has no access to libvirt: use sudo, or join the group libvirt"
)
_BY_CODE = {
    libvirt.VIR_ERR_NO_CONNECT: _Cause(
        InvalidDescription, "that is not the address of a libvirt: try qemu:///system"
    ),
    libvirt.VIR_ERR_NO_DOMAIN: _Cause(NotFound, "tonnage vm list shows the machines"),
    libvirt.VIR_ERR_DOM_EXIST: _Cause(
        AlreadyExists, "choose another name, or remove that machine first"
    ),
    libvirt.VIR_ERR_NO_SUPPORT: _Cause(
        Unavailable, "this libvirt has no driver for it: try --connect qemu:///system"
    ),
    libvirt.VIR_ERR_NO_NETWORK: _Cause(
        NotFound, "define that network first, or use the user-mode network"
    ),
    libvirt.VIR_ERR_NETWORK_EXIST: _Cause(
        AlreadyExists, "choose another name, or remove that network first"
    ),
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT: _Cause(NotFound),
    libvirt.VIR_ERR_DEVICE_MISSING: _Cause(NotFound),
    libvirt.VIR_ERR_OPERATION_INVALID: _Cause(InvalidState),
    libvirt.VIR_ERR_XML_ERROR: _Cause(InvalidDescription),
    libvirt.VIR_ERR_XML_DETAIL: _Cause(InvalidDescription),
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: _Cause(InvalidDescription),
    libvirt.VIR_ERR_AUTH_FAILED: _NO_PERMISSION,
    libvirt.VIR_ERR_AUTH_CANCELLED: _NO_PERMISSION,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: _NO_PERMISSION,
    libvirt.VIR_ERR_OPERATION_DENIED: _Cause(
        PermissionDenied, "this connection is read-only: use sudo, or another address"
    ),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: _Cause(
        TimedOut, "another operation on that machine is under way: try again"
    ),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: _Cause(
        Unavailable, "the agent in the machine does not answer: check that it is running"
    ),
    libvirt.VIR_ERR_AGENT_UNSYNCED: _Cause(
        Unavailable, "the agent in the machine does not answer: try again"
    ),
    libvirt.VIR_ERR_RESOURCE_BUSY: _Cause(InUse, "the resource is busy: stop its other user first"),
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: _Cause(
        Unavailable, "that host's CPU can't run the machine: choose another CPU model"
    ),
    libvirt.VIR_ERR_NO_MEMORY: _Cause(Unavailable, "the host has too little free memory"),
}

_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)

# "internal error: process exited …: 2026-11-24T16:00:00.0Z qemu-system-x86_64: -device …: why"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ")
_PROGRAM = re.compile(r"^qemu-system-\w+: (?:-\S+ \S+: )?")
_WRAPPING = re.compile(
    r"^(?:internal error|operation failed|unsupported configuration|invalid argument)[^:]*: "
)


@contextmanager
def translate_errors(failed: str) -> Iterator[None]:
    """Raise libvirt's errors as ours; `failed` begins the message ("Can't start box")."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translated(failed, error) from error


class MachineGone(Exception):
    """libvirt has no such machine, or the machine does not run."""


def ask(call: Callable[[], int]) -> int:
    """Call a function of a machine that may be gone, and return its result.

    Raise MachineGone if the machine is gone, and libvirt's other errors unchanged.
    """
    try:
        return call()
    except libvirt.libvirtError as error:
        if error.get_error_code() in _GONE:
            raise MachineGone from error
        raise


def translated(failed: str, error: libvirt.libvirtError) -> MachineError:
    """Return our error for one of libvirt's: the failed step, the reason, and advice."""
    message = str(error.get_error_message() or error)
    matching = (cause for words, cause in _BY_WORDS if re.search(words, message))
    by_code = _BY_CODE.get(error.get_error_code(), _Cause(MachineError))
    kind, advice = next(matching, by_code)
    reason = _reason(message)
    return kind(f"{failed}: {reason}: {advice}." if advice else f"{failed}: {reason}.")


def _reason(message: str) -> str:
    """Return the line that has the reason, without times, names of programs, and prefixes."""
    lines = [_TIME.sub("", line.strip()) for line in message.strip().splitlines() if line.strip()]
    line = lines[-1] if lines else "libvirt gave no reason"
    if len(lines) == 1:
        line = re.sub(r"^.*?\d{4}-\d\d-\d\dT[\d:.]+Z (?=qemu)", "", line)
    return _PROGRAM.sub("", _WRAPPING.sub("", line)).rstrip(".: ")
