"""Start a command in a cgroup, by the way that a container's first process takes."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from runtime.launcher.program import Program, strings
from runtime.launcher.spawn import Executable, Launch, spawn
from runtime.linux import syscalls

if TYPE_CHECKING:
    from runtime.cgroups import Cgroup

F_SETFD, FD_CLOEXEC = 2, 1


def start(cgroup: Cgroup, command: list[str], stdout: int) -> int:
    """Start the command in the cgroup, wait until it has been executed, and return its pid."""
    path = shutil.which(command[0])
    assert path
    reading, report = os.pipe2(os.O_CLOEXEC)
    program = Program()
    program.call("redirect", syscalls.DUP3, stdout, 1, 0)
    program.call("close on exec", syscalls.FCNTL, report, F_SETFD, FD_CLOEXEC)
    environment = (b"%s=%s" % item for item in os.environb.items())
    program.call(
        "exec", syscalls.EXECVE,
        path.encode(), strings(word.encode() for word in command), strings(environment),
    )  # fmt: skip
    with Launch() as launch:
        cgroup.join(launch)
        with Executable(report) as file:
            file.fill(program)
            child = spawn(launch, file, kept=(stdout,), cgroup=cgroup.clone_descriptor())
        os.close(report)
        failed = os.read(reading, 16)
    os.close(reading)
    os.close(child.pidfd)
    assert not failed, child.failure(failed)
    return child.pid
