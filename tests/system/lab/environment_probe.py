"""Functions that workers call to inspect the environment of commands in instances."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.targets.base import Target

_SCRIPT = """
env -0 | tr '\\0' '\\n' | grep -Ev '^(_|PWD|SHLVL|OLDPWD)=' | LC_ALL=C sort
echo "directory $(pwd)"
echo "umask $(umask)"
echo "nice $(nice)"
grep -E '^Max (open files|processes|stack size|core file size) ' /proc/self/limits | tr -s ' '
grep -E '^Sig(Blk|Ign):' /proc/self/status
[ "$(cut -d ' ' -f 6 /proc/$$/stat)" = $$ ] && echo session own
"""


def look(target: Target) -> list[str]:
    """Return a shell's description of its environment in a fresh instance, as lines."""
    with target.start() as instance:
        instance.reached("ready")
        result = instance.run(["sh", "-c", _SCRIPT], 60)
        assert result.exit_code == 0, result.stderr
        return result.stdout.decode().splitlines()


def leave_processes(target: Target) -> tuple[str, str, str]:
    """Return the output of a command that leaves processes, and their number before and after it.

    One of them holds the output, one runs in the background, one has its own session, and one is a
    child of an ended child.
    """
    count = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o '[s]leep 8649[0-9]'"
             " | wc -l"]  # fmt: skip
    leave = """
sleep 86491 &
sleep 86492 >/dev/null 2>&1 &
setsid sleep 86493 </dev/null >/dev/null 2>&1 &
(setsid sh -c 'sleep 86494 & exit' &)
sleep 0.3
echo done
"""
    with target.start() as instance:
        instance.reached("ready")
        before = instance.run(count, 60).stdout
        result = instance.run(["sh", "-c", leave], 20)
        after = instance.run(count, 60).stdout
        return result.stdout.decode().strip(), before.decode().strip(), after.decode().strip()


def hang(target: Target) -> None:
    """Run a command that hangs, with child processes, until the instance is stopped."""
    with target.start() as instance:
        instance.reached("ready")
        instance.run(["sh", "-c", "sleep 86495 & setsid sleep 86496"], 0.5)


def hang_long(target: Target) -> None:
    """Run a command that hangs, and do not stop the instance."""
    instance = target.start()
    instance.reached("ready")
    instance.run(["sh", "-c", "sleep 86497 & setsid sleep 86498"], 600)


def end_after_start(target: Target) -> None:
    """Start an instance, and end the worker before it can be stopped."""
    target.start().reached("ready")
    os.kill(os.getpid(), signal.SIGTERM)


def end_while_stopping(target: Target) -> None:
    """Start an instance, and end the worker when the instance's processes have been killed."""
    instance = target.start()
    instance.reached("ready")
    for pid in instance.pids():
        os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGTERM)
