"""The directory of one build: its containers, secrets, downloads and clones, for its duration.

If the build is killed, a small process that it has started removes its containers and the
directory. A loss of power ends that process too; then the next build removes the directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock

from runtime.errors import ContainerError

_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from runtime.build.workspace import main; sys.exit(main())"
)
_LOCK = "lock"
_CONTAINERS = "containers"
_DONE = b"done"


class Workspace:
    """The directory of a build that runs."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self._lock = Lock()
        self._is_guarded = False
        for name in (_CONTAINERS, "empty"):
            (directory / name).mkdir()

    @property
    def containers(self) -> Path:
        """The root directory of the build's containers, which are guarded from now on."""
        with self._lock:
            if not self._is_guarded:
                self._stack.enter_context(_guarded(self.directory))
                self._is_guarded = True
        return self.directory / _CONTAINERS

    @property
    def empty(self) -> Path:
        """An empty directory, the layer below RUN after `FROM scratch`."""
        return self.directory / "empty"

    def new_directory(self) -> Path:
        """Return a new directory, which is removed at the end of the build."""
        path = self.directory / uuid.uuid4().hex[:8]
        path.mkdir()
        return path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a new directory for one step."""
        path = self.new_directory()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def workspace(builds: Path) -> Iterator[Workspace]:
    """Yield the directory of a new build below `builds`. Remove what a killed build has left."""
    with ExitStack() as stack:
        with no_builds(builds):
            own = builds / uuid.uuid4().hex[:12]
            own.mkdir(mode=0o700)
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            stack.enter_context(_locked(own / _LOCK))
        yield Workspace(own, stack)


@contextmanager
def no_builds(builds: Path) -> Iterator[bool]:
    """Keep builds from beginning within the block. Yield True if none is running."""
    with _locked(builds.with_name(f"{builds.name}.lock")):
        builds.mkdir(mode=0o700, exist_ok=True)
        for path in builds.iterdir():
            _remove_abandoned(path)
        yield next(builds.iterdir(), None) is None


def main() -> int:
    """Wait for the end of the build, and remove its directory if it was killed."""
    if sys.stdin.buffer.read() != _DONE:
        remove(Path(sys.argv[1]))
    return 0


def remove(directory: Path) -> None:
    """Remove a build's directory and its containers, which may be running."""
    from runtime.container.container import Container

    containers = directory / _CONTAINERS
    for name in os.listdir(containers) if containers.is_dir() else []:
        with suppress(ContainerError, OSError):
            Container.load(name, str(containers)).delete(force=True)
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    """Start a process that removes the directory if this one ends within the block."""
    command = [sys.executable, "-ISXutf8", "-c", _PROGRAM, str(_PACKAGES), str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin
        try:
            yield
        finally:
            with suppress(BrokenPipeError):
                process.stdin.write(_DONE)
                process.stdin.close()


def _remove_abandoned(directory: Path) -> None:
    """Remove the directory of a build whose process has ended."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        remove(directory)  # of a build that was killed before it had its lock
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        remove(directory)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
