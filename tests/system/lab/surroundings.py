"""What a command finds in an instance: called by a worker, so it is a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.targets.base import Target

_LOOK = """
env -0 | tr '\\0' '\\n' | grep -Ev '^(_|PWD|SHLVL|OLDPWD)=' | LC_ALL=C sort
echo "directory $(pwd)"
echo "umask $(umask)"
echo "nice $(nice)"
grep -E '^Max (open files|processes|stack size|core file size) ' /proc/self/limits | tr -s ' '
grep -E '^Sig(Blk|Ign):' /proc/self/status
[ "$(cut -d ' ' -f 6 /proc/$$/stat)" = $$ ] && echo session own
"""


def look(target: Target) -> list[str]:
    """Return the lines that a shell says of its surroundings in a fresh instance."""
    with target.start() as instance:
        instance.reached("ready")
        done = instance.run(["sh", "-c", _LOOK], 60)
        assert done.exit_code == 0, done.stderr
        return done.stdout.decode().splitlines()


def leave_processes(target: Target) -> tuple[str, str, str]:
    """Return what a command said that left processes, and how many of them are there before it and
    after it.

    One holds its output, one is in the background, one has a session of its own, one is a child of
    a child that has ended.
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
        said = instance.run(["sh", "-c", leave], 20)
        after = instance.run(count, 60).stdout
        return said.stdout.decode().strip(), before.decode().strip(), after.decode().strip()


def hang(target: Target) -> None:
    """Have a command hang, with processes of its own, until the instance is stopped."""
    with target.start() as instance:
        instance.reached("ready")
        instance.run(["sh", "-c", "sleep 86495 & setsid sleep 86496"], 0.5)


def hang_long(target: Target) -> None:
    """The same, and nobody stops it."""
    instance = target.start()
    instance.reached("ready")
    instance.run(["sh", "-c", "sleep 86497 & setsid sleep 86498"], 600)
