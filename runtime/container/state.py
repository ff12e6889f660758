"""What is kept of a container, for other processes and later ones, and what that says of it now.

A directory a container below the runtime's root: its state, a copy of its configuration, and while
it is created but not started the FIFOs at which it waits and the names of the calls to come. A file
is written aside and renamed, so that a process that is killed leaves it whole. (OCI runtime.md,
"State")
"""

from __future__ import annotations

import errno
import os

from runtime.errors import ContainerError
from runtime.linux import proc
from runtime.spec.json_structs import Int64, Struct, decode, encode, parse
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from runtime.spec.config import Spec

STATE, CONFIG, CALLS = "state.json", "config.json", "calls.json"
MOUNTED = "mounted.json"  # of a container in the host's mount namespace
START, REPORT = "start", "report"
_NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
_LONGEST_NAME = 1024


class State(Struct):
    """What is written down: the specification's part, and what is needed to come back to it.

    `process_start` is when the first process started, in clock ticks since the boot; together with
    its pid it is no other's.
    """

    RENAMED: ClassVar[dict[str, str]] = {"identifier": "id"}

    oci_version: str = SPECIFICATION
    identifier: str
    pid: Int64
    bundle: str
    annotations: dict[str, str] = {}  # noqa: RUF012 - a struct is frozen
    rootfs: str = ""
    created: str = ""
    owner: Int64 = 0
    process_start: Int64 = 0
    cgroup_paths: dict[str, str] = {}  # noqa: RUF012


class StateDirectory:
    """One container's directory."""

    def __init__(self, root: str, identifier: str) -> None:
        check_name(identifier)
        self.identifier = identifier
        self.path = os.path.join(root, identifier)

    def make(self) -> None:
        """Make it. Raises ContainerError if there is one."""
        try:
            self._make()
        except FileExistsError as error:
            raise ContainerError(f"There is a container {self.identifier} already.") from error
        except OSError as error:
            raise ContainerError(f"Can't make {self.path}: {error.strerror}.") from error

    def _make(self) -> None:
        try:
            os.mkdir(self.path, 0o700)  # in layers there may be programs that set the user id
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
            self._make()

    def file(self, name: str) -> str:
        """The path of one of its files."""
        return f"{self.path}/{name}"

    def write(self, name: str, text: str) -> None:
        """Write a file of it, whole or not at all."""
        aside = self.file(f".{name}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        os.rename(aside, self.file(name))

    def save(self, state: State) -> None:
        """Write the state down."""
        self.write(STATE, encode(state))

    def load(self) -> State:
        """The state. Raises ContainerError if there is no such container."""
        return decode(State, self._read(STATE), f"the state of {self.identifier}")

    def configuration(self) -> Spec:
        """The configuration that it was created from. Raises ContainerError."""
        from runtime.spec.config import Spec

        return decode(Spec, self._read(CONFIG), f"the configuration of {self.identifier}")

    def demanding(self) -> Spec | None:
        """Return the configuration if it has hooks or a listener for its filter, else None.

        Nothing else in it matters to who starts or removes a container. Raise ContainerError.
        """
        found = parse(self._read(CONFIG), f"the configuration of {self.identifier}")
        hooks, linux = _part(found, "hooks"), _part(found, "linux")
        listens = _part(_part(linux, "seccomp"), "listenerPath")
        return self.configuration() if hooks or listens else None

    def calls(self) -> list[str]:
        """What the calls are to do of the program that waits to be started."""
        found = parse(self._read(CALLS), CALLS)
        return [str(each) for each in found] if isinstance(found, list) else []

    def let_go(self) -> None:
        """It was started: it waits no more."""
        for name in (START, REPORT, CALLS):
            os.unlink(self.file(name))

    def waits(self) -> bool:
        """Whether it has been created and not started."""
        return os.access(self.file(START), os.F_OK)

    def is_heard(self) -> bool:
        """Return True if a process waits at the FIFO, False if it went on. (fifo(7))"""
        try:
            os.close(os.open(self.file(START), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    def exists(self) -> bool:
        """Whether there is one."""
        return os.path.isdir(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it, and what is mounted on the host for it.

        Raises ContainerError.
        """
        if os.path.exists(self.file(MOUNTED)):
            from runtime.container import shared_rootfs

            shared_rootfs.unmount(self._read(MOUNTED))
        _remove(self.path)

    def _read(self, name: str) -> bytes:
        try:
            descriptor = os.open(self.file(name), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ContainerError(f"There is no container {self.identifier}.") from error
        try:
            return os.read(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)


class Lock:
    """A context manager in which no other process has this container's lock.

    Raise ContainerError if one has.
    """

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        from fcntl import LOCK_EX, LOCK_NB, flock

        identifier = self._directory.identifier
        try:
            self._descriptor = os.open(self._directory.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ContainerError(f"There is no container {identifier}.") from error
        try:
            flock(self._descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise ContainerError(
                f"The container {identifier} is being started by another process."
            ) from error

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def check_writable(**paths: str) -> None:
    """Refuse paths that can't be written down, as JSON is UTF-8. Raise ContainerError."""
    for name, path in paths.items():
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ContainerError(
                f"{name}: {os.fsencode(path)!r} is no UTF-8, which a container's state must be."
            ) from error


def _part(document: object, key: str) -> object:
    return document.get(key) if isinstance(document, dict) else None


def names(root: str) -> list[str]:
    """The containers below a root."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def check_name(identifier: str) -> None:
    """Refuse what is no container's id. Raises ContainerError."""
    fits = 0 < len(identifier) <= _LONGEST_NAME and _NAME_SIGNS.issuperset(identifier)
    if not fits or identifier in {".", ".."}:
        raise ContainerError(f"{identifier!r} is no container id: letters, digits and _ + . - are.")


def process_start(pid: int) -> int:
    """Return when a process started, in ticks since the boot; 0 if it has ended."""
    try:
        fields = proc.stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[proc.STATE] in {b"Z", b"X"} else int(fields[proc.START_TICKS])


def _remove(path: str) -> None:
    """Like shutil.rmtree, whose import takes longer; what is gone already is as well."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(path)
    except FileNotFoundError:
        return
