"""The life of a container: create, start, wait, signal, pause, update, delete.

No process of the runtime stays with a container: the parent of its first process is the process
that called `run` or `create`.
"""

from __future__ import annotations

import os

from runtime import cgroups
from runtime.cgroups import freezer
from runtime.container.removal import remove_directory
from runtime.container.state import Lock, State, StateDirectory, check_writable, process_start
from runtime.errors import ContainerError, HookFailed, InvalidState, Unavailable
from runtime.launcher.descriptors import OpenStreams, check_handed_on
from runtime.launcher.rollback import Rollback
from runtime.linux.pidfd import SIGKILL, ended_within, exit_code, kill, reap
from runtime.linux.proc import is_pid_namespace_init, pid_namespace_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Self

    from runtime.cgroups import Cgroup
    from runtime.launcher.tracing import Steps
    from runtime.process.plan import StartRequest
    from runtime.spec.config import Resources, Spec

DEFAULT_ROOT = "/run/tonnage"
_KILL_SECONDS = 10.0
_NOTIFY = "notify"
CREATED, RUNNING, PAUSED, STOPPED = "created", "running", "paused", "stopped"


class Container:
    """A container; a context manager that kills and removes it.

    `pid` is the PID of its first process on the host.
    """

    def __init__(self, directory: StateDirectory, state: State, pidfd: int | None = None) -> None:
        self.identifier = state.identifier
        self.state = state
        self.pid = state.pid
        self.directory = directory
        self._pidfd = pidfd
        self._cgroup: Cgroup | None = None
        self._exit_code: int | None = None  # unknown
        self._is_deleted = False

    @property
    def pidfd(self) -> int:
        """A descriptor of its first process, opened at the first use; -1 if that has ended."""
        if self._pidfd is None:
            self._pidfd = _open_process(self.state)
        return self._pidfd

    @property
    def cgroup(self) -> Cgroup:
        """The cgroup that its processes are in."""
        if self._cgroup is None:
            self._cgroup = cgroups.reopen(self.state.cgroup_paths)
        return self._cgroup

    @property
    def upper(self) -> str:
        """The writable directory above its layers, if its root was made of layers."""
        return self.directory.file("upper")

    @property
    def notify_directory(self) -> str:
        """The directory of its notify socket, if it was created as a service."""
        return self.directory.file(_NOTIFY)

    @classmethod
    def create(cls, request: StartRequest, root: str = DEFAULT_ROOT) -> Self:
        """Create a container, which runs at once or waits for `start`.

        `root` holds a directory for each container. Raise ContainerError; then nothing is left.
        """
        directory = StateDirectory(root, request.identifier)
        if not request.is_service:
            return cls._create(request, directory)
        from runtime.container import notify_socket

        notify = directory.file(_NOTIFY)
        spec = notify_socket.with_notify_socket(request.spec, notify)
        return cls._create(request.replace(spec=spec), directory, notify)

    @classmethod
    def run(
        cls,
        identifier: str,
        spec: Spec,
        layers: Sequence[str | PathLike[str]],
        *,
        stdin: int = 0,
        stdout: int = 1,
        stderr: int = 2,
        steps: Steps | None = None,
        root: str | PathLike[str] = DEFAULT_ROOT,
    ) -> Self:
        """Run a program over read-only layers, topmost first, and a writable layer of its own.

        `stdin`, `stdout` and `stderr` are descriptors; `steps` traces the start. Return when the
        program has been executed. Raise ContainerError; then nothing is left.
        """
        from runtime.process.plan import StartRequest
        from runtime.rootfs import root as rootfs

        paths = [os.fspath(layer) for layer in layers]
        rootfs.check_layers(paths)
        directory = StateDirectory(os.fspath(root), identifier)
        upper, work, mounted = (directory.file(name) for name in ("upper", "work", "root"))
        request = StartRequest(
            identifier=identifier,
            spec=spec,
            root=rootfs.Overlay(mounted, paths, upper, work),
            bundle=directory.path,
            streams=(stdin, stdout, stderr),
            new_keyring=False,
            steps=steps,
        )
        return cls._create(request, directory, upper, work, mounted)

    @classmethod
    def _create(
        cls, request: StartRequest, directory: StateDirectory, *subdirectories: str
    ) -> Self:
        from runtime.container import create as creation
        from runtime.container import hooks

        try:
            with OpenStreams(), Rollback() as undo:
                check_handed_on(request.streams, request.kept_descriptors)
                check_writable(bundle=request.bundle, root=request.root.path)
                directory.make()
                undo(remove_directory, directory)
                for path in subdirectories:
                    os.mkdir(path, 0o755)
                # startContainer hooks run in a container that has left the host and waits.
                waits = request.waits or bool(request.spec.hooks.start_container)
                created = creation.create(request.replace(waits=waits), directory)
        except HookFailed:
            hooks.run_poststop(request.spec.hooks, hooks.document_of_failed(request))
            raise
        container = cls(directory, created.state, created.pidfd)
        with Rollback() as undo:
            undo(container.__exit__)
            if not waits:
                container._run_poststart_hooks(request.spec)
            elif not request.waits:
                container.start()
        return container

    @classmethod
    def load(cls, identifier: str, root: str = DEFAULT_ROOT) -> Self:
        """Return a container that another process created.

        Raise NotFound if there is none, CorruptState if its state can't be read.
        """
        directory = StateDirectory(root, identifier)
        state = directory.load()
        return cls(directory, state)

    @property
    def status(self) -> str:
        """Its status: created, running, paused or stopped. (OCI runtime.md, "State")"""
        if not self._is_alive():
            return STOPPED
        if freezer.is_frozen(self.state.cgroup_paths):
            return PAUSED
        return CREATED if self.directory.waits() else RUNNING

    def start(self) -> None:
        """Run the program of a created container.

        Raise InvalidState if its status is another, HookFailed if a hook fails, which deletes the
        container, or ContainerError.
        """
        from runtime.container import start_gate

        with OpenStreams(), Lock(self.directory):
            self._must_be("started", CREATED)
            if not self.directory.has_waiting_process():
                # A runtime started it, and was killed before it removed the gate.
                self.directory.remove_gate()
                self._must_be("started", CREATED)
            spec = self.directory.configuration_with_hooks()
            try:
                self._run_start_container_hooks(spec)
                start_gate.open_gate(self.directory, self.state, self.pidfd, spec)
            except HookFailed:
                self.delete(force=True)
                raise
            except ContainerError:
                self.kill(SIGKILL)
                raise
        self._run_poststart_hooks(spec)

    def _run_start_container_hooks(self, spec: Spec | None) -> None:
        if spec and spec.hooks.start_container:
            from runtime.container import hooks, namespace_hooks

            namespace_hooks.run_at_start(spec, self.state, hooks.document(self.state, CREATED))

    def _run_poststart_hooks(self, spec: Spec | None) -> None:
        if not (spec and spec.hooks.poststart):
            return
        from runtime.container import hooks

        try:
            hooks.run(spec.hooks.poststart, hooks.document(self.state, RUNNING))
        except ContainerError:
            self.delete(force=True)
            raise

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the end and return the exit code, 128 + n if signal n ended the process.

        In another process than the parent, this returns after the parent has waited. Raise
        TimeoutError; or Unavailable if the parent alone knows the exit code, which is so before
        Linux 6.15, and for a process that had ended before it was looked at.
        """
        if self._exit_code is None and not self._is_deleted:  # its PID may be reused by then
            runs = self.pidfd >= 0 and timeout_seconds is not None
            if runs and not ended_within(self.pidfd, timeout_seconds):
                raise TimeoutError(f"{self.identifier} still runs after {timeout_seconds} s.")
            try:
                self._exit_code = reap(self.pid)
            except ChildProcessError:
                self._exit_code = self._exit_code_of_other(timeout_seconds)
        if self._exit_code is None:
            raise self._unknown_exit_code()
        return self._exit_code

    def _exit_code_of_other(self, timeout_seconds: float | None) -> int:
        """Return the exit code of a process that is not this one's child."""
        try:
            return exit_code(self.pidfd, timeout_seconds)
        except TimeoutError:
            raise TimeoutError(
                f"{self.identifier} has ended, and its parent process has not waited for it within"
                f" {timeout_seconds} s."
            ) from None
        except (OSError, ValueError) as error:  # an older kernel, or there is no pidfd
            raise self._unknown_exit_code() from error

    def _unknown_exit_code(self) -> Unavailable:
        return Unavailable(
            f"The exit code of {self.identifier} is known to its parent process alone: wait for the"
            " container there."
        )

    def ended_with(self, code: int) -> None:
        """Set the exit code, when the caller has waited for the process itself."""
        self._exit_code = code

    def close(self) -> None:
        """Close the descriptor of its process; the container stays as it is."""
        if self._pidfd is not None and self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd = -1

    def kill(self, number: int = SIGKILL) -> None:
        """Send a signal to its first process, if that has not ended.

        SIGKILL ends all its processes, paused ones as well.
        """
        if number == SIGKILL and not is_pid_namespace_init(self.pid):
            self.kill_all()
        if self.pidfd >= 0:
            kill(self.pidfd, number)
        if number == SIGKILL and freezer.is_frozen(self.state.cgroup_paths):
            self.cgroup.thaw()  # version 1 delivers no signal to a frozen process

    def kill_all(self, number: int = SIGKILL) -> None:
        """Send a signal to all its processes; SIGKILL ends paused ones as well."""
        if number == SIGKILL and self.state.cgroup_paths:
            self.cgroup.kill()
            return
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def processes(self) -> list[int]:
        """Return the PIDs of its processes on the host.

        They are those of its cgroup, or of its PID namespace if it has no cgroup.
        """
        if self.state.cgroup_paths:
            return self.cgroup.processes()
        return pid_namespace_members(self.pid) if self._is_alive() else []

    def pause(self) -> None:
        """Freeze all its processes. Raise InvalidState or ContainerError."""
        self._must_be("paused", RUNNING, CREATED)
        self.cgroup.freeze()

    def resume(self) -> None:
        """Thaw all its processes. Raise InvalidState or ContainerError."""
        self._must_be("resumed", PAUSED)
        self.cgroup.thaw()

    def update(self, resources: Resources) -> None:
        """Change its limits. Raise ContainerError; then all limits are as before."""
        self._must_be("updated", RUNNING, CREATED, PAUSED)
        if not self.state.cgroup_paths:
            raise Unavailable(
                f"The container {self.identifier} was created without a cgroup: it has no limits to"
                " update."
            )
        self.cgroup.update(resources)

    def delete(self, *, force: bool = False) -> None:
        """Remove its cgroup, its mounts and its directory; with `force`, kill it first.

        A second call does nothing. Raise InvalidState if it runs.
        """
        if not self.directory.exists():
            return
        if self._is_alive():
            if not force:
                raise InvalidState(
                    f"The container {self.identifier} is {self.status}: stop it first, or delete it"
                    " with force."
                )
            pidfd = self.pidfd  # opened before the process ends
            self.cgroup.kill()
            self.kill()
            if pidfd >= 0:
                ended_within(pidfd, _KILL_SECONDS)
        self._reap()
        self.cgroup.remove()
        try:
            spec = self.directory.configuration_with_hooks()
        except ContainerError:
            spec = None
        remove_directory(self.directory)
        self._is_deleted = True
        if spec and spec.hooks.poststop:
            from runtime.container import hooks

            hooks.run_poststop(spec.hooks, hooks.document(self.state, STOPPED))
        self.close()  # the PID may be another container's later

    def _reap(self) -> None:
        """Reap the process if it is a child of this one, else leave its exit code unknown."""
        if self._exit_code is None:
            try:
                self._exit_code = reap(self.pid)
            except ChildProcessError:
                return

    def _is_alive(self) -> bool:
        start = process_start(self.pid)
        return self._pidfd != -1 and start != 0 and start == self.state.process_start

    def _must_be(self, action: str, *allowed: str) -> None:
        if (status := self.status) not in allowed:
            raise InvalidState(
                f"The container {self.identifier} is {status}: it can't be {action}."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete(force=True)


def _open_process(state: State) -> int:
    """Return a pidfd of the first process, or -1 if it has ended."""
    try:
        pidfd = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return -1
    if process_start(state.pid) == state.process_start:
        return pidfd
    os.close(pidfd)
    return -1
