"""A cache of seccomp filters: each section of a configuration is compiled once.

To compile a section takes some milliseconds, and to load libseccomp one more; the start of a
container must not wait for that. So filters are kept in this process, and for other processes in a
directory that only its owner can read or write. Each file there holds the whole section that its
filter was compiled from, and is used only for an equal section.
"""

from __future__ import annotations

import marshal
import os

from runtime.errors import InvalidConfig
from runtime.lazy import remembered
from runtime.seccomp.filter import Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.spec.config import Seccomp

_LARGEST_BYTES = 1 << 18
_LARGEST_COUNT = 64
# A Mersenne prime: a section's remainder is the name of its file. A digest would need an import.
_NAMES = (1 << 61) - 1
_FORMAT = 2  # of the files, and of the compiler's output

_compiled: dict[str, Filter] = {}


def _ignore(sentence: str) -> None:
    """Drop a warning."""


def compile(seccomp: Seccomp, warn: Callable[[str], object] = _ignore) -> Filter:  # noqa: A001
    """Return the filter for a seccomp section of a configuration.

    `warn` is called with a sentence that lists the unknown system calls, which the filter leaves
    out; only when the section is compiled for the first time. Raise ContainerError, which names the
    field. (OCI config-linux.md, "Seccomp")
    """
    section = _section(seccomp)
    compiled = _compiled.get(section) or _read(section)
    if not compiled:
        from runtime.seccomp.compiler import build

        compiled, library = build(seccomp, warn)
        _write(section, compiled, library)
    if len(_compiled) >= _LARGEST_COUNT:
        _compiled.clear()
    _compiled[section] = compiled
    _check_listener(seccomp, compiled)
    return compiled


def directory() -> str:
    """Return the directory of the cache, or an empty string for a user without XDG_RUNTIME_DIR."""
    if os.geteuid() == 0:
        return "/run/tonnage-seccomp"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{runtime}/tonnage-seccomp" if runtime.startswith("/") else ""


def _check_listener(seccomp: Seccomp, compiled: Filter) -> None:
    if seccomp.listener_metadata and not seccomp.listener_path:
        raise InvalidConfig(
            "linux.seccomp.listenerMetadata is set, but not listenerPath, where it is sent: set"
            " both."
        )
    if compiled.listener and not seccomp.listener_path.startswith("/"):
        raise InvalidConfig(
            f"linux.seccomp.listenerPath is {seccomp.listener_path!r}: SCMP_ACT_NOTIFY needs the"
            " absolute path of the listener's socket."
        )


@remembered
def _section(seccomp: Seccomp) -> str:
    """Return a text of everything that a filter depends on, except the library."""
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
    """Return the cached filter of a section, if the installed library compiled it."""
    try:
        cache = _open_directory()
        try:
            file = os.open(_name(section), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=cache)
        finally:
            os.close(cache)
        try:
            content = os.read(file, _LARGEST_BYTES)
        finally:
            os.close(file)
        cached, library, program, flags, listener = marshal.loads(content)
        if cached == section and library == _identity(library[0]):
            return Filter(program, flags, listener)
    except (OSError, ValueError, EOFError, TypeError):
        pass  # no file, or a damaged one: the section is compiled again
    return None


def _write(section: str, compiled: Filter, library: str) -> None:
    """Add a filter to the cache, unless the directory is read-only or open to other users."""
    path = directory()
    try:
        if path and not os.path.isdir(path):
            os.mkdir(path, 0o700)
        content = marshal.dumps(
            (section, _identity(library), compiled.program, compiled.flags, compiled.listener)
        )
        cache = _open_directory()
    except OSError:
        return
    temporary = f".{os.getpid()}"
    try:
        _empty_if_full(cache)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=cache)
        try:
            os.write(file, content)
        finally:
            os.close(file)
        os.rename(temporary, _name(section), src_dir_fd=cache, dst_dir_fd=cache)
    except OSError:
        pass
    finally:
        os.close(cache)


def _empty_if_full(cache: int) -> None:
    names = os.listdir(cache)
    for name in names if len(names) >= _LARGEST_COUNT else ():
        os.unlink(name, dir_fd=cache)


def _open_directory() -> int:
    """Return a descriptor of the directory. Raise OSError if other users can write there.

    A filter grants system calls, so none is read that another user may have written.
    """
    descriptor = os.open(directory(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(descriptor)
        raise PermissionError
    return descriptor


def _identity(library: str) -> tuple[str, int, int, int]:
    """Return what identifies a library's file; another version is another file."""
    status = os.stat(library)
    return library, status.st_ino, status.st_size, status.st_mtime_ns
