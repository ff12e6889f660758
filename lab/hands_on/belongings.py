"""Things that a notebook makes beside its processes: a folder, cgroups, servers, machines.

A process of its own, the keeper, removes all of it when the notebook says so, or when its kernel
ends in whatever way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from lab.host import private_folder, processes
from runtime.cgroups import manager

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import IO

    from runtime.cgroups.cgroup import Cgroup

T = TypeVar("T")
_PREFIX = "tonnage-notebook"
_MODULE = b"lab.hands_on.belongings"
_REMOVE_SECONDS = 30.0
_KILL_NS = 5_000_000_000


class Belongings:
    """A notebook's things; `close` removes them, and the end of the notebook's kernel too.

    New belongings in the same kernel, of a notebook that is run again, remove the earlier ones.
    `folder` is a new directory. Processes that have its path in their command line are ended with
    it: servers and machines that keep their files there.
    """

    _open: ClassVar[list[Belongings]] = []

    def __init__(self) -> None:
        while self._open:
            self._open[-1].close()
        self._open.append(self)
        self._stack = ExitStack()
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE.decode()],
            stdin=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # it must outlive an interrupt and the end of the session
        )
        self.name = f"{_PREFIX}-{os.getpid()}"
        self.folder = self.folder_below(Path(tempfile.gettempdir()))

    def folder_below(self, parent: Path) -> Path:
        """Make a folder in another directory, for files that need its file system."""
        folder = parent / f"{self.name}-{self._keeper.pid}"
        self._tell(folder=str(folder))
        folder.mkdir(mode=0o700)
        return folder

    def cgroup(self) -> Cgroup:
        """Make a cgroup with no limits, in every hierarchy of the host. Raise ContainerError."""
        self._tell(cgroup=self.name)
        return manager.create(f"/{self.name}", self.name)

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context, which `close` leaves before it removes the rest."""
        return self._stack.enter_context(context)

    def close(self) -> None:
        """Leave the contexts, the latest first, and remove everything."""
        if self in self._open:
            self._open.remove(self)
            try:
                self._stack.close()
            finally:
                self._keeper.communicate(timeout=_REMOVE_SECONDS)

    def _tell(self, **thing: str) -> None:
        assert self._keeper.stdin
        self._keeper.stdin.write(json.dumps(thing) + "\n")
        self._keeper.stdin.flush()


def keep(notes: IO[str]) -> None:
    """Read what there will be until the end of the pipe, then remove it, the latest first."""
    things = [json.loads(line) for line in notes]
    for thing in reversed(things):
        if "cgroup" in thing:
            manager.at(f"/{thing['cgroup']}", thing["cgroup"]).remove()
        else:
            _end_processes_of(thing["folder"])
            shutil.rmtree(thing["folder"], ignore_errors=True)


def clean() -> list[str]:
    """Remove what is left of kernels whose keepers were killed as well; return a line for each."""
    removed = []
    for folder in private_folder.removable(f"{_PREFIX}-*-*"):
        kernel, _, keeper = folder.name.removeprefix(f"{_PREFIX}-").partition("-")
        if (
            not (kernel.isdigit() and keeper.isdigit())
            or Path("/proc", kernel).exists()
            or _MODULE in processes.command_line(int(keeper))
        ):
            continue
        _end_processes_of(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(f"removed {folder}")
        name = f"{_PREFIX}-{kernel}"
        if (left := manager.at(f"/{name}", name)).paths:
            left.remove()
            removed.append(f"removed cgroup {name}")
    return removed


def _end_processes_of(folder: str) -> None:
    name = os.fsencode(folder)
    for pid in processes.all_pids():
        if name in processes.command_line(pid):
            with suppress(ProcessLookupError), processes.handle_of(pid) as handle:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                processes.ended(handle, time.monotonic_ns() + _KILL_NS)


if __name__ == "__main__":
    keep(sys.stdin)
