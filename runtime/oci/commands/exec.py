"""`exec`: run another process in a container."""

from __future__ import annotations

from runtime.container import exec as container_exec
from runtime.container.container import PAUSED, STOPPED, Container
from runtime.errors import InvalidConfig, InvalidState
from runtime.launcher.rollback import Rollback
from runtime.oci.arguments import SWITCH, VALUE, VALUES, parse
from runtime.oci.commands.bundle_command import (
    kept_descriptors,
    pidfd_receiver,
    send_pidfd,
    terminal_receiver,
)
from runtime.oci.foreground import Foreground
from runtime.oci.pid_file import PidFile
from runtime.spec.config import Capabilities, Process, User
from runtime.spec.json_structs import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

_OPTIONS = {
    "--console-socket": VALUE,
    "--pidfd-socket": VALUE,
    "--cwd": VALUE,
    "--env": VALUES,
    "--tty": SWITCH,
    "--user": VALUE,
    "--additional-gids": VALUES,
    "--process": VALUE,
    "--detach": SWITCH,
    "--pid-file": VALUE,
    "--process-label": VALUE,
    "--apparmor": VALUE,
    "--no-new-privs": SWITCH,
    "--cap": VALUES,
    "--preserve-fds": VALUE,
    "--cgroup": VALUES,
    "--ignore-paused": SWITCH,
    "--no-subreaper": SWITCH,
}
_SHORT = {
    "-e": "--env",
    "-t": "--tty",
    "-u": "--user",
    "-g": "--additional-gids",
    "-p": "--process",
    "-d": "--detach",
    "-c": "--cap",
}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Run the process; return its exit code, or 0 if it is detached."""
    options = parse(words, _OPTIONS, _SHORT, mixed=False)
    if not options.words:
        raise InvalidConfig("Name a container.")
    name, *args = options.words
    descriptors = kept_descriptors(options)  # before any other descriptor is opened
    container = Container.load(name, settings.root)
    status = container.status
    if status == STOPPED or (status == PAUSED and not options.has("--ignore-paused")):
        raise InvalidState(f"The container {name} is {status}: no process can be started in it.")
    spec = container.directory.configuration()
    process = _process(options, args, spec.process)
    detached = options.has("--detach")
    receiver = terminal_receiver(options, process.terminal, detached=detached)
    request = container_exec.ExecRequest(
        spec=spec,
        state=container.state,
        process=process,
        console=receiver.fileno() if receiver else None,
        kept_descriptors=descriptors,
        sub_cgroups=tuple(options.values("--cgroup")),
        warn=settings.warn,
    )
    pidfd_socket = pidfd_receiver(options)
    if detached:
        _run(request, options, pidfd_socket)
        return 0
    with Foreground(terminal=process.terminal and receiver is None) as foreground:
        if not receiver:
            request = request.replace(console=foreground.receiver())
        child = _run(request, options, pidfd_socket)
        with Rollback() as undo:
            undo(child.end)
            return foreground.accompany(child.pid, child.pidfd)


def _run(
    request: container_exec.ExecRequest, options: Options, pidfd_socket: socket | None
) -> container_exec.ExecProcess:
    with PidFile(options.value("--pid-file")) as pid_file, Rollback() as undo:
        child = container_exec.run(request)
        undo(child.end)
        pid_file.write(child.pid)
        send_pidfd(pidfd_socket, child.pidfd)
    return child


def _process(options: Options, args: Sequence[str], first: Process | None) -> Process:
    """Return the process: from --process, or the container's own with the given changes."""
    if path := options.value("--process"):
        try:
            with open(path, "rb") as file:
                return decode(Process, file.read(), path)
        except OSError as error:
            raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error
    if not args:
        raise InvalidConfig("Name the program to run, or pass --process.")
    base = first or Process(cwd="/")
    changes: dict[str, object] = {
        "args": tuple(args),
        "terminal": options.has("--tty"),
        "env": (*base.env, *options.values("--env")),
    }
    if cwd := options.value("--cwd"):
        changes["cwd"] = cwd
    if options.value("--user") or options.values("--additional-gids"):
        changes["user"] = _user(options, base.user)
    if names := options.values("--cap"):
        changes["capabilities"] = _more(base.capabilities or Capabilities(), names)
    if options.has("--no-new-privs"):
        changes["no_new_privileges"] = True
    if label := options.value("--process-label"):
        changes["selinux_label"] = label
    if profile := options.value("--apparmor"):
        changes["apparmor_profile"] = profile
    return base.replace(**changes)


def _user(options: Options, base: User) -> User:
    uid, colon, gid = options.value("--user", str(base.uid)).partition(":")
    groups = [gid for words in options.values("--additional-gids") for gid in words.split(",")]
    numbers = (uid, gid if colon else str(base.gid), *groups)
    if not all(number.isdecimal() and int(number) < 1 << 32 for number in numbers):
        raise InvalidConfig(
            "--user must be UID[:GID], and --additional-gids GID[,GID…], all of them numbers."
        )
    return base.replace(
        uid=int(numbers[0]),
        gid=int(numbers[1]),
        additional_gids=(*base.additional_gids, *map(int, groups)),
    )


def _more(sets: Capabilities, names: Sequence[str]) -> Capabilities:
    return Capabilities(
        bounding=(*sets.bounding, *names),
        effective=(*sets.effective, *names),
        permitted=(*sets.permitted, *names),
        inheritable=sets.inheritable,
        ambient=sets.ambient,
    )
