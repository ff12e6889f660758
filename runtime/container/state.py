"""The state of a container in files, for other processes and later ones.

Every container has a directory below the runtime's root: its state, a copy of its configuration,
and until it is started the FIFOs of its gate and the names of the calls to come. A file is written
under another name and renamed, so that a process that is killed leaves it whole. (OCI runtime.md,
"State")
"""

from __future__ import annotations

import errno
import os

from runtime.errors import (
    AlreadyExists,
    ContainerError,
    CorruptState,
    InvalidConfig,
    InvalidState,
    NotFound,
)
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
    """The state of a container: the specification's fields, and those to find its process again.

    `process_start` is when the first process started, in clock ticks since the boot. Together with
    the PID it identifies the process: a PID alone may be another process's later.
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
    """The directory of one container."""

    def __init__(self, root: str, identifier: str) -> None:
        check_name(identifier)
        self.identifier = identifier
        self.path = os.path.join(root, identifier)

    def make(self) -> None:
        """Make the directory. Raise AlreadyExists if there is such a container."""
        try:
            self._make()
        except FileExistsError as error:
            raise AlreadyExists(
                f"There is a container {self.identifier} already: delete it, or choose another id."
            ) from error
        except OSError as error:
            raise ContainerError(f"Can't make {self.path}: {error.strerror}.") from error

    def _make(self) -> None:
        try:
            os.mkdir(self.path, 0o700)  # layers may hold programs that set the user ID
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
            self._make()

    def file(self, name: str) -> str:
        """Return the path of a file of the directory."""
        return f"{self.path}/{name}"

    def write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        temporary = self.file(f".{name}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        os.rename(temporary, self.file(name))

    def save(self, state: State) -> None:
        """Write the state."""
        self.write(STATE, encode(state))

    def load(self) -> State:
        """Return the state.

        Raise NotFound if there is no such container, CorruptState if its state can't be read.
        """
        text = self._read(STATE)
        try:
            return decode(State, text, f"the state of {self.identifier}")
        except ContainerError as error:
            raise self._damaged(error) from error

    def configuration(self) -> Spec:
        """Return the configuration that the container was created from.

        Raise NotFound or CorruptState.
        """
        from runtime.spec.config import Spec

        text = self._read(CONFIG)
        try:
            return decode(Spec, text, f"the configuration of {self.identifier}")
        except ContainerError as error:
            raise self._damaged(error) from error

    def configuration_with_hooks(self) -> Spec | None:
        """Return the configuration if it has hooks or a listener for its filter, else None.

        No other part of it is needed to start or to remove a container, and to decode it takes
        longer than to parse it. Raise NotFound or CorruptState.
        """
        document = self._parsed(CONFIG, f"the configuration of {self.identifier}")
        hooks, linux = _member(document, "hooks"), _member(document, "linux")
        listens = _member(_member(linux, "seccomp"), "listenerPath")
        return self.configuration() if hooks or listens else None

    def calls(self) -> list[str]:
        """Return the names of the calls of the program that waits to be started."""
        names = self._parsed(CALLS, f"{CALLS} of {self.identifier}")
        return [str(name) for name in names] if isinstance(names, list) else []

    def remove_gate(self) -> None:
        """Remove the files of the start gate: the container has been started."""
        for name in (START, REPORT, CALLS):
            os.unlink(self.file(name))

    def waits(self) -> bool:
        """Return True if the container is created and not started."""
        return os.access(self.file(START), os.F_OK)

    def has_waiting_process(self) -> bool:
        """Return True if a process waits at the gate's FIFO, False if it went on. (fifo(7))"""
        try:
            os.close(os.open(self.file(START), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    def exists(self) -> bool:
        """Return True if there is such a directory."""
        return os.path.isdir(self.path)

    def mounted(self) -> bytes | None:
        """Return the record of a root that is mounted on the host, or None. (shared_rootfs)"""
        return self._read(MOUNTED) if os.path.exists(self.file(MOUNTED)) else None

    def remove(self) -> None:
        """Remove the directory with all its files; `removal.remove_directory` unmounts as well."""
        _remove(self.path)

    def _read(self, name: str) -> bytes:
        try:
            descriptor = os.open(self.file(name), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.exists():
                raise CorruptState(
                    f"The container {self.identifier} has no {name}: it is being created or deleted"
                    " by another process, or that was interrupted; then delete it with force."
                ) from error
            raise NotFound(f"There is no container {self.identifier}.") from error
        try:
            return os.read(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _parsed(self, name: str, title: str) -> object:
        text = self._read(name)
        try:
            return parse(text, title)
        except ContainerError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: ContainerError) -> CorruptState:
        return CorruptState(
            f"The container {self.identifier} is damaged: {error} Delete it with force."
        )


class Lock:
    """The lock of a container while it is started; a context manager.

    Raise InvalidState if another process holds it, NotFound if there is no such container.
    """

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        from fcntl import LOCK_EX, LOCK_NB, flock

        identifier = self._directory.identifier
        try:
            self._descriptor = os.open(self._directory.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"There is no container {identifier}.") from error
        try:
            flock(self._descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise InvalidState(
                f"The container {identifier} is being started by another process."
            ) from error

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def check_writable(**paths: str) -> None:
    """Check that paths can be written as JSON, which is UTF-8. Raise InvalidConfig."""
    for name, path in paths.items():
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise InvalidConfig(
                f"{name}: the path {os.fsencode(path)!r} is not UTF-8, so it can't be written to"
                " the container's state: rename it."
            ) from error


def _member(document: object, key: str) -> object:
    return document.get(key) if isinstance(document, dict) else None


def names(root: str) -> list[str]:
    """Return the names of the containers below a root."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def check_name(identifier: str) -> None:
    """Check a container's id. Raise InvalidConfig."""
    is_valid = 0 < len(identifier) <= _LONGEST_NAME and _NAME_SIGNS.issuperset(identifier)
    if not is_valid or identifier in {".", ".."}:
        raise InvalidConfig(
            f"{identifier!r} is not a valid container id: use letters, digits, and _ + . - only, at"
            f" most {_LONGEST_NAME}."
        )


def process_start(pid: int) -> int:
    """Return when a process started, in clock ticks since the boot; 0 if it has ended."""
    try:
        fields = proc.stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[proc.STATE] in {b"Z", b"X"} else int(fields[proc.START_TICKS])


def _remove(path: str) -> None:
    """Remove a tree, part of which may be gone already. To import shutil would take longer."""
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
