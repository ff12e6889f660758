"""One container's life: create, start, run, wait, kill, delete.

What can be prepared is prepared by this process; what the child must do itself is a program of
system calls (runtime.process.init). No process of ours stays with a container: the payload's parent
is whoever called `run` or `create`.
"""

from __future__ import annotations

import os

from runtime import cgroups
from runtime.cgroups import freezer
from runtime.container.state import (
    Lock,
    State,
    StateDirectory,
    check_writable,
    names,
    process_start,
)
from runtime.errors import ContainerError, HookFailed
from runtime.launcher.descriptors import OpenStreams, check_handed_on
from runtime.launcher.rollback import Undo
from runtime.linux.pidfd import SIGKILL, ended_within, exit_code, kill, reap
from runtime.linux.proc import is_pid_namespace_init, pid_namespace_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike
    from typing import Self

    from runtime.cgroups import Cgroup
    from runtime.container.create import Request
    from runtime.launcher.tracing import Steps
    from runtime.spec.config import Resources, Spec

DEFAULT_ROOT = "/run/tonnage"
_KILL_SECONDS = 10.0
_NOTIFY = "notify"
CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"


class Container:
    """A container; a context manager that ends and removes it.

    `pid` is its first process on the host, `pidfd` a descriptor of it, -1 once that is gone;
    `cgroup` is what limits it.
    """

    def __init__(self, directory: StateDirectory, state: State, pidfd: int | None = None) -> None:
        self.identifier = state.identifier
        self.state = state
        self.pid = state.pid
        self.directory = directory
        self._pidfd = pidfd
        self._cgroup: Cgroup | None = None
        self._exit_code: int | None = None

    @property
    def pidfd(self) -> int:
        """A descriptor of its first process, opened when it is asked for."""
        if self._pidfd is None:
            self._pidfd = _open_process(self.state)
        return self._pidfd

    @property
    def cgroup(self) -> Cgroup:
        """What limits it."""
        if self._cgroup is None:
            self._cgroup = cgroups.reopen(self.state.cgroup_paths)
        return self._cgroup

    @property
    def upper(self) -> str:
        """The directory that what it writes goes to, if it was made of layers."""
        return self.directory.file("upper")

    @property
    def notify_directory(self) -> str:
        """The directory at which it says how it is, if it was made as a service."""
        return self.directory.file(_NOTIFY)

    @classmethod
    def create(cls, request: Request, root: str = DEFAULT_ROOT) -> Self:
        """Make a container, which runs at once or waits for `start`.

        `root` holds a directory for each container. Raises ContainerError, and then nothing is
        left.
        """
        directory = StateDirectory(root, request.identifier)
        if not request.is_service:
            return cls._make(request, directory)
        from runtime.oci import sd_notify

        notify = directory.file(_NOTIFY)
        return cls._make(
            request.replace(spec=sd_notify.offer_notify_socket(request.spec, notify)),
            directory,
            notify,
        )

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
        """Run a program over read-only layers, topmost first, and a writable one of its own.

        `stdin`, `stdout` and `stderr` are descriptors; `steps`, if given, are told. Returns once
        the program was execed. Raises ContainerError, and then nothing is left.
        """
        from runtime.container import create as creation
        from runtime.rootfs import root as rootfs

        paths = [os.fspath(layer) for layer in layers]
        rootfs.check_layers(paths)
        directory = StateDirectory(os.fspath(root), identifier)
        upper, work, mounted = (directory.file(name) for name in ("upper", "work", "root"))
        request = creation.Request(
            identifier=identifier,
            spec=spec,
            root=rootfs.Overlay(mounted, paths, upper, work),
            bundle=directory.path,
            streams=(stdin, stdout, stderr),
            new_keyring=False,
            steps=steps,
        )
        return cls._make(request, directory, upper, work, mounted)

    @classmethod
    def _make(cls, request: Request, directory: StateDirectory, *subdirectories: str) -> Self:
        from runtime.container import create as creation
        from runtime.container import hooks

        try:
            with OpenStreams(), Undo() as undo:
                check_handed_on(request.streams, request.kept_descriptors)
                check_writable(bundle=request.bundle, root=request.root.path)
                directory.make()
                undo(directory.remove)
                for path in subdirectories:
                    os.mkdir(path, 0o755)
                # startContainer hooks are run in a container that has left the host.
                gated = request.waits or bool(request.spec.hooks.start_container)
                made = creation.create(request.replace(waits=gated), directory)
        except HookFailed:
            hooks.run_poststop(request.spec.hooks, creation.document_of_failed(request))
            raise
        container = cls(directory, made.state, made.pidfd)
        with Undo() as undo:
            undo(container.__exit__)
            if not gated:
                container._run_poststart_hooks(request.spec)
            elif not request.waits:
                container.start()
        return container

    @classmethod
    def load(cls, identifier: str, root: str = DEFAULT_ROOT) -> Self:
        """The container that another process made. Raises ContainerError if there is none."""
        directory = StateDirectory(root, identifier)
        state = directory.load()
        return cls(directory, state)

    @property
    def status(self) -> str:
        """Where it is in its life. (OCI runtime.md, "State")"""
        if not self._is_alive():
            return STOPPED
        if freezer.is_frozen(self.state.cgroup_paths):
            return PAUSED
        return CREATED if self.directory.waits() else RUNNING

    def start(self) -> None:
        """Run the program of a container that was created. Raises ContainerError.

        If a startContainer hook fails, nothing is left of it.
        """
        from runtime.container import start_gate

        with OpenStreams(), Lock(self.directory):
            self._must_be("started", CREATED)
            if not self.directory.is_heard():  # by a runtime that was killed before it could say so
                self.directory.let_go()
                self._must_be("started", CREATED)
            spec = self.directory.demanding()
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
            from runtime.container import create as creation
            from runtime.process import namespace_hooks

            namespace_hooks.run_at_start(spec, self.state, creation.document(self.state, CREATED))

    def _run_poststart_hooks(self, spec: Spec | None) -> None:
        if not (spec and spec.hooks.poststart):
            return
        from runtime.container import create as creation
        from runtime.container import hooks

        try:
            hooks.run(spec.hooks.poststart, creation.document(self.state, RUNNING))
        except ContainerError:
            self.delete(force=True)
            raise

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Its exit code, 128 + n if signal n ended it; the same again once it is known.

        A process that did not make it is told once its parent knows. Raises TimeoutError, and
        ContainerError where the kernel tells the parent alone (before Linux 6.15), or it had ended
        before it was looked at.
        """
        if self._exit_code is None:
            runs = self.pidfd >= 0 and timeout_seconds is not None
            if runs and not ended_within(self.pidfd, timeout_seconds):
                raise TimeoutError(f"{self.identifier} still runs after {timeout_seconds} s.")
            try:
                self._exit_code = reap(self.pid)
            except ChildProcessError:
                self._exit_code = self._told_exit_code(timeout_seconds)
        return self._exit_code

    def _told_exit_code(self, timeout_seconds: float | None) -> int:
        try:
            return exit_code(self.pidfd, timeout_seconds)
        except TimeoutError:
            raise TimeoutError(f"Nobody has waited for {self.identifier} yet.") from None
        except (OSError, ValueError) as error:  # the kernel does not tell, or there is no pidfd
            raise ContainerError(
                f"What {self.identifier} ended with is known to its parent alone."
            ) from error

    def ended_with(self, code: int) -> None:
        """It has been waited for elsewhere."""
        self._exit_code = code

    def close(self) -> None:
        """Let go of its process; the container stays as it is."""
        if self._pidfd is not None and self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd = -1

    def kill(self, number: int = SIGKILL) -> None:
        """Send its first process a signal; nothing happens if that has ended.

        SIGKILL ends all its processes, paused ones too.
        """
        if number == SIGKILL and not is_pid_namespace_init(self.pid):
            self.kill_all()
        if self.pidfd >= 0:
            kill(self.pidfd, number)
        if number == SIGKILL and freezer.is_frozen(self.state.cgroup_paths):
            self.cgroup.thaw()  # version 1 delivers no signal before

    def kill_all(self, number: int = SIGKILL) -> None:
        """Send every process of it a signal; SIGKILL ends paused ones too."""
        if number == SIGKILL and self.state.cgroup_paths:
            self.cgroup.kill()
            return
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def processes(self) -> list[int]:
        """The pids in it, as seen from here: of its cgroup, else of its own pid namespace."""
        if self.state.cgroup_paths:
            return self.cgroup.processes()
        return pid_namespace_members(self.pid) if self._is_alive() else []

    def pause(self) -> None:
        """Stop all its processes. Raises ContainerError."""
        self._must_be("paused", RUNNING, CREATED)
        self.cgroup.freeze()

    def resume(self) -> None:
        """Let them go on. Raises ContainerError."""
        self._must_be("resumed", PAUSED)
        self.cgroup.thaw()

    def update(self, resources: Resources) -> None:
        """Change its limits. Raises ContainerError, and then all is as it was."""
        self._must_be("updated", RUNNING, CREATED, PAUSED)
        if not self.state.cgroup_paths:
            raise ContainerError(f"The container {self.identifier} has no cgroup to limit it by.")
        self.cgroup.update(resources)

    def delete(self, *, force: bool = False) -> None:
        """Remove its cgroup and all that is kept of it; with `force`, kill it first.

        Once is enough. Raises ContainerError if it runs.
        """
        if not self.directory.exists():
            return
        if self._is_alive():
            if not force:
                raise ContainerError(
                    f"The container {self.identifier} is {self.status}: stop it first, or delete it"
                    " with force."
                )
            pidfd = self.pidfd  # while there is a process for it to stand for
            self.cgroup.kill()
            self.kill()
            if pidfd >= 0:
                ended_within(pidfd, _KILL_SECONDS)
        self._reap()
        self.cgroup.remove()
        try:
            spec = self.directory.demanding()
        except ContainerError:
            spec = None
        self.directory.remove()
        if spec and spec.hooks.poststop:
            from runtime.container import create as creation
            from runtime.container import hooks

            hooks.run_poststop(spec.hooks, creation.document(self.state, STOPPED))
        self.close()  # the number may come to stand for another container's process

    def _reap(self) -> None:
        if self._exit_code is None:
            try:
                self._exit_code = reap(self.pid)
            except ChildProcessError:
                self._exit_code = 0  # it is another's child

    def _is_alive(self) -> bool:
        start = process_start(self.pid)
        return self._pidfd != -1 and start != 0 and start == self.state.process_start

    def _must_be(self, what: str, *wanted: str) -> None:
        if (status := self.status) not in wanted:
            raise ContainerError(
                f"The container {self.identifier} is {status}: it can't be {what}."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete(force=True)


def all_below(root: str = DEFAULT_ROOT, wanted: Sequence[str] | None = None) -> Iterator[Container]:
    """The containers below a root, or those of these names; one that has gone is left out."""
    for name in names(root) if wanted is None else wanted:
        try:
            container = Container.load(name, root)
        except ContainerError:
            continue
        yield container


def clean(root: str | PathLike[str]) -> list[str]:
    """Kill and remove every container below `root`; what was done, a line each.

    It is for what a killed process left: containers that another one still holds go as well.
    """
    done = []
    for name in names(os.fspath(root)):
        directory = StateDirectory(os.fspath(root), name)
        try:
            container = Container.load(name, os.fspath(root))
        except ContainerError:  # it was killed before it had written down what it made
            done += remove_half_made(directory)
            continue
        if container.status != STOPPED:
            done.append(f"killed process {container.pid} of container {name}")
        container.delete(force=True)
        done.append(f"removed container {name}")
    return done


def remove_half_made(directory: StateDirectory) -> list[str]:
    """Remove what a process made that was killed before it wrote down what; a line for each."""
    try:
        location = directory.configuration().linux.cgroups_path
    except ContainerError:
        location = ""
    cgroup = cgroups.at(location, directory.identifier)
    cgroup.kill()
    cgroup.remove()
    directory.remove()
    return [f"removed container {directory.identifier}, which was half made"]


def _open_process(state: State) -> int:
    """A pidfd of the first process; -1 if it has ended."""
    try:
        pidfd = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return -1
    if process_start(state.pid) == state.process_start:
        return pidfd
    os.close(pidfd)
    return -1
