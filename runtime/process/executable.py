"""The file that a process executes, looked up in PATH as execvp(3) does.

A directory of that name, or a file that may not be executed, is passed over; it is reported if
there is no other candidate. The default of PATH is /bin:/usr/bin, as in the C library. A bare name
never stands for a file of the working directory, whatever PATH holds, as under other runtimes. A
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
    """Execute the file at `path`, or the file that the first word of `args` names."""
    name = path or args[0]
    argv = strings([os.fsencode(word) for word in args])
    envp = strings([os.fsencode(word) for word in env])
    if "/" in name:
        program.call(f"run {name}", syscalls.EXECVE, os.fsencode(name), argv, envp)
        return
    candidates = _candidates(name, env)
    # In the second pass, a file that may not be executed is reported.
    for foreseen in (_PASSED_OVER, _ABSENT):
        for candidate in candidates:
            following = Label()
            program.call(
                f"run {name}", syscalls.EXECVE, candidate, argv, envp,
                foreseen=[(code, following) for code in foreseen],
            )  # fmt: skip
            program.place(following)
    _fail(program, f"{_not_found(name)}, or its interpreter is missing", b"")


def look_up(program: Program, args: Sequence[str], env: Sequence[str]) -> None:
    """Fail if `execute` will not find the program, or if nobody may execute it."""
    name = args[0]
    exists = Label()
    candidates = [os.fsencode(name)] if "/" in name else _candidates(name, env)
    for candidate in candidates:
        following = Label()
        _check_executable(program, name, candidate, [(code, following) for code in _PASSED_OVER])
        program.call(  # with a slash appended, the path of a directory alone is valid
            f"run {name}", syscalls.FACCESSAT, AT_FDCWD, candidate + b"/", os.F_OK,
            then=following, foreseen=[(errno.ENOTDIR, exists)],
        )  # fmt: skip
        program.place(following)
    for candidate in candidates:
        following = Label()
        _check_executable(program, name, candidate, [(code, following) for code in _ABSENT])
        _fail(program, f"run {name}", b"/")
        program.place(following)
    _fail(program, f"run {name}" if "/" in name else _not_found(name), b"")
    program.place(exists)


def _check_executable(
    program: Program, name: str, candidate: bytes, foreseen: list[tuple[int, Label]]
) -> None:
    step = f"run {name}"
    program.call(step, syscalls.FACCESSAT, AT_FDCWD, candidate, os.X_OK, foreseen=foreseen)


def _fail(program: Program, step: str, path: bytes) -> None:
    """Make a call that fails: by ENOENT for an empty path, EACCES for a directory. (execve(2))"""
    program.call(step, syscalls.EXECVE, path, None, None)


def _not_found(name: str) -> str:
    """Return the text by which engines recognise a missing command."""
    return f'run {name}: exec: "{name}": executable file not found in $PATH'


def _candidates(name: str, env: Sequence[str]) -> list[bytes]:
    path = next((word[5:] for word in reversed(env) if word.startswith("PATH=")), _DEFAULT_PATH)
    return [os.fsencode(f"{directory}/{name}") for directory in path.split(":") if directory]
