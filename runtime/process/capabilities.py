"""The user, the groups and the capabilities of a process, as calls for the child.

(OCI config.md, "User", config-linux.md, "Capabilities"; capabilities(7))
"""

from __future__ import annotations

import os

from runtime.launcher.program import Block, Label
from runtime.linux import capabilities, prctl, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program
    from runtime.namespaces.namespaces import Namespaces
    from runtime.process.plan import ProcessSetup
    from runtime.spec.config import Capabilities


def available(namespaces: Namespaces) -> int:
    """Return the capabilities that a process can have, as bits.

    In a user namespace these are all capabilities, else those of this process.
    """
    if namespaces.owns("user"):
        return (1 << capabilities.last_known() + 1) - 1
    return capabilities.own_permitted()


def become_user(program: Program, setup: ProcessSetup) -> None:
    """Set the user, the groups, the umask and the capabilities.

    The working directory is entered here if root was denied it before (`attributes.enter`).
    """
    user, sets = setup.process.user, setup.process.capabilities
    last = capabilities.last_known()
    bounding = capabilities.mask(sets.bounding) if sets else 0
    for number in range(last + 1):
        if not bounding >> number & 1:
            program.call(
                "drop capabilities from the bounding set",
                syscalls.PRCTL,
                prctl.CAPBSET_DROP,
                number,
                0,
                0,
                0,
            )
    program.call("keep the capabilities", syscalls.PRCTL, prctl.SET_KEEPCAPS, 1, 0, 0, 0)
    if setup.may_set_groups:
        groups = b"".join(gid.to_bytes(4, "little") for gid in user.additional_gids)
        program.call("set the groups", syscalls.SETGROUPS, len(user.additional_gids), Block(groups))
    program.call("set the group", syscalls.SETRESGID, user.gid, user.gid, user.gid)
    program.call("set the user", syscalls.SETRESUID, user.uid, user.uid, user.uid)
    entered = Label()
    dropped = program.call(
        "clear the flag that keeps the capabilities",
        syscalls.PRCTL,
        prctl.SET_KEEPCAPS,
        0,
        0,
        0,
        0,
        then=entered,
    )
    program.overrule(dropped, setup.entering)
    directory = setup.process.cwd
    program.call(f"enter {directory}", syscalls.CHDIR, os.fsencode(directory))
    program.place(entered)
    umask = setup.umask if user.umask is None else user.umask
    program.call("set the umask", syscalls.UMASK, umask)
    _set_capabilities(program, sets, setup.capabilities, last)


def forbid_new_privileges(program: Program) -> None:
    """Keep later execs from granting privileges. (prctl(2), PR_SET_NO_NEW_PRIVS)"""
    program.call("forbid new privileges", syscalls.PRCTL, prctl.SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _set_capabilities(
    program: Program, sets: Capabilities | None, possible: int, last: int
) -> None:
    known = possible & (1 << last + 1) - 1
    effective, permitted, inheritable, ambient = (
        (
            capabilities.mask(sets.effective) & known,
            capabilities.mask(sets.permitted) & known,
            capabilities.mask(sets.inheritable) & known,
            capabilities.mask(sets.ambient) & known,
        )
        if sets
        else (0, 0, 0, 0)
    )
    program.call(
        "set the capabilities", syscalls.CAPSET,
        Block(capabilities.header()), Block(capabilities.sets(effective, permitted, inheritable)),
    )  # fmt: skip
    step = "set the ambient capabilities"
    program.call(step, syscalls.PRCTL, prctl.CAP_AMBIENT, prctl.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(last + 1):
        if ambient & permitted & inheritable & 1 << number:
            program.call(
                step, syscalls.PRCTL, prctl.CAP_AMBIENT, prctl.CAP_AMBIENT_RAISE, number, 0, 0
            )
