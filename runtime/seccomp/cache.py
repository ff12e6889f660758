"""The seccomp section of a configuration as a program for the kernel, compiled once.

Compiling takes libseccomp some milliseconds, and loading that library one more; a start must not
wait for either. So what was compiled is kept: in this process, and in a directory that only its
owner can read or write, for the next process. There a filter lies together with the whole section
that it was compiled from, and counts only if that is the same to the letter.
"""

from __future__ import annotations

import marshal
import os

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.spec.config import Seccomp

_LARGEST_BYTES = 1 << 18
_MOST_KEPT = 64
# A Mersenne prime: what remains of a division by it names a file, and needs no import.
_NAMES = (1 << 61) - 1
_FORMAT = 2  # of what is kept, and of how it is compiled

_compiled: dict[str, Filter] = {}
_latest: list[tuple[Seccomp, Filter]] = []  # the section itself: it is frozen


class Filter:
    """`program` is an array of struct sock_filter, `flags` are seccomp(2)'s.

    With `listener` the call that loads it returns a descriptor, on which a listener answers.
    """

    __slots__ = ("flags", "listener", "program")

    def __init__(self, program: bytes, flags: int, listener: bool) -> None:
        self.program = program
        self.flags = flags
        self.listener = listener


def _silent(sentence: str) -> None:
    """Tell nobody."""


def compile(seccomp: Seccomp, warn: Callable[[str], object] = _silent) -> Filter:  # noqa: A001
    """The filter for a seccomp section of a configuration.

    `warn` is told in one sentence of the calls that are left out since no such call is known; it
    is told once, when the section is compiled first. Raises ContainerError that names the field.
    (OCI config-linux.md, "Seccomp")
    """
    if _latest and _latest[0][0] == seccomp:
        return _latest[0][1]
    section = _section(seccomp)
    found = _compiled.get(section) or _read(section)
    if not found:
        from runtime.seccomp.compiler import build

        found, library = build(seccomp, warn)
        _write(section, found, library)
    if len(_compiled) >= _MOST_KEPT:
        _compiled.clear()
    _compiled[section] = found
    _check_listener(seccomp, found)
    _latest[:] = [(seccomp, found)]
    return found


def listens(seccomp: Seccomp) -> bool:
    """Return True if calls are handed to a listener; a path without a rule for it is none."""
    return any(rule.action == "SCMP_ACT_NOTIFY" for rule in seccomp.syscalls)


def directory() -> str:
    """Where compiled filters are kept; an empty path where a user has no such place."""
    if os.geteuid() == 0:
        return "/run/tonnage-seccomp"
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{own}/tonnage-seccomp" if own.startswith("/") else ""


def _check_listener(seccomp: Seccomp, compiled: Filter) -> None:
    if seccomp.listener_metadata and not seccomp.listener_path:
        raise ContainerError(
            "linux.seccomp.listenerMetadata is set without a listenerPath to send it to."
        )
    if compiled.listener and not seccomp.listener_path.startswith("/"):
        raise ContainerError(
            f"linux.seccomp.listenerPath is {seccomp.listener_path!r}: SCMP_ACT_NOTIFY needs the"
            " absolute path of the socket of whoever answers."
        )


def _section(seccomp: Seccomp) -> str:
    """All that a program depends on but the library, spelt in one way."""
    rules = [
        (
            rule.names,
            rule.action,
            rule.errno_ret,
            [(arg.index, arg.op, arg.value, arg.value_two) for arg in rule.args],
        )
        for rule in seccomp.syscalls
    ]
    kernel = os.uname()
    return repr((
        _FORMAT, kernel.machine, kernel.release, seccomp.default_action,
        seccomp.default_errno_ret, seccomp.architectures, seccomp.flags, rules,
    ))  # fmt: skip


def _name(section: str) -> str:
    return f"{int.from_bytes(section.encode(), 'little') % _NAMES:016x}"


def _read(section: str) -> Filter | None:
    """What was kept for this section by the library that is installed now."""
    try:
        kept_in = _open_directory()
        try:
            file = os.open(_name(section), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=kept_in)
        finally:
            os.close(kept_in)
        try:
            content = os.read(file, _LARGEST_BYTES)
        finally:
            os.close(file)
        kept, library, program, flags, listener = marshal.loads(content)
        if kept == section and library == _identity(library[0]):
            return Filter(program, flags, listener)
    except (OSError, ValueError, EOFError, TypeError):
        pass  # nothing kept, or nothing that can be used: it is compiled again
    return None


def _write(section: str, compiled: Filter, library: str) -> None:
    """Keep it; a place that can't be written to, or is not ours alone, is left as it is."""
    path = directory()
    try:
        if path and not os.path.isdir(path):
            os.mkdir(path, 0o700)
        content = marshal.dumps(
            (section, _identity(library), compiled.program, compiled.flags, compiled.listener)
        )
        kept_in = _open_directory()
    except OSError:
        return
    aside = f".{os.getpid()}"
    try:
        _drop_all_of_too_many(kept_in)
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=kept_in)
        try:
            os.write(file, content)
        finally:
            os.close(file)
        os.rename(aside, _name(section), src_dir_fd=kept_in, dst_dir_fd=kept_in)
    except OSError:
        pass
    finally:
        os.close(kept_in)


def _drop_all_of_too_many(kept_in: int) -> None:
    names = os.listdir(kept_in)
    for name in names if len(names) >= _MOST_KEPT else ():
        os.unlink(name, dir_fd=kept_in)


def _open_directory() -> int:
    """A descriptor of where filters are kept. Raises OSError if others could have put them there.

    A filter is as much as the right to make system calls: one that anybody else may have written
    is not read.
    """
    descriptor = os.open(directory(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(descriptor)
        raise PermissionError
    return descriptor


def _identity(library: str) -> tuple[str, int, int, int]:
    """The file of a library; another version of it is another file."""
    status = os.stat(library)
    return library, status.st_ino, status.st_size, status.st_mtime_ns
