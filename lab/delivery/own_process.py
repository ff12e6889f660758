"""A function in a process of its own, where the directories of other tools' state are empty.

A worker may use a tool already, with mounts and daemons that must stay. So a delivery is measured
in a child of the worker, with a mount namespace that ends with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from lab import signals
from lab.errors import LabError, TargetFailed
from lab.host import mount_namespace
from lab.host.processes import end_with_parent
from lab.targets import leftovers, private_directories
from lab.targets.containers.oci import hide_unified_hierarchy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

T = TypeVar("T")
_FAMILY = "tonnage-delivery"
_END_SECONDS = 60.0


@contextmanager
def new_folder(scratch: Path) -> Iterator[Path]:
    """Make a folder named for this process, and remove it after the block with its cgroups."""
    folder = scratch / f"{_FAMILY}-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        leftovers.remove_cgroups(folder.name)
        leftovers.remove_folder(folder)


def call(
    function: Callable[[Path], T], folder: Path, directories: Iterable[str], seconds: float
) -> T:
    """Return the result of `function(folder)`, called in a child process.

    `directories` are empty in the child. Raise the LabError that the function raises, or
    TargetFailed if it does not end in time.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    parent = os.getpid()
    process = context.Process(
        target=_serve, args=(parent, theirs, function, folder, tuple(directories))
    )
    try:
        process.start()
        theirs.close()
        if not ours.poll(seconds):
            raise TargetFailed(f"{folder.name} did not end within {seconds:.0f} s.")
        verdict, value = ours.recv()
    except EOFError as error:
        process.join(_END_SECONDS)
        raise TargetFailed(f"{folder.name} ended with exit code {process.exitcode}.") from error
    finally:
        ours.close()
        _end(process)
    if verdict == "error":
        raise value
    return cast("T", value)


def _end(process: BaseProcess) -> None:
    """Wait for the process, which cleans up if it is terminated, and kill it if it hangs."""
    if process.pid is None:
        return
    process.join(1.0)
    if process.is_alive():
        process.terminate()
        process.join(_END_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(
    parent: int,
    connection: Connection,
    function: Callable[[Path], object],
    folder: Path,
    directories: tuple[str, ...],
) -> None:
    signals.exit_once(128 + signal.SIGTERM)
    end_with_parent(parent)
    try:
        with ExitStack() as resources:
            mount_namespace.enter_private_mount_namespace()
            private_directories.cover(resources, folder, directories)
            hide_unified_hierarchy()
            answer = ("ok", function(folder))
        connection.send(answer)
    except LabError as error:
        connection.send(("error", error))
    except Exception as error:
        message = f"{folder.name}: {type(error).__name__}: {error}"
        connection.send(("error", TargetFailed(message)))
