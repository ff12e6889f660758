"""Workers: a small, single-threaded process for each target, which can be killed.

The process that requests a start is part of what is measured: forking copies its page tables, and
another thread might hold a lock during the fork. So every target runs in a worker of its own, which
imports only the modules of that target; the lab sends it functions to call. All workers are alike,
so that a ratio compares two targets and not their parent processes.

Parent and worker communicate over a socket pair: a pickled (function, arguments) is answered by
("ok", result) or ("error", exception). A worker whose parent has died reads the end of the stream,
and cleans up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from lab import signals, targets
from lab.errors import LabError, StartFailed, TargetFailed
from lab.host import scratch
from lab.host.processes import end_with_parent
from lab.targets import environment, leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.targets.base import Kind, Settings, Target

P = ParamSpec("P")
T = TypeVar("T")
CLOSE_SECONDS = 60.0


class Worker:
    """A target in a process of its own; a context manager that ends the process.

    The worker prepares its target as soon as the context is entered, so that several targets
    prepare in parallel; the first call waits until that is finished.
    """

    def __init__(self, target: str, settings: Settings) -> None:
        self.target = target
        self._settings = settings
        self._is_prepared = False

    def __enter__(self) -> Self:
        self._spawn()
        return self

    @property
    def kind(self) -> Kind:
        """The kind of the target."""
        return self._class.kind

    @property
    def _class(self) -> type[Target]:
        return targets.find(self.target, self._settings.runtimes)

    @property
    def pid(self) -> int:
        """The pid of the process, which may have ended."""
        return self._process.pid

    def await_target(self) -> None:
        """Wait until the target is prepared. Raise LabError if that fails."""
        if not self._is_prepared:
            self._receive(self._settings.prepare_deadline_seconds)
            self._is_prepared = True

    def revive(self) -> list[str]:
        """Replace a worker process that has ended, so that the next round can use it.

        Return a line for each object that the dead process left and that was removed.
        """
        if self._process.poll() is None:
            return []
        self._connection.close()
        removed = self._remove_leftovers()
        self._spawn()
        self.await_target()
        return removed

    def _remove_leftovers(self) -> list[str]:
        removed = self._class.clean(self._settings.scratch)
        return removed + leftovers.clean("delivery", self._settings.scratch)  # a child's, if any

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "lab.targets.worker",
                    self.target,
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                env=environment.of_worker(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
            )
        self._connection = Connection(ours.detach())
        self._is_prepared = False
        with contextlib.suppress(OSError):  # it has ended, which the next call reports
            self._connection.send(self._settings)

    def call(
        self,
        deadline_seconds: float,
        function: Callable[Concatenate[Target, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `function(target, *args)` in the worker and return its result.

        Raise the LabError that it raises, or StartFailed if the worker does not answer within the
        deadline; the worker is then killed, and further calls fail as well.
        """
        self.await_target()
        try:
            self._connection.send((function, args, kwargs))
        except OSError as error:
            raise TargetFailed(f"The worker of {self.target} has ended.") from error
        result: T = self._receive(deadline_seconds)
        return result

    def _receive(self, deadline_seconds: float) -> T:  # type: ignore[type-var]
        try:
            if not self._connection.poll(deadline_seconds):
                self._process.kill()
                self._process.wait()
                raise StartFailed(
                    f"{self.target} did not answer within {deadline_seconds:.0f} s; it was killed."
                )
            verdict, value = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise TargetFailed(
                f"The worker of {self.target} ended with exit code {self._process.wait()}."
            ) from error
        if verdict == "error":
            raise value
        return value  # type: ignore[no-any-return]

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.close()
        if kind is not None:
            self._process.terminate()  # it may be starting an instance, and cleans up
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            # A signal may come between the start of an instance and the block that stops it.
            try:
                self._remove_leftovers()
            except Exception as error:
                if kind is None:
                    raise
                print(f"tonnage: Not all of {self.target} was removed: {error}", file=sys.stderr)


def _serve(name: str, connection: Connection) -> None:
    settings: Settings = connection.recv()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(scratch.hold(settings.scratch))
            target = stack.enter_context(targets.find(name, settings.runtimes)(settings))
            connection.send(("ok", None))
            while True:
                try:
                    function, args, kwargs = connection.recv()
                except EOFError:
                    return
                connection.send(_attempt(target, function, args, kwargs))
    except LabError as error:
        connection.send(("error", error))
    except Exception as error:
        if os.environ.get("TONNAGE_DEBUG"):
            raise
        connection.send(("error", TargetFailed(f"{name}: {type(error).__name__}: {error}")))


def _attempt(
    target: Target,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> tuple[str, object]:
    try:
        return "ok", function(target, *args, **kwargs)
    except LabError as error:
        return "error", error
    except Exception as error:
        if os.environ.get("TONNAGE_DEBUG"):
            raise
        return "error", TargetFailed(f"{target.name}: {type(error).__name__}: {error}")


def main() -> None:
    """Serve one target over a socket; the arguments are its name, the descriptor and the parent."""
    name, descriptor, parent = sys.argv[1:]
    signals.leave_to_parent()
    signals.exit_once(128 + signal.SIGTERM)
    environment.enter()
    end_with_parent(int(parent))
    os.set_inheritable(int(descriptor), False)
    with contextlib.suppress(ConnectionError), Connection(int(descriptor)) as connection:
        _serve(name, connection)


if __name__ == "__main__":
    main()
