"""The sources of RUN's mounts: directories, caches, secrets and agents, for one instruction."""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runtime.build import extraction
from runtime.build.cancellation import Cancellation
from runtime.build.options import Options
from runtime.build.run_mounts import RunMount
from runtime.build.sources import Sources, Tree, archived
from runtime.errors import InvalidConfig
from runtime.images import lookup
from runtime.linux.users import in_user_namespace
from runtime.spec.config import Mount

_POLL_SECONDS = 0.05
_NAME_DIGITS = 16
_SPECIAL = re.compile(r"([\\:,])")


@dataclass(slots=True)
class Prepared:
    """The mounts of a container, and the variables that belong to them."""

    mounts: list[Mount] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


class MountSources:
    """Makes the sources of mounts. `caches` is the directory of all cache mounts."""

    def __init__(
        self, sources: Sources, options: Options, caches: Path, cancellation: Cancellation
    ) -> None:
        self._sources = sources
        self._options = options
        self._caches = caches
        self._cancellation = cancellation

    def check(self, found: Sequence[RunMount]) -> None:
        """Raise InvalidConfig if a secret or an agent is required and was not passed."""
        for each in found:
            given = {"secret": self._options.secrets, "ssh": self._options.agents}.get(each.kind)
            if given is not None and each.required and each.name not in given:
                words = f"is required: pass --{each.kind}"
                raise InvalidConfig(f"the {each.kind} {each.name!r} {words}")

    @contextmanager
    def prepared(self, found: Sequence[RunMount], scratch: Path) -> Iterator[Prepared]:
        """Yield the mounts of an instruction, whose sources last as long as the block."""
        made = Prepared()
        with ExitStack() as stack:
            # In one order for all instructions, so that no two wait for each other's caches.
            caches = {each.name: each for each in found if each.kind == "cache"}
            paths = {
                name: stack.enter_context(self._cache(caches[name], scratch))
                for name in sorted(caches)
            }
            for number, each in enumerate(found):
                place = scratch / str(number)
                place.mkdir()
                if each.kind == "cache":
                    made.mounts.append(_bind(each, paths[each.name]))
                elif each.kind == "tmpfs":
                    made.mounts.append(_tmpfs(each))
                elif each.kind == "secret":
                    self._add_secret(each, place, made)
                elif each.kind == "ssh":
                    self._add_agent(each, place, made, stack)
                else:
                    made.mounts.append(self._bound(each, place))
            yield made

    def _add_secret(self, found: RunMount, place: Path, made: Prepared) -> None:
        """Add a file, a variable or both; nothing if an optional secret was not passed."""
        content = self._options.secrets.get(found.name)
        if content is None:
            return
        if found.variable:
            try:
                made.variables[found.variable] = content.decode()
            except UnicodeDecodeError:
                words = f"the secret {found.name!r} is not UTF-8, so it can't be a variable"
                raise InvalidConfig(words) from None
        if found.target:
            path = place / "secret"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
            os.chown(path, found.uid, found.gid)
            path.chmod(found.mode)
            made.mounts.append(_bind(found, path))

    def _add_agent(self, found: RunMount, place: Path, made: Prepared, stack: ExitStack) -> None:
        from runtime.build import ssh_agent

        agent = self._options.agents.get(found.name)
        if agent is None:
            return
        path = place / "agent"
        stack.enter_context(ssh_agent.forwarded(agent, path, found.mode, found.uid, found.gid))
        made.variables.setdefault("SSH_AUTH_SOCK", found.target)
        made.mounts.append(_bind(found, path))

    @contextmanager
    def _cache(self, found: RunMount, scratch: Path) -> Iterator[Path]:
        """Yield the directory of a cache mount, locked as its `sharing` says."""
        digits = hashlib.sha256(found.name.encode()).hexdigest()[:_NAME_DIGITS]
        self._caches.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            path = self._caches / (f"{digits}-{number}" if number else digits)
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if self._lock(lock, found):
                    self._fill(found, path, scratch)
                    yield path
                    return
            finally:
                os.close(lock)
            number += 1  # another instruction has this private directory

    def _lock(self, lock: int, found: RunMount) -> bool:
        """Lock a cache. Return False if it is private, and in use."""
        kind = fcntl.LOCK_SH if found.sharing == "shared" else fcntl.LOCK_EX
        while True:
            self._cancellation.check()
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if found.sharing == "private":
                    return False
                time.sleep(_POLL_SECONDS)
            else:
                return True

    def _fill(self, found: RunMount, path: Path, scratch: Path) -> None:
        """Create a cache, which begins with the files of its `from`."""
        if path.is_dir():
            return
        aside = scratch / path.name
        aside.mkdir()
        if found.origin is not None:
            self._copy(self._sources.tree(found.origin), found.source, aside)
        os.chown(aside, found.uid, found.gid)
        aside.chmod(found.mode)
        if not path.is_dir():  # another instruction that shares it may have been faster
            aside.rename(path)

    def _bound(self, found: RunMount, place: Path) -> Mount:
        """Return the mount of a bind; writes to it are discarded afterwards."""
        tree = self._sources.tree(found.origin)
        if not tree.lower:
            path = _below(tree.root, found.source)
            if tree.ignored:
                place, path = self._filtered(tree, found.source, place, is_file=path.is_file())
            directories = [path] if path.is_dir() else []
        else:
            named = lookup.find(tree.layers, found.source)
            if named is None:
                raise InvalidConfig(f"--mount: {found.source} is not in {found.origin}")
            path = named
            directories = lookup.directories(tree.layers, found.source)
        if not directories:
            return _bind(found, path if found.read_only else _copied(path, place))
        if found.read_only and len(directories) == 1:
            return _bind(found, directories[0])
        return _overlay(found, directories, place)

    def _filtered(
        self, tree: Tree, source: str, place: Path, *, is_file: bool
    ) -> tuple[Path, Path]:
        """Copy a source without the files that .dockerignore leaves out.

        Return a directory for other purposes, and the copy.
        """
        copy = place / "context"
        copy.mkdir()
        self._copy(tree, source, copy)
        rest = place / "rest"
        rest.mkdir()
        return rest, copy / posixpath.basename(source) if is_file else copy

    def _copy(self, tree: Tree, source: str, target: Path) -> None:
        request = tree.request([source], "/", into=True, keeps_destination=True)
        with closing(archived(request)) as archive:
            extraction.extract(archive, target)


def _bind(found: RunMount, path: Path) -> Mount:
    options = ("rbind", "ro" if found.read_only else "rw")
    return Mount(destination=found.target, type="bind", source=str(path), options=options)


def _tmpfs(found: RunMount) -> Mount:
    size = () if found.size_bytes is None else (f"size={found.size_bytes}",)
    return Mount(destination=found.target, type="tmpfs", source="tmpfs", options=("nosuid", *size))


def _overlay(found: RunMount, directories: list[Path], place: Path) -> Mount:
    """Return the mount of several directories as one, writable unless it is read-only."""
    lower = ":".join(map(_escaped, directories))
    options = [f"lowerdir={lower}", *(("userxattr",) if in_user_namespace() else ())]
    if found.read_only:
        options.append("ro")
    else:
        for name in ("upper", "work"):
            (place / name).mkdir()
            options.append(f"{name}dir={_escaped(place / name)}")
        status = directories[0].stat()
        (place / "upper").chmod(status.st_mode & 0o7777)
        os.chown(place / "upper", status.st_uid, status.st_gid)
    return Mount(destination=found.target, type="overlay", source="overlay", options=tuple(options))


def _copied(path: Path, place: Path) -> Path:
    """Return a copy of a file."""
    copy = place / "file"
    shutil.copy2(path, copy)
    status = path.stat()
    os.chown(copy, status.st_uid, status.st_gid)
    return copy


def _below(directory: Path, name: str) -> Path:
    """Return a path inside the context, with links followed. Raise InvalidConfig."""
    path = (directory / name.lstrip("/")).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise InvalidConfig(f"--mount: {name} leads out of the context")
    if not path.exists():
        raise InvalidConfig(f"--mount: {name} is not in the context")
    return path


def _escaped(path: Path) -> str:
    """Return a path as overlayfs' options take it."""
    return _SPECIAL.sub(r"\\\1", str(path))
