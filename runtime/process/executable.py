"""The file that a process executes, looked up in PATH as execvp(3) does.

A directory of that name, or a file that may not be executed, is passed over; it is reported if
nothing else is found. Without PATH it is /bin:/usr/bin, as in the C library. What lies in the
working directory is never found by its name alone, whatever PATH holds, as under other runtimes. A
script without `#!` is not run by a shell.
"""

from __future__ import annotations

import errno
import os

from runtime.launcher.program import Label, strings
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.launcher.program import Program

_DEFAULT_PATH = "/bin:/usr/bin"
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_PASSED_OVER = (*_ABSENT, errno.EACCES)


def execute(program: Program, args: Sequence[str], env: Sequence[str], path: str = "") -> None:
    """Exec the file of that path, or the one that the first word names."""
    name = path or args[0]
    argv = strings([os.fsencode(word) for word in args])
    envp = strings([os.fsencode(word) for word in env])
    if "/" in name:
        program.call(f"run {name}", syscalls.EXECVE, os.fsencode(name), argv, envp)
        return
    candidates = _candidates(name, env)
    for foreseen in (_PASSED_OVER, _ABSENT):  # the second time, what was passed over is reported
        for candidate in candidates:
            onwards = Label()
            program.call(
                f"run {name}", syscalls.EXECVE, candidate, argv, envp,
                foreseen=[(each, onwards) for each in foreseen],
            )  # fmt: skip
            program.place(onwards)
    _refuse(program, f"{_not_found(name)}, or its interpreter is missing", b"")


def look_up(program: Program, args: Sequence[str], env: Sequence[str]) -> None:
    """Refuse a program that `execute` will not find, or that nobody may execute."""
    name = args[0]
    found = Label()
    candidates = [os.fsencode(name)] if "/" in name else _candidates(name, env)
    for candidate in candidates:
        onwards = Label()
        _may_execute(program, name, candidate, [(each, onwards) for each in _PASSED_OVER])
        program.call(  # with a slash behind it, a file is none
            f"run {name}", syscalls.FACCESSAT, AT_FDCWD, candidate + b"/", os.F_OK,
            then=onwards, foreseen=[(errno.ENOTDIR, found)],
        )  # fmt: skip
        program.place(onwards)
    for candidate in candidates:
        onwards = Label()
        _may_execute(program, name, candidate, [(each, onwards) for each in _ABSENT])
        _refuse(program, f"run {name}", b"/")
        program.place(onwards)
    _refuse(program, f"run {name}" if "/" in name else _not_found(name), b"")
    program.place(found)


def _may_execute(
    program: Program, name: str, candidate: bytes, foreseen: list[tuple[int, Label]]
) -> None:
    what = f"run {name}"
    program.call(what, syscalls.FACCESSAT, AT_FDCWD, candidate, os.X_OK, foreseen=foreseen)


def _refuse(program: Program, what: str, path: bytes) -> None:
    """Fail: ENOENT is what an empty path gives, EACCES a directory's. (execve(2))"""
    program.call(what, syscalls.EXECVE, path, None, None)


def _not_found(name: str) -> str:
    """What engines look for, to tell a command that is not there from other failures."""
    return f'run {name}: exec: "{name}": executable file not found in $PATH'


def _candidates(name: str, env: Sequence[str]) -> list[bytes]:
    found = next((word[5:] for word in reversed(env) if word.startswith("PATH=")), _DEFAULT_PATH)
    return [os.fsencode(f"{each}/{name}") for each in found.split(":") if each]
