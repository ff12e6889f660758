"""RUN: run a container on top of the layers so far.

(docker, "Dockerfile reference", "RUN")
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from runtime.build.cancellation import Cancellation
from runtime.build.dockerfile import Heredoc, Instruction
from runtime.build.progress import StepProgress
from runtime.build.settings import DEFAULT_SHELL, Settings
from runtime.errors import ContainerError, InvalidConfig
from runtime.images import lookup
from runtime.linux import capabilities
from runtime.linux.users import in_user_namespace
from runtime.spec import docker_profile
from runtime.spec.config import Capabilities, Mount, Rlimit
from runtime.spec.defaults import DEFAULT_ENVIRONMENT, default_spec

if TYPE_CHECKING:
    from runtime.build.options import Options
    from runtime.spec.config import Spec

_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")
_OPTIONS = ("mount", "network", "security")
_SHARED_MEMORY = "/dev/shm"
_HOSTS = "/etc/hosts"
# A start uses what the last start in this process has left. (runtime/launcher)
_STARTING = Lock()


@dataclass(frozen=True, slots=True)
class Program:
    """The program of a RUN instruction, with its environment."""

    command: list[str]
    environment: Mapping[str, str]
    user: str
    directory: str
    network: str
    is_insecure: bool
    heredocs: tuple[Heredoc, ...]


def command(instruction: Instruction, settings: Settings) -> tuple[str, list[str]]:
    """Return the history line and the argument vector of a RUN. Raise InvalidConfig."""
    if not instruction.words or not instruction.words[0]:
        raise InvalidConfig("RUN needs a command")
    if instruction.json:
        words = list(instruction.words)
        return f"RUN {' '.join(words)}", words
    text = _with_heredocs(instruction)
    shell = settings.shell or list(DEFAULT_SHELL)
    return f"RUN {' '.join((*shell, instruction.words[0]))}", [*shell, text]


def network(instruction: Instruction, default: str) -> str:
    """Return the value of --network. Raise InvalidConfig."""
    name = _option(instruction, "network", default)
    if name not in _NETWORKS:
        raise InvalidConfig(f"--network={name} is none of {', '.join(_NETWORKS)}")
    return name


def is_insecure(instruction: Instruction, options: Options) -> bool:
    """Return True for --security=insecure. Raise InvalidConfig if the build does not allow it."""
    name = _option(instruction, "security", _SECURITY[0])
    if name not in _SECURITY:
        raise InvalidConfig(f"--security={name} is none of {', '.join(_SECURITY)}")
    if name == "insecure" and not options.allows_insecure:
        raise InvalidConfig("--security=insecure needs --allow security.insecure")
    return name == "insecure"


@contextmanager
def container(
    root: Path,
    name: str,
    layers: Sequence[Path],
    program: Program,
    mounts: Sequence[Mount],
    options: Options,
    progress: StepProgress,
    cancellation: Cancellation,
) -> Iterator[Path]:
    """Run the program in a container below `root`, and yield its writable layer.

    Raise ContainerError if it fails, Cancelled.
    """
    from runtime.container.container import Container

    hosts = root / f"{name}.hosts"
    spec = _spec(program, layers, mounts, options, hosts)
    missing = _missing(layers, [each.destination for each in spec.mounts])
    reader, writer = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, reader)
        stack.callback(hosts.unlink, missing_ok=True)
        try:
            with open(os.devnull, "rb") as nothing, _STARTING:
                running = stack.enter_context(
                    Container.run(
                        name, spec, layers, root=root,
                        stdin=nothing.fileno(), stdout=writer, stderr=writer,
                    )
                )  # fmt: skip
        finally:
            os.close(writer)
        with cancellation.stopping(running.kill):
            progress.relay(reader)
            code = running.wait()
        cancellation.check()
        if code != 0:
            shown = " ".join(program.command)
            raise ContainerError(f"The command {shown!r} ended with the exit code {code}.")
        upper = Path(running.upper)
        _remove_mount_points(upper, missing)
        yield upper


def _spec(
    program: Program,
    layers: Sequence[Path],
    mounts: Sequence[Mount],
    options: Options,
    hosts: Path,
) -> Spec:
    environment = dict(each.split("=", 1) for each in DEFAULT_ENVIRONMENT)
    environment.update(program.environment)
    user = lookup.user(layers, program.user)
    environment.setdefault("HOME", user.home)
    spec = default_spec(program.command, [f"{key}={value}" for key, value in environment.items()])
    process = spec.process
    assert process is not None
    process = process.replace(
        cwd=program.directory,
        no_new_privileges=False,  # docker allows su and sudo in a build
        user=process.user.replace(uid=user.uid, gid=user.gid, additional_gids=user.groups),
        rlimits=tuple(
            Rlimit(type=f"RLIMIT_{kind.upper()}", soft=soft, hard=hard)
            for kind, soft, hard in options.limits
        ),
    )
    linux = spec.linux
    # As docker: packages create device files while they are installed.
    names: tuple[str, ...] = (*docker_profile.CAPABILITIES, "CAP_MKNOD")
    if program.is_insecure:
        permitted = capabilities.own_permitted()
        names = tuple(
            name for name, number in capabilities.NUMBERS.items() if permitted >> number & 1
        )
        linux = linux.replace(seccomp=None, masked_paths=(), readonly_paths=())
    process = process.replace(
        capabilities=Capabilities(bounding=names, effective=names, permitted=names)
    )
    files: tuple[Mount, ...] = ()
    if program.network != "none":
        # There is no bridge yet, so a build uses the network of the host.
        kept = tuple(each for each in linux.namespaces if each.type != "network")
        linux = linux.replace(namespaces=kept)
        files = _network_files(options, hosts)
    own = tuple(_resized(each, options.shared_memory_bytes) for each in spec.mounts)
    if program.network != "none" and in_user_namespace():
        own = tuple(_bound_from_host(each) for each in own)
    return spec.replace(process=process, linux=linux, mounts=(*own, *files, *mounts))


def _network_files(options: Options, hosts: Path) -> tuple[Mount, ...]:
    """Return the mounts of the host's names, with those of --add-host."""
    sources = {"/etc/resolv.conf": "/etc/resolv.conf", _HOSTS: _HOSTS}
    if options.hosts:
        lines = [f"{address}\t{name}\n" for name, address in options.hosts]
        before = Path(_HOSTS).read_text("utf-8") if os.path.exists(_HOSTS) else ""
        hosts.write_text(before + "".join(lines), "utf-8")
        hosts.chmod(0o644)
        sources[_HOSTS] = str(hosts)
    return tuple(
        Mount(destination=name, type="bind", source=path, options=("rbind", "ro"))
        for name, path in sources.items()
        if os.path.exists(path)
    )


def _resized(mount: Mount, shared_memory_bytes: int | None) -> Mount:
    if mount.destination != _SHARED_MEMORY or shared_memory_bytes is None:
        return mount
    kept = tuple(each for each in mount.options if not each.startswith("size="))
    return mount.replace(options=(*kept, f"size={shared_memory_bytes}"))


def _bound_from_host(mount: Mount) -> Mount:
    """Return a bind of the host's /sys: a user namespace may mount that of its own network only."""
    if mount.type != "sysfs":
        return mount
    options = ("rbind", "ro", "nosuid", "noexec", "nodev")
    return mount.replace(type="bind", source=mount.destination, options=options)


def _option(instruction: Instruction, name: str, default: str) -> str:
    """Return the last value of a flag. Raise InvalidConfig for an unknown flag."""
    value = default
    for flag in instruction.flags:
        found, _, text = flag.removeprefix("--").partition("=")
        if found not in _OPTIONS:
            raise InvalidConfig(f"RUN has no option --{found}")
        if found == name:
            value = text
    return value


def _with_heredocs(instruction: Instruction) -> str:
    """Return the shell text of a RUN with its here-documents.

    The document of `RUN <<EOF` is the script itself. If it begins with `#!` it is run as a program.
    """
    text = instruction.words[0]
    if len(instruction.heredocs) == 1 and text.strip().lstrip("0123456789").startswith("<<"):
        document = instruction.heredocs[0]
        name = text.strip().lstrip("0123456789").lstrip("<-").strip("\"'")
        if name == document.name:
            if not document.content.startswith("#!"):
                return document.content
            script = document.content.replace("'", "'\\''")
            run = "chmod +x $s && $s; c=$?; rm -f $s; exit $c"
            return f"s=$(mktemp) && printf %s '{script}' >$s && {run}"
    for each in instruction.heredocs:
        text += f"\n{each.content}{each.name}"
    return text


def _missing(layers: Sequence[Path], destinations: Sequence[str]) -> list[str]:
    """Return the mount points that the image lacks, and those of their parents that it lacks."""
    paths = set()
    for each in destinations:
        parts = [part for part in each.split("/") if part]
        paths |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return [each for each in paths if lookup.find(layers, each) is None]


def _remove_mount_points(upper: Path, missing: Sequence[str]) -> None:
    """Remove the empty mount points that the runtime created in the layer, the deepest first."""
    for each in sorted(missing, reverse=True):
        path = upper / each
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.is_file() and path.stat().st_size == 0:
                path.unlink()
        except OSError:
            continue
