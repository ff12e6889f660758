"""Errors of the package: one root, and a class for each cause that a caller can tell apart.

MachineError                the root; the message says what is wrong, where, and what to do
├── InvalidDescription      a machine, device, name or option that no machine can have
├── InvalidImage            a file that is not what its format says, is broken, or is unsafe to open
├── NotFound                no such machine, snapshot, network, device, image or file
├── AlreadyExists           the name, address or file is taken
├── InvalidState            the machine runs and must be off, or is off and must run
├── InUse                   another machine, process or image uses what would be changed
├── Unavailable             the host lacks it, or it does not answer: libvirt, KVM, a program, room
├── PermissionDenied        this user, or the account that QEMU runs as, may not do it
├── TimedOut                an operation did not end within its deadline
│   └── BootTimeout         a machine did not reach a milestone, or ended before it did
└── GuestError              an agent inside the machine reported a failure
"""


class MachineError(Exception):
    """An error that the user can act on; the failed operation left nothing half done."""


class InvalidDescription(MachineError):
    """A description or an argument is refused before anything is made of it."""


class InvalidImage(MachineError):
    """A disk image, kernel or medium is of another format, broken, or refers to unsafe files."""


class NotFound(MachineError):
    """The named machine, snapshot, network, device, image or file does not exist."""


class AlreadyExists(MachineError):
    """A machine, network, image or file of that name or address exists already."""


class InvalidState(MachineError):
    """The operation needs the machine in another state."""


class InUse(MachineError):
    """Something else uses the image, port, console or directory."""


class Unavailable(MachineError):
    """A service, device, program or resource of the host is missing or does not answer."""


class PermissionDenied(MachineError):
    """This user, or the account that QEMU runs as, lacks a permission."""


class TimedOut(MachineError):
    """An operation did not end within its deadline."""


class BootTimeout(TimedOut):
    """The machine did not reach the milestone within its deadline, or ended first."""


class GuestError(MachineError):
    """An agent inside the machine reported that a request failed."""


def os_error(action: str, error: OSError) -> MachineError:
    """Return the error for a failed system call: `action` begins its sentence ("Can't read x").

    FileNotFoundError becomes NotFound, FileExistsError AlreadyExists, PermissionError
    PermissionDenied, and any other error Unavailable.
    """
    kinds = {
        FileNotFoundError: NotFound,
        FileExistsError: AlreadyExists,
        PermissionError: PermissionDenied,
    }
    return kinds.get(type(error), Unavailable)(f"{action}: {error.strerror or error}.")
