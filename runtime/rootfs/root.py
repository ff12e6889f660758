"""A container's root file system: the way from the host's root into its own.

All as calls for the child: it makes the mount that becomes its root, stands in it by chroot(2)
while the rest is mounted, and at last makes it the only root that there is, by pivot_root(2) or as
runtime.rootfs.empty_mount_namespace does.
"""

from __future__ import annotations

import os

from runtime.errors import ContainerError
from runtime.launcher import mount_calls
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.spec.mount_options import PROPAGATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.launcher.program import Program, Result

_O_PATH, _O_DIRECTORY, _O_CLOEXEC = 0o10000000, 0o200000, 0o2000000


class Bundle:
    """A directory of the host, as OCI bundles have it; `trees` is where its files are read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.trees = [path]

    def mount(self, program: Program) -> None:
        """Bind it to itself: pivot_root(2) wants a mount."""
        program.step("bind of the root")
        path = os.fsencode(self.path)
        what = f"open the root file system {self.path}"
        tree = mount_calls.open_tree(program, what, AT_FDCWD, path, recursive=True)
        mount_calls.move_mount(program, "mount the root file system", tree, AT_FDCWD, path)


class Overlay:
    """Layers, topmost first, under a writable one; `path` is where they are mounted."""

    def __init__(self, path: str, layers: Sequence[str], upper: str, work: str) -> None:
        self.path = path
        self.trees = [upper, *layers]
        self._options = f"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}"

    def mount(self, program: Program) -> None:
        """(Linux, Documentation/filesystems/overlayfs.rst)"""
        program.step("overlay")
        program.call(
            "mount the overlay", syscalls.MOUNT, b"overlay", os.fsencode(self.path), b"overlay",
            mounts.NODEV, os.fsencode(self._options),
        )  # fmt: skip


def check_layers(layers: Sequence[str]) -> None:
    """Refuse layers that can't be mounted. Raises ContainerError."""
    if not layers:
        raise ContainerError("There is no layer: name at least one directory.")
    for layer in layers:
        if not os.path.isdir(layer):
            raise ContainerError(f"The layer {layer} is no directory.")
        if any(sign in layer for sign in ':,\\"'):
            raise ContainerError(f"The layer {layer} has a sign in its name that overlayfs reads.")


def prepare(program: Program, root: Bundle | Overlay, propagation: str) -> None:
    """Mount the root, unseen by the host."""
    private = propagation in {"private", "rprivate"}
    program.call(
        "set mount propagation", syscalls.MOUNT,
        None, b"/", None, mounts.REC | (mounts.PRIVATE if private else mounts.SLAVE), None,
    )  # fmt: skip
    root.mount(program)


def enter(program: Program, root: Bundle | Overlay) -> Result:
    """Stand in the root. Returns a descriptor of the host's root, to come back to."""
    host = program.call("remember the host's root", syscalls.OPENAT, *_directory(b"/"))
    program.call("enter the root file system", syscalls.CHDIR, os.fsencode(root.path))
    program.call("stand in the root file system", syscalls.CHROOT, b".")
    return host


def place(program: Program, host: Result, host_at: int, own_at: int) -> None:
    """Have descriptors of the host's root and of the own one, in which the child stands, there."""
    program.call("place the host's root", syscalls.DUP3, host, host_at, _O_CLOEXEC)
    own = program.call("open the own root", syscalls.OPENAT, *_directory(b"/"))
    program.call("place the own root", syscalls.DUP3, own, own_at, _O_CLOEXEC)
    program.call("place the own root", syscalls.CLOSE, own)


def pivot(program: Program, host: Result) -> None:
    """Leave the host's root file system for good."""
    own = program.call("remember the own root", syscalls.OPENAT, *_directory(b"/"))
    program.call("go back to the host's root", syscalls.FCHDIR, host)
    program.call("stand in the host's root", syscalls.CHROOT, b".")
    program.call("enter the root file system", syscalls.FCHDIR, own)
    what = "pivot into the root file system (--no-pivot moves it instead)"
    program.call(what, syscalls.PIVOT_ROOT, b".", b".")
    program.call("leave the host's root", syscalls.UMOUNT2, b".", mounts.DETACH)
    program.call("stand in the new root", syscalls.CHDIR, b"/")


def move(program: Program, host: Result, root: Bundle | Overlay) -> None:
    """The same where pivot_root(2) can't be, the root being the kernel's first (initramfs)."""
    program.call("go back to the host's root", syscalls.FCHDIR, host)
    program.call("stand in the host's root", syscalls.CHROOT, b".")
    program.call("enter the root file system", syscalls.CHDIR, os.fsencode(root.path))
    mount_calls.move_attached(program, "move the root file system", b".", b"/")
    program.call("stand in the root file system", syscalls.CHROOT, b".")
    program.call("stand in the new root", syscalls.CHDIR, b"/")


def settle(program: Program, propagation: str, *, read_only: bool) -> None:
    """What is said of the root as a whole, once the child is in it."""
    if read_only:
        read_only_root = mounts.mount_attr(mounts.ATTR_RDONLY)
        mount_calls.mount_setattr(
            program, "make the root read-only", AT_FDCWD, b"/", read_only_root
        )
    if propagation:
        program.call(
            f"make the root {propagation}", syscalls.MOUNT,
            None, b"/", None, PROPAGATIONS[propagation], None,
        )  # fmt: skip


def _directory(path: bytes) -> tuple[int, bytes, int]:
    """What openat(2) takes, to hold a directory and no more."""
    return AT_FDCWD, path, _O_PATH | _O_DIRECTORY | _O_CLOEXEC
