"""A container as files, and a container of such files.

What is the host's is told beside criu's own files: the streams that its first process has, and its
cgroup. A container is restored with other streams, in a cgroup of the same path.
"""

from __future__ import annotations

import os
import time

from runtime import cgroups
from runtime.container.container import PAUSED, RUNNING, Container
from runtime.container.create import Request, state_of
from runtime.container.criu import with_root
from runtime.container.state import CONFIG, StateDirectory, check_writable, process_start
from runtime.errors import ContainerError
from runtime.launcher.descriptors import Descriptors, OpenStreams, check_handed_on
from runtime.launcher.rollback import Undo
from runtime.linux.pidfd import SIGKILL, kill
from runtime.spec.json_structs import Struct, decode, encode, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.container.criu import Criu
    from runtime.spec.config import Spec

# Binds of what is the host's, whatever its propagation, are found again by their paths there.
_MOUNTS = ("--external", "mnt[]:sm")
_BESIDE = "tonnage.json"
_ROOT = "criu-root"
_EXTERNAL = {"network": ("net", "extRootNetNS"), "pid": ("pid", "extRootPidNS")}
_END_SECONDS = 5.0


class Beside(Struct):
    """What is kept beside criu's files."""

    streams: tuple[str, ...]  # what criu knows stdin, stdout and stderr by; empty if inside
    cgroup_paths: dict[str, str] = {}  # noqa: RUF012 - a struct is frozen


def checkpoint(container: Container, criu: Criu, *, leaves: bool, only_memory: bool) -> None:
    """Write a container to files; unless it `leaves` it running, it is stopped then.

    `only_memory` is a first pass, which leaves it as it is. Raises ContainerError, and then it
    runs on.
    """
    if container.status not in {RUNNING, PAUSED}:
        raise ContainerError(
            f"The container {container.identifier} is {container.status}: only one that runs can be"
            " written."
        )
    spec = container.directory.configuration()
    _check(spec)
    os.makedirs(criu.images, mode=0o700, exist_ok=True)
    words = ["--tree", str(container.pid)]
    if only_memory:
        criu.call("pre-dump", [*words, "--track-mem"])
        return
    streams = tuple(_stream(container.pid, number) for number in range(3))
    _write(criu, Beside(streams=streams, cgroup_paths=container.cgroup.paths))
    words += [*_MOUNTS, *_external(spec, container.pid)]
    for key in sorted({key for key in streams if key.startswith("file[")}):
        words += ["--external", key]
    if freezer := container.cgroup.paths.get("freezer"):
        words += ["--freeze-cgroup", freezer]
    criu.call("dump", [*words, "--leave-running"] if leaves else words)
    if not leaves:
        _await_end(container)


def restore(request: Request, criu: Criu, root: str) -> Container:
    """Make a container of files; its program runs on. Raises ContainerError, and nothing is left.

    `root` holds a directory for each container. The process is a child of this one.
    """
    spec = request.spec
    _check(spec)
    beside = _read(criu)
    directory = StateDirectory(root, request.identifier)
    with OpenStreams(), Undo() as undo:
        check_handed_on(request.streams, 0)
        check_writable(bundle=request.bundle, root=request.root.path)
        directory.make()
        undo(directory.remove)
        directory.write(CONFIG, text_of(spec))
        cgroup = cgroups.create(
            spec.linux.cgroups_path, request.identifier, manager=request.cgroup_manager
        )
        undo(cgroup.remove)
        if cgroup.paths != beside.cgroup_paths:
            raise ContainerError(
                f"linux.cgroupsPath: the checkpoint's container was in {_place(beside)}, and this"
                f" one would be in {cgroup}."
            )
        cgroup.limit(spec.linux.resources)
        pid = _restored(request, criu, directory, beside)
        undo(_end, pid)
        state = state_of(request, pid, cgroup)
        directory.save(state)
    return Container(directory, state)


def _restored(request: Request, criu: Criu, directory: StateDirectory, beside: Beside) -> int:
    """The pid of the first process, in whose root nothing else is mounted on the host."""
    at, pid_file = directory.file(_ROOT), directory.file("criu.pid")
    os.mkdir(at)
    words = [
        "--root", at, "--restore-detached", "--restore-sibling", "--pidfile", pid_file, *_MOUNTS,
    ]  # fmt: skip
    with Descriptors() as held:
        given = []
        for descriptor, key in (*_streams(beside, request, held), *_entered(request.spec, held)):
            words += ["--inherit-fd", f"fd[{descriptor}]:{key}"]
            given.append(descriptor)
        criu.call("restore", words, given, with_root(request.root.path, at))
    os.rmdir(at)
    with open(pid_file, encoding="ascii") as file:
        return int(file.read())


def _check(spec: Spec) -> None:
    """Refuse what can't be restored. Raises ContainerError that names the field."""
    if spec.process and spec.process.terminal:
        raise ContainerError(
            "process.terminal: a container with a terminal can't be restored, since criu's command"
            " line hands no terminal on."
        )
    if not any(each.type == "mount" for each in spec.linux.namespaces):
        raise ContainerError(
            "linux.namespaces: a container without a mount namespace can't be restored."
        )
    for each in spec.linux.namespaces:
        if each.path and each.type not in _EXTERNAL:
            raise ContainerError(
                f"linux.namespaces: a container in another's {each.type} namespace can't be"
                " restored."
            )


def _external(spec: Spec, pid: int) -> Iterator[str]:
    """Namespaces by path are not the container's to be written."""
    for each in spec.linux.namespaces:
        if each.path:
            kind, key = _EXTERNAL[each.type]
            inode = os.stat(f"/proc/{pid}/ns/{kind}").st_ino
            yield "--external"
            yield f"{kind}[{inode}]:{key}"


def _entered(spec: Spec, held: Descriptors) -> Iterator[tuple[int, str]]:
    for each in spec.linux.namespaces:
        if each.path:
            yield held.hold(os.open(each.path, os.O_RDONLY | os.O_CLOEXEC)), _EXTERNAL[each.type][1]


def _stream(pid: int, number: int) -> str:
    """What criu knows a descriptor by that is the host's; empty for one that is not."""
    target = os.readlink(f"/proc/{pid}/fd/{number}")
    if target.startswith("pipe:["):
        return target
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
        mount = next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as table:
        if any(line.split()[0] == str(mount) for line in table) or target.startswith("socket:"):
            return ""
    return f"file[{mount:x}:{os.stat(f'/proc/{pid}/fd/{number}').st_ino:x}]"


def _streams(beside: Beside, request: Request, held: Descriptors) -> Iterator[tuple[int, str]]:
    """Ours for each that is to be handed on; one that several had is opened to read and write."""
    for number, key in enumerate(beside.streams):
        if key and key not in beside.streams[:number]:
            own = request.streams[number]
            descriptor = os.dup(own)
            if beside.streams.count(key) > 1:
                try:
                    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
                    descriptor = os.open(f"/proc/self/fd/{held.hold(descriptor)}", flags)
                except OSError:
                    descriptor = os.dup(own)
            yield held.hold(descriptor), key


def _await_end(container: Container) -> None:
    """criu has killed its processes, which take a moment to be gone."""
    deadline = time.monotonic() + _END_SECONDS
    while process_start(container.pid) == container.state.process_start:
        if time.monotonic() > deadline:
            raise ContainerError(f"Process {container.pid} has been written and does not end.")
        time.sleep(0.005)


def _end(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    kill(pidfd, SIGKILL)
    os.waitpid(pid, 0)
    os.close(pidfd)


def _write(criu: Criu, beside: Beside) -> None:
    with open(os.path.join(criu.images, _BESIDE), "w", encoding="utf-8") as file:
        file.write(encode(beside))


def _read(criu: Criu) -> Beside:
    path = os.path.join(criu.images, _BESIDE)
    try:
        with open(path, "rb") as file:
            return decode(Beside, file.read(), path)
    except OSError as error:
        raise ContainerError(
            f"{path}, a part of a checkpoint, can't be read: {error.strerror}."
        ) from error


def _place(beside: Beside) -> str:
    return next(iter(beside.cgroup_paths.values()), "of no name")
