"""What a container's cgroup is, whichever version the host has."""

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
_FORK_SECONDS = 0.05  # who is alive after that may be forking faster than we kill
_PAUSE_SECONDS = 0.001
_KILL = 9  # the module `signal` is slow to import
# Kept by a directory that was made as a parent of containers' cgroups, not by anybody else.
_MARK = "trusted.tonnage"


class Cgroup:
    """One container's cgroup: `paths` has its directory in each hierarchy, by its controllers.

    Version 2's has no controllers in its name, and is there in a hybrid host too. `paths` is what
    another process needs to come back to it (`cgroups.reopen`).
    """

    def __init__(self, paths: dict[str, str]) -> None:
        self.paths = paths
        self._descriptors: dict[str, int] = {}

    def clone_descriptor(self) -> int | None:
        """A descriptor for clone3(2) to start the child in the cgroup, where there is version 2."""
        directory = self.paths.get("")
        if directory is None:
            return None
        return self._opened(directory, os.O_RDONLY | os.O_DIRECTORY)

    def make(self) -> None:
        """Make what is only planned of it. Raises ContainerError, and then there is none of it."""

    def join(self, program: Program) -> None:
        """Have a child that still sees the host's files move itself where clone3(2) can't put it.

        Before it is made, too: the child must wait.
        """

    def close(self) -> None:
        """Close the descriptors: the child has been started."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def limit(self, resources: Resources) -> None:
        """Set what is asked for, and forbid all devices but those that are asked for.

        Raises ContainerError that names the field, and what the host lacks.
        """
        raise NotImplementedError

    def update(self, resources: Resources) -> None:
        """Set what is asked for while it runs, and leave the rest, devices too, as it is.

        Raises ContainerError, and then all is as it was.
        """
        raise NotImplementedError

    def delegate(self, user: int) -> None:
        """Let a user make sub-cgroups; nothing to do on version 1, where that is not safe.

        Raises ContainerError. (cgroups(7), "Cgroup delegation")
        """

    def freeze(self) -> None:
        """Stop all its processes; returns when they stand. Raises ContainerError."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Let them go on. Raises ContainerError."""
        raise NotImplementedError

    def is_frozen(self) -> bool:
        """Return True if they were stopped by `freeze`."""
        return is_frozen(self.paths)

    def statistics(self) -> dict[str, Any]:
        """What it uses, as `runc events --stats` tells it; what the host lacks is absent."""
        raise NotImplementedError

    def oom_events(self) -> OomEvents:
        """To hear of processes that are killed for want of memory. Raises ContainerError."""
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """What is charged to it now, page cache and kernel memory included.

        Raises ContainerError where memory is not counted.
        """
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether it is there still."""
        return any(os.path.isdir(directory) for directory in self.paths.values())

    def processes(self) -> list[int]:
        """The pids in it and its sub-cgroups, in ascending order, as seen from here."""
        return sorted(
            {
                pid
                for directory in self.paths.values()
                for each in files.all_below(directory)
                for pid in _pids(each)
            }
        )

    def kill(self) -> None:
        """Kill all that run in it and its sub-cgroups, frozen ones too; they may die a bit later.

        Raises ContainerError if there are new ones again and again.
        """
        if self._kill_at_once():
            return
        start = time.monotonic()
        while living := [pid for pid in self.processes() if _kill(pid)]:
            passed_seconds = time.monotonic() - start
            if passed_seconds > _KILL_SECONDS:
                self._thaw_if_possible()  # what could be stopped goes on once it can be killed
                raise ContainerError(
                    f"Processes {living} of the cgroup {self} do not die of SIGKILL."
                )
            self._thaw_if_possible()
            time.sleep(_PAUSE_SECONDS)
            if passed_seconds > _FORK_SECONDS:
                self._freeze_if_possible()

    def remove(self) -> None:
        """Remove it, its sub-cgroups, and the parents that were made for it and are empty.

        Processes that are still in it are killed: without a pid namespace of their own they do not
        end with the first one. Raises ContainerError if it is still in use after some seconds.
        """
        self.close()
        deadline = time.monotonic() + _REMOVE_SECONDS
        for directory in self.paths.values():
            while not _removed(directory):
                if time.monotonic() > deadline:
                    raise ContainerError(f"The cgroup {directory} is still in use.")
                self.kill()
                time.sleep(_PAUSE_SECONDS)
            _remove_parents(directory)

    def __str__(self) -> str:
        return next(iter(self.paths.values()), "of no name")

    def _opened(self, path: str, flags: int) -> int:
        if path not in self._descriptors:
            try:
                self._descriptors[path] = os.open(path, flags | os.O_CLOEXEC)
            except OSError as error:
                raise ContainerError(f"Can't open the cgroup {path}: {error.strerror}.") from error
        return self._descriptors[path]

    def _kill_at_once(self) -> bool:
        """Let the kernel kill everything, if it can (Linux 5.14) and all is in version 2."""
        return False

    def _freeze_if_possible(self) -> None:
        """Keep new processes from coming while the old ones are killed."""
        try:
            self.freeze()
        except ContainerError:
            pass  # without a freezer, or where not all stand in time, we must be the faster

    def _thaw_if_possible(self) -> None:
        try:
            self.thaw()
        except ContainerError:
            pass


def make(root: str, location: str) -> list[str]:
    """Make a cgroup's directory and the parents that are missing: those made, the highest first.

    One that exists will do if it holds no process and is not frozen. Raises ContainerError, and
    then nothing was made.
    """
    made: list[str] = []
    try:
        _make(root, location, made)
    except BaseException as error:
        unmake(made)
        if isinstance(error, OSError):
            raise ContainerError(
                f"Can't make the cgroup {root}/{location}: {error.strerror}."
            ) from error
        raise
    return made


def unmake(made: list[str]) -> None:
    """Remove directories that were just made, as far as they are empty."""
    for directory in reversed(made):
        try:
            os.rmdir(directory)
        except OSError:
            return


def _make(root: str, location: str, made: list[str]) -> None:
    directory = f"{root}/{location}"
    while True:
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            _refuse_if_used(directory)
            return
        except FileNotFoundError:
            _make_parents(root, location, made)  # again, if another's removal took one away
        else:
            made.append(directory)
            return


def _make_parents(root: str, location: str, made: list[str]) -> None:
    parent = root
    if not os.path.isdir(root):
        raise FileNotFoundError(errno.ENOENT, f"{root} is not there")
    for name in location.split("/")[:-1]:
        parent = f"{parent}/{name}"
        try:
            os.mkdir(parent, 0o755)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return
        made.append(parent)
        try:
            os.setxattr(parent, _MARK, b"")
        except OSError:
            pass  # such a parent stays, as it does with every other runtime


def _refuse_if_used(directory: str) -> None:
    for each in files.all_below(directory):
        if pids := _pids(each):
            raise ContainerError(
                f"The cgroup {each} exists and has processes in it, {pids[0]} among them."
            )
    frozen = files.read_if_there(f"{directory}/freezer.state") or "THAWED"
    if frozen != "THAWED" or files.read_if_there(f"{directory}/cgroup.freeze") == "1":
        raise ContainerError(f"The cgroup {directory} exists and is frozen.")


def _pids(directory: str) -> list[int]:
    try:
        return [int(line) for line in files.read(f"{directory}/cgroup.procs").split()]
    except OSError as error:
        # Gone meanwhile; or a threaded cgroup, whose processes the one above it tells.
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
            return []
        raise


def _kill(pid: int) -> bool:
    """Whether there was something to kill."""
    try:
        os.kill(pid, _KILL)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise ContainerError(f"Process {pid} is another user's: it can't be killed.") from error
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
        return False  # another removes it too: look again
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
        return  # not made for us, or another container's too
