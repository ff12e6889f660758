"""Checkpoint a running container to files, and restore a container from them, by criu.

What belongs to the host is recorded beside criu's own files: the streams of the first process, and
its cgroup. A container is restored with other streams, in a cgroup of the same path.
"""

from __future__ import annotations

import os
import time

from runtime import cgroups
from runtime.container.container import PAUSED, RUNNING, Container
from runtime.container.create import new_state
from runtime.container.criu import with_root
from runtime.container.removal import remove_directory
from runtime.container.state import CONFIG, StateDirectory, check_writable, process_start
from runtime.errors import ContainerError, InvalidConfig, InvalidState
from runtime.launcher.descriptors import Descriptors, OpenStreams, check_handed_on
from runtime.launcher.rollback import Rollback
from runtime.linux.pidfd import SIGKILL, kill
from runtime.spec.json_structs import Struct, decode, encode, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.container.criu import Criu
    from runtime.process.plan import StartRequest
    from runtime.spec.config import Spec

# Bind mounts of the host's files, whatever their propagation, are found again by their paths.
_MOUNTS = ("--external", "mnt[]:sm")
_RECORD = "tonnage.json"
_ROOT = "criu-root"
_EXTERNAL = {"network": ("net", "extRootNetNS"), "pid": ("pid", "extRootPidNS")}
_END_SECONDS = 5.0


class HostRecord(Struct):
    """The host's part of a checkpoint.

    `streams` are criu's keys of stdin, stdout and stderr; empty for a file of the container.
    """

    streams: tuple[str, ...]
    cgroup_paths: dict[str, str] = {}  # noqa: RUF012 - a struct is frozen


def checkpoint(container: Container, criu: Criu, *, leave_running: bool, only_memory: bool) -> None:
    """Write a container to files, and end it unless `leave_running` is set.

    `only_memory` is a first pass, which the container survives. Raise InvalidState or
    ContainerError; then the container runs on.
    """
    if container.status not in {RUNNING, PAUSED}:
        raise InvalidState(
            f"The container {container.identifier} is {container.status}: only a running or paused"
            " container can be checkpointed."
        )
    spec = container.directory.configuration()
    _check(spec)
    os.makedirs(criu.images, mode=0o700, exist_ok=True)
    words = ["--tree", str(container.pid)]
    if only_memory:
        criu.call("pre-dump", [*words, "--track-mem"])
        return
    streams = tuple(_stream(container.pid, number) for number in range(3))
    _write(criu, HostRecord(streams=streams, cgroup_paths=container.cgroup.paths))
    words += [*_MOUNTS, *_external(spec, container.pid)]
    for key in sorted({key for key in streams if key.startswith("file[")}):
        words += ["--external", key]
    if freezer := container.cgroup.paths.get("freezer"):
        words += ["--freeze-cgroup", freezer]
    criu.call("dump", [*words, "--leave-running"] if leave_running else words)
    if not leave_running:
        _await_end(container)


def restore(request: StartRequest, criu: Criu, root: str) -> Container:
    """Restore a container from files; its first process is a child of this process.

    `root` holds a directory for each container. Raise ContainerError; then nothing is left.
    """
    spec = request.spec
    _check(spec)
    record = _read(criu)
    directory = StateDirectory(root, request.identifier)
    with OpenStreams(), Rollback() as undo:
        check_handed_on(request.streams, 0)
        check_writable(bundle=request.bundle, root=request.root.path)
        directory.make()
        undo(remove_directory, directory)
        directory.write(CONFIG, text_of(spec))
        cgroup = cgroups.create(
            spec.linux.cgroups_path, request.identifier, manager=request.cgroup_manager
        )
        undo(cgroup.remove)
        if cgroup.paths != record.cgroup_paths:
            raise InvalidConfig(
                f"linux.cgroupsPath: the container was checkpointed in the cgroup {_place(record)},"
                f" and would be restored in {cgroup}: name the former cgroup."
            )
        cgroup.limit(spec.linux.resources)
        pid = _restored(request, criu, directory, record)
        undo(_end, pid)
        state = new_state(request, pid, cgroup)
        directory.save(state)
    return Container(directory, state)


def _restored(
    request: StartRequest, criu: Criu, directory: StateDirectory, record: HostRecord
) -> int:
    """Restore the processes by criu, which sees the root mounted; return the first PID."""
    at, pid_file = directory.file(_ROOT), directory.file("criu.pid")
    os.mkdir(at)
    words = [
        "--root", at, "--restore-detached", "--restore-sibling", "--pidfile", pid_file, *_MOUNTS,
    ]  # fmt: skip
    with Descriptors() as opened:
        inherited = []
        streams = _streams(record, request, opened)
        for descriptor, key in (*streams, *_entered(request.spec, opened)):
            words += ["--inherit-fd", f"fd[{descriptor}]:{key}"]
            inherited.append(descriptor)
        criu.call("restore", words, inherited, with_root(request.root.path, at))
    os.rmdir(at)
    with open(pid_file, encoding="utf-8") as file:
        return int(file.read())


def _check(spec: Spec) -> None:
    """Check that a container can be restored. Raise InvalidConfig."""
    if spec.process and spec.process.terminal:
        raise InvalidConfig(
            "process.terminal: a container with a terminal can't be restored, because criu's"
            " command line passes no terminal on: set it to false."
        )
    if not any(each.type == "mount" for each in spec.linux.namespaces):
        raise InvalidConfig(
            "linux.namespaces: a container without a mount namespace can't be restored: add one."
        )
    for each in spec.linux.namespaces:
        if each.path and each.type not in _EXTERNAL:
            raise InvalidConfig(
                f"linux.namespaces: a container that joins a {each.type} namespace by its path"
                " can't be restored: leave the path out."
            )


def _external(spec: Spec, pid: int) -> Iterator[str]:
    """Yield criu's options for namespaces by path, which it does not write."""
    for each in spec.linux.namespaces:
        if each.path:
            kind, key = _EXTERNAL[each.type]
            inode = os.stat(f"/proc/{pid}/ns/{kind}").st_ino
            yield "--external"
            yield f"{kind}[{inode}]:{key}"


def _entered(spec: Spec, opened: Descriptors) -> Iterator[tuple[int, str]]:
    """Yield a descriptor and criu's key of each namespace by path."""
    for each in spec.linux.namespaces:
        if each.path:
            yield (
                opened.hold(os.open(each.path, os.O_RDONLY | os.O_CLOEXEC)),
                _EXTERNAL[each.type][1],
            )


def _stream(pid: int, number: int) -> str:
    """Return criu's key of a stream, or an empty string for a file of the container."""
    target = os.readlink(f"/proc/{pid}/fd/{number}")
    if target.startswith("pipe:["):
        return target
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="utf-8") as file:
        mount = next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as table:
        if any(line.split()[0] == str(mount) for line in table) or target.startswith("socket:"):
            return ""
    return f"file[{mount:x}:{os.stat(f'/proc/{pid}/fd/{number}').st_ino:x}]"


def _streams(
    record: HostRecord, request: StartRequest, opened: Descriptors
) -> Iterator[tuple[int, str]]:
    """Yield a descriptor and criu's key for each stream of the host.

    A file that was several streams is opened to read and to write.
    """
    for number, key in enumerate(record.streams):
        if key and key not in record.streams[:number]:
            own = request.streams[number]
            descriptor = os.dup(own)
            if record.streams.count(key) > 1:
                try:
                    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
                    descriptor = os.open(f"/proc/self/fd/{opened.hold(descriptor)}", flags)
                except OSError:
                    descriptor = os.dup(own)
            yield opened.hold(descriptor), key


def _await_end(container: Container) -> None:
    """Wait until the processes that criu has killed are gone."""
    deadline = time.monotonic() + _END_SECONDS
    while process_start(container.pid) == container.state.process_start:
        if time.monotonic() > deadline:
            raise ContainerError(
                f"Process {container.pid} was checkpointed and has not ended within"
                f" {_END_SECONDS:.0f} s: delete the container with force."
            )
        time.sleep(0.005)


def _end(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    kill(pidfd, SIGKILL)
    os.waitpid(pid, 0)
    os.close(pidfd)


def _write(criu: Criu, record: HostRecord) -> None:
    with open(os.path.join(criu.images, _RECORD), "w", encoding="utf-8") as file:
        file.write(encode(record))


def _read(criu: Criu) -> HostRecord:
    path = os.path.join(criu.images, _RECORD)
    try:
        with open(path, "rb") as file:
            return decode(HostRecord, file.read(), path)
    except OSError as error:
        raise ContainerError(
            f"Can't read {path}, a part of the checkpoint: {error.strerror}. Name the directory"
            " that a checkpoint was written to."
        ) from error


def _place(record: HostRecord) -> str:
    return next(iter(record.cgroup_paths.values()), "without a name")
