"""criu(8), by its command line: it writes processes to files and restores them."""

from __future__ import annotations

import os
import shutil
import subprocess

from runtime.errors import ContainerError, Unavailable
from runtime.linux import clone, mount
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CGROUP_MODES = frozenset({"soft", "full", "strict", "ignore"})


class Criu(Struct):
    """The program, the directories of its images and logs, and options for every call."""

    program: str
    images: str
    work: str = ""
    words: tuple[str, ...] = ()

    def call(
        self,
        verb: str,
        words: Sequence[str],
        descriptors: Sequence[int] = (),
        before: Callable[[], None] | None = None,
    ) -> None:
        """Call criu, in whose process `before` runs first. Raise ContainerError."""
        log = f"{verb}.log"
        command = [
            self.program, verb, "--images-dir", self.images, "--log-file", log, "-v4",
            *(("--work-dir", self.work) if self.work else ()), *self.words, *words,
        ]  # fmt: skip
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            pass_fds=tuple(descriptors), preexec_fn=before,
        )  # fmt: skip
        if result.returncode:
            path = os.path.join(self.work or self.images, log)
            messages = _read(path) + result.stderr.decode(errors="replace")
            raise ContainerError(f"criu can't {verb}: {_reason(messages)}; its log is {path}.")


def find(name: str) -> str:
    """Return the path of criu, or of the program `name`. Raise Unavailable."""
    path = shutil.which(name or "criu")
    if not path:
        raise Unavailable(f"{name or 'criu'} is not installed: apt-get install criu.")
    return path


def with_root(root: str, at: str) -> Callable[[], None]:
    """Return a function that mounts a root for its process alone: criu needs a mount point."""

    def mount_root() -> None:
        clone.unshare(clone.NEWNS)
        mount.mount(None, b"/", None, mount.REC | mount.SLAVE)
        mount.mount(os.fsencode(root), os.fsencode(at), None, mount.BIND | mount.REC)

    return mount_root


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _reason(messages: str) -> str:
    """Return the first error of a log that ended criu, or else the first line."""
    lines = [line for line in messages.splitlines() if line.strip()]
    errors = [
        line.partition("): ")[2] or line
        for line in lines
        if "Error (" in line and "rlimit:" not in line
    ]
    first = next(iter([*errors, *lines]), "it gives no reason")
    return first.strip().rstrip(".")
