"""The terminal of a container's process, whose master is sent over a socket. (ioctl_tty(2))"""

from __future__ import annotations

import os
from _struct import Struct
from fcntl import F_DUPFD_CLOEXEC

from runtime.launcher import mount_calls
from runtime.launcher.program import Block
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program, Result
    from runtime.rootfs.mounts import Mounts
    from runtime.spec.config import Box

_TIOCSPTLCK, _TIOCGPTPEER, _TIOCSWINSZ, _TIOCSCTTY = 0x40045431, 0x5441, 0x5414, 0x540E
_WINDOW = Struct("<4H")
_MESSAGE = Struct("<QI4xQQQQi4x")
_VECTOR = Struct("<QQ")
_CONTROL = Struct("<QiiQ")
_SOL_SOCKET, _SCM_RIGHTS = 1, 1
_NAME = b"/dev/ptmx"
_CONSOLE = "/dev/console"


def open_terminal(program: Program, receiver: int, size: Box | None, owner: int) -> None:
    """Open a terminal of the container as 0, 1 and 2, and send its master to `receiver`.

    The child must lead a session, and be in a root where /dev/pts is mounted.
    """
    master = program.call(
        "open /dev/ptmx, for a terminal: is /dev/pts mounted", syscalls.OPENAT,
        AT_FDCWD, b"/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC,
    )  # fmt: skip
    program.call("unlock the terminal", syscalls.IOCTL, master, _TIOCSPTLCK, Block(bytes(4)))
    # A result can be used twice at most.
    copy = program.call("keep the terminal", syscalls.FCNTL, master, F_DUPFD_CLOEXEC, 3)
    peer = program.call(
        "open the terminal", syscalls.IOCTL, copy, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY
    )
    _send(program, copy, receiver)
    # dup3(2) refuses to duplicate a descriptor to itself, and the terminal may be 0 already.
    above = program.call("keep the terminal", syscalls.FCNTL, peer, F_DUPFD_CLOEXEC, 3)
    program.call("place the terminal", syscalls.DUP3, above, 0, 0)
    for number in (1, 2):
        program.call("place the terminal", syscalls.DUP3, 0, number, 0)
    if size:
        window = Block(_WINDOW.pack(size.height, size.width, 0, 0))
        program.call("set process.consoleSize", syscalls.IOCTL, 0, _TIOCSWINSZ, window)
    if owner:
        program.call("give the terminal to its user", syscalls.FCHOWN, 0, owner, -1)
    program.call("control the terminal", syscalls.IOCTL, 0, _TIOCSCTTY, 0)


def mount(program: Program, mounting: Mounts) -> None:
    """Mount the terminal at /dev/console. (OCI config-linux.md, "Default Devices")"""
    mounting.file(_CONSOLE)
    tree = mount_calls.open_tree(program, "open the terminal to mount it", 0)
    mounting.attach_at(_CONSOLE, tree)


def _send(program: Program, descriptor: Result, receiver: int) -> None:
    """Send a descriptor over a UNIX socket. (sendmsg(2), unix(7), SCM_RIGHTS)"""
    control = Block(
        _CONTROL.pack(_CONTROL.size - 4, _SOL_SOCKET, _SCM_RIGHTS, 0), results={16: descriptor}
    )
    vector = Block(_VECTOR.pack(0, len(_NAME)), {0: Block(_NAME)})
    message = Block(_MESSAGE.pack(0, 0, 0, 1, 0, _CONTROL.size, 0), {16: vector, 32: control})
    program.call("send the terminal to the console socket", syscalls.SENDMSG, receiver, message, 0)
