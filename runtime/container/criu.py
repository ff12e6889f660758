"""criu(8) by its command line: it writes processes to files, and makes them of these again."""

from __future__ import annotations

import os
import shutil
import subprocess

from runtime.errors import ContainerError
from runtime.linux import mount, syscalls
from runtime.linux.libc import syscall
from runtime.namespaces.namespaces import FLAGS
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CGROUP_MODES = frozenset({"soft", "full", "strict", "ignore"})


class Criu(Struct):
    """The program, and what every call of it is given: where images and logs are, and words."""

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
        """Call it; `before` is done in its process. Raises ContainerError with criu's reason."""
        log = f"{verb}.log"
        command = [
            self.program, verb, "--images-dir", self.images, "--log-file", log, "-v4",
            *(("--work-dir", self.work) if self.work else ()), *self.words, *words,
        ]  # fmt: skip
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            pass_fds=tuple(descriptors), preexec_fn=before,
        )  # fmt: skip
        if done.returncode:
            path = os.path.join(self.work or self.images, log)
            said = _read(path) + done.stderr.decode(errors="replace")
            raise ContainerError(
                f"criu can't {verb}: {_reason(said)}; all that it says is in {path}."
            )


def find(named: str) -> str:
    """The program's path. Raises ContainerError if it is not there."""
    found = shutil.which(named or "criu")
    if not found:
        raise ContainerError(f"{named or 'criu'} is not installed: apt-get install criu.")
    return found


def with_root(root: str, at: str) -> Callable[[], None]:
    """Has a process see a root mounted, which nobody else does; criu wants a mount."""

    def apart() -> None:
        syscall(syscalls.UNSHARE, FLAGS["mount"])
        syscall(syscalls.MOUNT, None, b"/", None, mount.REC | mount.SLAVE, None)
        flags = mount.BIND | mount.REC
        syscall(syscalls.MOUNT, os.fsencode(root), os.fsencode(at), None, flags, None)

    return apart


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _reason(said: str) -> str:
    """The first error but for those that it goes on after, else the first line."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [
        line.partition("): ")[2] or line
        for line in lines
        if "Error (" in line and "rlimit:" not in line
    ]
    first = next(iter([*errors, *lines]), "it does not say why")
    return first.strip().rstrip(".")
