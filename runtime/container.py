"""One container's life: run, wait, kill, delete.

`run` is one pass. What can be prepared is prepared before the clone; what the child must do itself
is a list of calls (runtime.init); what was made is undone if any of it fails. No process of ours
stays with a container: the payload's parent is whoever called `run`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runtime import cgroups, init, rootfs
from runtime.errors import ContainerError
from runtime.init import Step
from runtime.linux import capabilities, clone, process
from runtime.validation import check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec import Process, Spec

DEFAULT_ROOT = Path("/run/tonnage")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_+.-]+")
_CGROUP = "tonnage-{}"
_KILL_SECONDS = 10.0


class Container:
    """A container that was started; a context manager that ends and removes it.

    `pid` is its first process on the host, `pidfd` a descriptor of it, `upper` the directory that
    its writes go to, `cgroup` what limits it.
    """

    def __init__(
        self, identifier: str, directory: Path, cgroup: cgroups.Cgroup, pid: int, pidfd: int
    ) -> None:
        self.identifier = identifier
        self.cgroup = cgroup
        self.pid = pid
        self.pidfd = pidfd
        self.upper = directory / "upper"
        self._directory = directory
        self._exit_code: int | None = None

    @classmethod
    def run(
        cls,
        identifier: str,
        spec: Spec,
        layers: Sequence[Path],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        root: Path = DEFAULT_ROOT,
    ) -> Self:
        """Start a container over read-only layers, topmost first.

        `stdin`, `stdout`, `stderr` are descriptors, by default this process's own. `root` holds a
        directory for each container. Returns once the program was execed. Raises ContainerError,
        and then nothing is left.
        """
        if not _IDENTIFIER.fullmatch(identifier) or identifier in {".", ".."}:
            raise ContainerError(
                f"{identifier!r} is no container id: letters, digits and _ + . - are."
            )
        process = check(spec)
        rootfs.check_layers(layers)
        streams = (
            0 if stdin is None else stdin,
            1 if stdout is None else stdout,
            2 if stderr is None else stderr,
        )
        with contextlib.ExitStack() as undo:
            directory = _make_directory(root, identifier, undo)
            cgroup = cgroups.create("", identifier)
            undo.callback(cgroup.remove)
            with contextlib.closing(cgroup):
                cgroup.limit(spec.linux.resources)
                steps = list(
                    _steps(spec, process, layers, directory, streams, cgroup.join_descriptors())
                )
                pid, pidfd = _start(spec, steps, cgroup.clone_descriptor(), undo)
            (directory / "pid").write_text(f"{pid}\n")
            undo.pop_all()
        return cls(identifier, directory, cgroup, pid, pidfd)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Its exit code, 128 + n if signal n ended it; the same again once it is known.

        Raises TimeoutError.
        """
        if self._exit_code is None:
            if timeout_seconds is not None and not _ends_within(self.pidfd, timeout_seconds):
                raise TimeoutError(f"{self.identifier} still runs after {timeout_seconds} s.")
            self._exit_code = _reap(self.pid)
        return self._exit_code

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Send its first process a signal; nothing happens if that has ended."""
        if self.pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal_number)

    def delete(self, *, force: bool = False) -> None:
        """Remove its cgroup and its layer; with `force`, kill it first. Once is enough.

        Raises ContainerError if it runs.
        """
        if self.pidfd < 0:
            return
        if force:
            self.kill()
            self.wait(_KILL_SECONDS)
        elif self._exit_code is None and not _ends_within(self.pidfd, 0):
            raise ContainerError(f"{self.identifier} runs: stop it first, or delete it with force.")
        self.wait()
        self.cgroup.remove()
        shutil.rmtree(self._directory)
        os.close(self.pidfd)
        self.pidfd = -1  # the number may come to stand for another container's process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete(force=True)


def clean(root: Path) -> list[str]:
    """Kill and remove every container below `root`; what was done, a line each.

    It is for what a killed process left: containers that another one still holds go as well.
    """
    done = []
    for directory in sorted(root.iterdir()) if root.is_dir() else []:
        left = [Path(path) for path in cgroups.leftovers(_CGROUP.format(directory.name))]
        pids = {int(pid) for path in left for pid in (path / "cgroup.procs").read_text().split()}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                with contextlib.closing(os.fdopen(pidfd, "rb", closefd=True)):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    _ends_within(pidfd, _KILL_SECONDS)
                    done.append(f"killed process {pid} of container {directory.name}")
        for path in left:
            _remove_cgroup(path)
            done.append(f"removed cgroup {path}")
        shutil.rmtree(directory, ignore_errors=True)
        done.append(f"removed container {directory.name}")
    return done


def _make_directory(root: Path, identifier: str, undo: contextlib.ExitStack) -> Path:
    directory = root / identifier
    try:
        root.mkdir(mode=0o711, exist_ok=True)
        directory.mkdir(mode=0o711)
        undo.callback(shutil.rmtree, directory)
        for name in ("upper", "work", "root"):
            (directory / name).mkdir()
    except FileExistsError as error:
        raise ContainerError(f"There is a container {identifier} already.") from error
    except OSError as error:
        raise ContainerError(f"Can't make {directory}: {error.strerror}.") from error
    return directory


def _start(
    spec: Spec, steps: list[Step], cgroup_fd: int | None, undo: contextlib.ExitStack
) -> tuple[int, int]:
    """Clone, and wait until the child has execed: its pid and pidfd. Raises ContainerError."""
    flags = sum(
        clone.FLAGS[namespace.type]
        for namespace in spec.linux.namespaces
        if namespace.type != "cgroup"  # unshared once the child is in its cgroup
    )
    report, child_end = _pipe_above_streams()
    with contextlib.ExitStack() as ends:
        ends.callback(os.close, report)
        try:
            pid, pidfd = clone.clone(flags, cgroup_fd)
        except OSError as error:
            os.close(child_end)
            raise ContainerError(f"Can't make the namespaces: {error.strerror}.") from error
        if pid == 0:
            init.become(steps, child_end)
        os.close(child_end)
        undo.callback(os.close, pidfd)
        undo.callback(_kill_and_reap, pid, pidfd)
        failed = init.failure(report, steps)
    if failed:
        what, code = failed
        raise ContainerError(f"Can't {what}: {os.strerror(code)}.")
    return pid, pidfd


def _steps(
    spec: Spec,
    wanted: Process,
    layers: Sequence[Path],
    directory: Path,
    streams: tuple[int, int, int],
    join_descriptors: list[int],
) -> Iterator[Step]:
    """Everything the child does, in its order."""
    types = {namespace.type for namespace in spec.linux.namespaces}
    for descriptor in join_descriptors:
        yield Step("join the cgroup", os.write, (descriptor, b"0"))
    if "cgroup" in types:
        yield Step("make the cgroup namespace", clone.unshare, (clone.NEWCGROUP,))
    yield from rootfs.steps(spec, layers, directory)
    if "uts" in types and spec.hostname:
        yield Step("set the host name", process.set_hostname, (spec.hostname.encode(),))
    if "network" in types:
        yield Step("bring the loopback interface up", process.bring_loopback_up)
    yield Step("place stdin, stdout and stderr", process.place, (streams,))
    yield Step("close what is inherited", process.close_on_exec_from, (3,))
    yield from _identity(wanted)
    yield Step(f"enter {wanted.cwd}", os.chdir, (wanted.cwd,))
    # The interpreter ignores these; a program expects them as they come.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        yield Step("reset signals", signal.signal, (ignored, signal.SIG_DFL))
    environment = dict(word.partition("=")[::2] for word in wanted.env)
    yield Step(f"run {wanted.args[0]}", os.execvpe, (
        wanted.args[0], wanted.args, environment,
    ))  # fmt: skip


def _identity(process: Process) -> Iterator[Step]:
    """User and privileges, of which none may be needed by what comes after."""
    user, wanted = process.user, process.capabilities
    last = capabilities.last_known()
    if wanted:
        bounding = capabilities.mask(wanted.bounding)
        yield Step("bound the capabilities", capabilities.set_bounding, (bounding, last))
        yield Step("keep the capabilities", capabilities.keep_across_setuid)
    yield Step("set the groups", os.setgroups, (user.additional_gids,))
    yield Step("set the group", os.setresgid, (user.gid, user.gid, user.gid))
    yield Step("set the user", os.setresuid, (user.uid, user.uid, user.uid))
    yield Step("set the umask", os.umask, (0o022 if user.umask is None else user.umask,))
    if wanted:
        sets = capabilities.ThreadSets(
            capabilities.mask(wanted.effective),
            capabilities.mask(wanted.permitted),
            capabilities.mask(wanted.inheritable),
        )
        yield Step("set the capabilities", sets)
        ambient = capabilities.mask(wanted.ambient)
        yield Step("set the ambient capabilities", capabilities.set_ambient, (ambient, last))
    if process.no_new_privileges:
        yield Step("forbid new privileges", capabilities.forbid_new_privileges)


def _pipe_above_streams() -> tuple[int, int]:
    """A pipe none of whose ends is 0, 1 or 2, where the container's streams will be put."""
    low = os.pipe2(os.O_CLOEXEC)
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in low)
    for end in low:
        os.close(end)
    return reading, writing


def _ends_within(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _kill_and_reap(pid: int, pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    _reap(pid)


def _reap(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _remove_cgroup(path: Path) -> None:
    deadline = time.monotonic() + _KILL_SECONDS
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
