"""The cgroup of a container, with the interface that both versions of cgroups share."""

from __future__ import annotations

import errno
import os
import time

from runtime.cgroups import files
from runtime.cgroups.freezer import is_frozen
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.cgroups.oom import OomEvents
    from runtime.launcher.program import Program
    from runtime.spec.config import Resources

_REMOVE_SECONDS = 5.0
_KILL_SECONDS = 10.0
# A process that is alive after this may be forking faster than it can be killed.
_FORK_SECONDS = 0.05
_PAUSE_SECONDS = 0.001
_KILL = 9  # the module `signal` is slow to import
# The extended attribute of directories that were made as parents of a container's cgroup.
_MARK = "trusted.tonnage"


class Cgroup:
    """A container's cgroup; `paths` has its directory in each hierarchy, by controllers.

    Version 2's directory has an empty key, on a hybrid host too. Another process that knows `paths`
    can use the cgroup with `cgroups.reopen`.
    """

    def __init__(self, paths: dict[str, str]) -> None:
        self.paths = paths
        self._descriptors: dict[str, int] = {}

    def clone_descriptor(self) -> int | None:
        """Return a descriptor for clone3(2) to start a child in version 2's cgroup, or None."""
        directory = self.paths.get("")
        if directory is None:
            return None
        return self._opened(directory, os.O_RDONLY | os.O_DIRECTORY)

    def make(self) -> None:
        """Make the directories that are only planned. Undo all and raise ContainerError."""

    def join(self, program: Program) -> None:
        """Make a child move itself into the hierarchies that clone3(2) does not handle.

        The child runs these calls while it still sees the host's files. They may be composed before
        the cgroup is made: then the child must wait for that.
        """

    def close(self) -> None:
        """Close the descriptors, once the child has been started."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def limit(self, resources: Resources) -> None:
        """Apply the limits of a new container, and deny all devices but the allowed ones.

        Raise ContainerError, which names the field and what the host lacks.
        """
        raise NotImplementedError

    def update(self, resources: Resources) -> None:
        """Change these limits of a running container; keep all others, and the device rules.

        Raise ContainerError, and then all is as it was before.
        """
        raise NotImplementedError

    def delegate(self, user: int) -> None:
        """Allow a user to make sub-cgroups; do nothing on version 1, where that is not safe.

        Raise ContainerError. (cgroups(7), "Cgroup delegation")
        """

    def freeze(self) -> None:
        """Stop all processes, and return once they have stopped. Raise ContainerError."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Resume all processes. Raise ContainerError."""
        raise NotImplementedError

    def is_frozen(self) -> bool:
        """Return True if `freeze` has stopped the processes."""
        return is_frozen(self.paths)

    def statistics(self) -> dict[str, Any]:
        """Return the usage that the host counts, in the format of `runc events --stats`."""
        raise NotImplementedError

    def oom_events(self) -> OomEvents:
        """Return a source of events for processes that the OOM killer ends.

        Raise ContainerError.
        """
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """Return the memory charged to the cgroup, page cache and kernel memory included.

        Raise ContainerError if memory is not counted.
        """
        raise NotImplementedError

    def exists(self) -> bool:
        """Return True while any of its directories exists."""
        return any(os.path.isdir(directory) for directory in self.paths.values())

    def processes(self) -> list[int]:
        """Return the pids in it and its sub-cgroups, in ascending order, in our pid namespace."""
        return sorted(
            {
                pid
                for directory in self.paths.values()
                for each in files.all_below(directory)
                for pid in _pids(each)
            }
        )

    def kill(self) -> None:
        """Kill all processes in it and its sub-cgroups, frozen ones too.

        They may end a little later.

        Raise ContainerError if new ones appear again and again.
        """
        if self._kill_at_once():
            return
        start = time.monotonic()
        while living := [pid for pid in self.processes() if _kill(pid)]:
            passed_seconds = time.monotonic() - start
            if passed_seconds > _KILL_SECONDS:
                self._thaw_if_possible()  # frozen processes end only once they are thawed
                raise ContainerError(
                    f"The cgroup {self} still has processes {living}, in spite of SIGKILL."
                )
            self._thaw_if_possible()
            time.sleep(_PAUSE_SECONDS)
            if passed_seconds > _FORK_SECONDS:
                self._freeze_if_possible()

    def remove(self) -> None:
        """Remove it, its sub-cgroups, and the parents that were made for it and are empty.

        Kill the processes that are left: without a pid namespace they outlive the first process.
        Raise ContainerError if the cgroup is still in use after some seconds.
        """
        self.close()
        deadline = time.monotonic() + _REMOVE_SECONDS
        for directory in self.paths.values():
            while not _removed(directory):
                if time.monotonic() > deadline:
                    raise ContainerError(
                        f"The cgroup {directory} is still in use after {_REMOVE_SECONDS:g} s."
                    )
                self.kill()
                time.sleep(_PAUSE_SECONDS)
            _remove_parents(directory)

    def __str__(self) -> str:
        return next(iter(self.paths.values()), "without directories")

    def _opened(self, path: str, flags: int) -> int:
        if path not in self._descriptors:
            try:
                self._descriptors[path] = os.open(path, flags | os.O_CLOEXEC)
            except OSError as error:
                raise ContainerError(f"Can't open the cgroup {path}: {error.strerror}.") from error
        return self._descriptors[path]

    def _kill_at_once(self) -> bool:
        """Kill everything by one write, and return True, where the kernel can (Linux 5.14)."""
        return False

    def _freeze_if_possible(self) -> None:
        """Try to prevent forks while processes are being killed."""
        try:
            self.freeze()
        except ContainerError:
            pass  # without a freezer, or at its timeout, killing must be faster than forking

    def _thaw_if_possible(self) -> None:
        try:
            self.thaw()
        except ContainerError:
            pass


def make(root: str, location: str) -> list[str]:
    """Make a cgroup's directory and missing parents; return the new ones, the highest first.

    Reuse an existing cgroup if it has no process and is not frozen. Raise ContainerError, and then
    nothing was made.
    """
    new_directories: list[str] = []
    try:
        _make(root, location, new_directories)
    except BaseException as error:
        unmake(new_directories)
        if isinstance(error, OSError):
            raise ContainerError(
                f"Can't make the cgroup {root}/{location}: {error.strerror}."
            ) from error
        raise
    return new_directories


def unmake(new_directories: list[str]) -> None:
    """Remove directories that were just made, as far as they are empty."""
    for directory in reversed(new_directories):
        try:
            os.rmdir(directory)
        except OSError:
            return


def _make(root: str, location: str, new_directories: list[str]) -> None:
    directory = f"{root}/{location}"
    while True:
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            _refuse_if_used(directory)
            return
        except FileNotFoundError:
            # Again, as another container's removal may have deleted a parent.
            _make_parents(root, location, new_directories)
        else:
            new_directories.append(directory)
            return


def _make_parents(root: str, location: str, new_directories: list[str]) -> None:
    parent = root
    if not os.path.isdir(root):
        raise FileNotFoundError(errno.ENOENT, f"{root} doesn't exist")
    for name in location.split("/")[:-1]:
        parent = f"{parent}/{name}"
        try:
            os.mkdir(parent, 0o755)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return
        new_directories.append(parent)
        try:
            os.setxattr(parent, _MARK, b"")
        except OSError:
            pass  # without the mark this parent is not removed later, as with other runtimes


def _refuse_if_used(directory: str) -> None:
    for each in files.all_below(directory):
        if pids := _pids(each):
            raise ContainerError(
                f"The cgroup {each} exists and has processes, such as {pids[0]}: end them, or"
                " choose another linux.cgroupsPath."
            )
    frozen = files.read_if_there(f"{directory}/freezer.state") or "THAWED"
    if frozen != "THAWED" or files.read_if_there(f"{directory}/cgroup.freeze") == "1":
        raise ContainerError(
            f"The cgroup {directory} exists and is frozen: thaw it, or choose another"
            " linux.cgroupsPath."
        )


def _pids(directory: str) -> list[int]:
    try:
        return [int(line) for line in files.read(f"{directory}/cgroup.procs").split()]
    except OSError as error:
        # ENOENT, ENODEV: the cgroup was removed meanwhile. EOPNOTSUPP: it is threaded, and its
        # processes are listed in its parent.
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
            return []
        raise


def _kill(pid: int) -> bool:
    """Send SIGKILL; return False if there is no such process."""
    try:
        os.kill(pid, _KILL)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise ContainerError(f"Can't kill process {pid}: it belongs to another user.") from error
    return True


def _removed(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.ENOTEMPTY}:
            raise ContainerError(
                f"Can't remove the cgroup {directory}: {error.strerror}."
            ) from error
        return _removed_with_those_below(directory)
    return True


def _removed_with_those_below(directory: str) -> bool:
    try:
        for each in files.all_below(directory):
            os.rmdir(each)
    except FileNotFoundError:
        return False  # another process removes it too: look again
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.ENOTEMPTY}:
            raise ContainerError(f"Can't remove a cgroup below {directory}: {error}.") from error
        return False
    return True


def _remove_parents(directory: str) -> None:
    parent = os.path.dirname(directory)
    try:
        while True:
            os.getxattr(parent, _MARK)
            os.rmdir(parent)
            parent = os.path.dirname(parent)
    except OSError:
        return  # somebody else's directory, or in use by another container
