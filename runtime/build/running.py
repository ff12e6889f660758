"""RUN: run a container on top of the layers so far, with mounts for this instruction.

(docker, "Dockerfile reference", "RUN", "RUN --mount")
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.build.dockerfile import Heredoc, Instruction
from runtime.build.settings import DEFAULT_SHELL, Settings
from runtime.container.container import Container
from runtime.errors import ContainerError, InvalidConfig
from runtime.images import lookup
from runtime.spec.config import Mount
from runtime.spec.defaults import DEFAULT_ENVIRONMENT, default_spec

if TYPE_CHECKING:
    from runtime.build.options import Options
    from runtime.spec.config import Spec

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_NETWORKS = ("default", "none", "host")


@dataclass(frozen=True, slots=True)
class RunMount:
    """A --mount option of RUN."""

    kind: str
    target: str
    source: str
    origin: str | None
    name: str
    read_only: bool
    required: bool
    mode: str
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """The program of a RUN instruction, with its environment."""

    command: list[str]
    environment: Mapping[str, str]
    user: str
    directory: str
    network: str
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


def mounts(instruction: Instruction, settings: Settings) -> list[RunMount]:
    """Return the --mount options of a RUN. Raise InvalidConfig."""
    found = []
    for flag in instruction.flags:
        name, _, value = flag.removeprefix("--").partition("=")
        if name == "mount":
            found.append(_mount(settings.expanded(value), settings))
        elif name not in ("network", "security"):
            raise InvalidConfig(f"RUN has no option --{name}")
    return found


def network(instruction: Instruction) -> str:
    """Return the value of --network. Raise InvalidConfig."""
    names = [flag.removeprefix("--network=") for flag in instruction.flags if "--network=" in flag]
    name = names[-1] if names else "default"
    if name not in _NETWORKS:
        raise InvalidConfig(f"--network={name} is none of {', '.join(_NETWORKS)}")
    return name


def sources(found: Sequence[RunMount]) -> list[str]:
    """Return the stages and images in the from= fields of mounts."""
    return [each.origin for each in found if each.origin is not None]


@contextmanager
def container(
    root: Path,
    name: str,
    layers: Sequence[Path],
    program: Program,
    found: Sequence[RunMount],
    origins: Mapping[str, list[Path]],
    options: Options,
) -> Iterator[Path]:
    """Run the program. Yield its writable layer.

    Raise ContainerError if it fails.
    """
    with ExitStack() as stack:
        scratch = root / f"{name}.files"
        scratch.mkdir(parents=True)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        bound = [_bound(each, scratch, root, origins, options) for each in found]
        spec = _spec(program, layers, [each for each in bound if each is not None])
        with open(os.devnull, "rb") as nothing:
            running = stack.enter_context(
                Container.run(
                    name, spec, layers, root=root,
                    stdin=nothing.fileno(), stdout=options.output, stderr=options.output,
                )
            )  # fmt: skip
            code = running.wait()
        if code != 0:
            shown = " ".join(program.command)
            raise ContainerError(f"The command {shown!r} ended with the exit code {code}.")
        _remove_mount_points(Path(running.upper), found)
        yield Path(running.upper)


def _spec(program: Program, layers: Sequence[Path], bound: list[Mount]) -> Spec:
    environment = dict(each.split("=", 1) for each in DEFAULT_ENVIRONMENT)
    environment.update(program.environment)
    user = lookup.user(layers, program.user)
    environment.setdefault("HOME", user.home)
    spec = default_spec(program.command, [f"{key}={value}" for key, value in environment.items()])
    process = spec.process
    assert process is not None
    spec = spec.replace(
        process=process.replace(
            cwd=program.directory,
            no_new_privileges=False,  # docker allows su and sudo in a build
            user=process.user.replace(uid=user.uid, gid=user.gid, additional_gids=user.groups),
        ),
        mounts=(*spec.mounts, *bound),
    )
    if program.network == "none":
        return spec
    # There is no bridge yet, so a build uses the network of the host.
    kept = tuple(each for each in spec.linux.namespaces if each.type != "network")
    files = tuple(
        Mount(destination=path, type="bind", source=path, options=("rbind", "ro"))
        for path in ("/etc/resolv.conf", "/etc/hosts")
        if os.path.exists(path)
    )
    return spec.replace(linux=spec.linux.replace(namespaces=kept), mounts=(*spec.mounts, *files))


def _mount(text: str, settings: Settings) -> RunMount:
    fields: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        fields[key.lower()] = value if equals else "true"
    kind = fields.get("type", "bind")
    if kind not in _KINDS:
        raise InvalidConfig(f"--mount: the type {kind!r} is none of {', '.join(_KINDS)}")
    if kind == "ssh":
        raise InvalidConfig("--mount=type=ssh is not supported yet")
    target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
    name = fields.get("id") or ""
    if kind == "secret":
        name = name or os.path.basename(target)
        target = target or f"/run/secrets/{name}"
    if not target or (kind == "secret" and not name):
        raise InvalidConfig(f"--mount={text} has no target")
    read_only = fields.get("readonly", fields.get("ro", "")) == "true"
    if kind == "bind":
        read_only = fields.get("readwrite", fields.get("rw", "false")) != "true"
    return RunMount(
        kind=kind,
        target=settings.path(target),
        source=fields.get("source") or fields.get("src") or "/",
        origin=fields.get("from"),
        name=name or target,
        read_only=read_only,
        required=fields.get("required") == "true",
        mode=fields.get("mode", ""),
        text=text,
    )


def _bound(
    found: RunMount, scratch: Path, root: Path, origins: Mapping[str, list[Path]], options: Options
) -> Mount | None:
    """Return the mount for the container, or None for an optional secret that is missing."""
    if found.kind == "tmpfs":
        return Mount(destination=found.target, type="tmpfs", source="tmpfs", options=("nosuid",))
    if found.kind == "cache":
        path = root.parent / "build-mounts" / found.name.strip("/").replace("/", "-")
        path.mkdir(parents=True, exist_ok=True)
        if found.mode:
            path.chmod(int(found.mode, 8))
    elif found.kind == "secret":
        given = options.secrets.get(found.name)
        if given is None:
            if found.required:
                raise InvalidConfig(f"the secret {found.name!r} is required: pass --secret")
            return None
        path = scratch / found.name.replace("/", "-")
        path.write_bytes(given.read_bytes())
        path.chmod(int(found.mode or "0400", 8))
    else:
        path = _bind_source(found, origins, options)
    access = "ro" if found.read_only or found.kind == "secret" else "rw"
    return Mount(destination=found.target, type="bind", source=str(path), options=("rbind", access))


def _bind_source(found: RunMount, origins: Mapping[str, list[Path]], options: Options) -> Path:
    if found.origin is None:
        return _below(options.context, found.source)
    if found.origin in options.contexts:
        return _below(options.contexts[found.origin], found.source)
    path = lookup.find(origins[found.origin], found.source)
    if path is None or (found.source.strip("/") == "" and len(origins[found.origin]) > 1):
        raise InvalidConfig(f"--mount: {found.source} is not there in {found.origin}")
    return path


def _below(directory: Path, name: str) -> Path:
    """Return a path inside the context, with links followed. Raise InvalidConfig."""
    path = (directory / name.lstrip("/")).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise InvalidConfig(f"--mount: {name} leads out of the context")
    if not path.exists():
        raise InvalidConfig(f"--mount: {name} is not in the context")
    return path


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


def _remove_mount_points(upper: Path, found: Sequence[RunMount]) -> None:
    """Remove the empty mount points that the runtime created in the layer."""
    for each in (*[mount.target for mount in found], "/etc/resolv.conf", "/etc/hosts"):
        path = upper / each.lstrip("/")
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.is_file() and path.stat().st_size == 0:
                path.unlink()
        except OSError:
            continue
