"""The root file system of a container, and the change into it, as calls for the child.

The child makes the mount that becomes its root, and enters it by chroot(2) while all else is
mounted. At last it leaves the host's root, by pivot_root(2) or as rootfs.empty_mount_namespace
does.
"""

from __future__ import annotations

import os

from runtime.errors import InvalidConfig
from runtime.launcher import mount_calls
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.linux.users import in_user_namespace
from runtime.spec.mount_options import PROPAGATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.launcher.program import Program, Result


class Bundle:
    """A directory of the host, as OCI bundles have it.

    `trees` are the directories from which the parent reads its files.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.trees = [path]

    def mount(self, program: Program) -> None:
        """Bind the directory to itself, because pivot_root(2) needs a mount."""
        program.step("bind of the root")
        path = os.fsencode(self.path)
        step = f"open the root file system {self.path}"
        tree = mount_calls.open_tree(program, step, AT_FDCWD, path, recursive=True)
        mount_calls.move_mount(program, "mount the root file system", tree, AT_FDCWD, path)


class Overlay:
    """Read-only layers, topmost first, under a writable one; they are mounted at `path`."""

    def __init__(self, path: str, layers: Sequence[str], upper: str, work: str) -> None:
        self.path = path
        self.trees = [upper, *layers]
        self._options = f"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}"
        if in_user_namespace():  # where overlayfs can't write its own attributes
            self._options += ",userxattr"

    def mount(self, program: Program) -> None:
        """Mount the overlay. (Linux, Documentation/filesystems/overlayfs.rst)"""
        program.step("overlay")
        program.call(
            "mount the overlay", syscalls.MOUNT, b"overlay", os.fsencode(self.path), b"overlay",
            mounts.NODEV, os.fsencode(self._options),
        )  # fmt: skip


def check_layers(layers: Sequence[str]) -> None:
    """Check that layers can be mounted. Raise InvalidConfig."""
    if not layers:
        raise InvalidConfig("There is no layer: name at least one directory.")
    for layer in layers:
        if not os.path.isdir(layer):
            raise InvalidConfig(f"The layer {layer} is no directory: name a directory.")
        if any(character in layer for character in ':,\\"'):
            raise InvalidConfig(
                f"The layer {layer} has a colon, a comma, a quotation mark or a backslash in its"
                " path, which overlayfs would interpret: rename it."
            )


def prepare(program: Program, root: Bundle | Overlay, propagation: str) -> None:
    """Mount the root without propagation to the host."""
    private = propagation in {"private", "rprivate"}
    program.call(
        "set mount propagation", syscalls.MOUNT,
        None, b"/", None, mounts.REC | (mounts.PRIVATE if private else mounts.SLAVE), None,
    )  # fmt: skip
    root.mount(program)


def enter(program: Program, root: Bundle | Overlay) -> Result:
    """Change the root to the container's. The result is a descriptor of the host's root."""
    host = program.call("open the host's root", syscalls.OPENAT, *_directory(b"/"))
    program.call("enter the root file system", syscalls.CHDIR, os.fsencode(root.path))
    program.call("change the root to the container's", syscalls.CHROOT, b".")
    return host


def place(program: Program, host: Result, host_at: int, own_at: int) -> None:
    """Place descriptors of the host's root and of the container's at reserved numbers."""
    program.call("place the host's root", syscalls.DUP3, host, host_at, os.O_CLOEXEC)
    own = program.call("open the container's root", syscalls.OPENAT, *_directory(b"/"))
    program.call("place the container's root", syscalls.DUP3, own, own_at, os.O_CLOEXEC)
    program.call("place the container's root", syscalls.CLOSE, own)


def pivot(program: Program, host: Result) -> None:
    """Leave the host's root file system by pivot_root(2). A part."""
    own = program.call("open the container's root", syscalls.OPENAT, *_directory(b"/"))
    program.call("go back to the host's root", syscalls.FCHDIR, host)
    program.call("change the root to the host's", syscalls.CHROOT, b".")
    program.call("enter the root file system", syscalls.FCHDIR, own)
    step = "pivot into the root file system (--no-pivot moves it instead)"
    program.call(step, syscalls.PIVOT_ROOT, b".", b".")
    program.call("leave the host's root", syscalls.UMOUNT2, b".", mounts.DETACH)
    program.call("enter the new root", syscalls.CHDIR, b"/")


def move(program: Program, host: Result, root: Bundle | Overlay) -> None:
    """Leave the host's root where pivot_root(2) fails, because it is the kernel's initramfs."""
    program.call("go back to the host's root", syscalls.FCHDIR, host)
    program.call("change the root to the host's", syscalls.CHROOT, b".")
    program.call("enter the root file system", syscalls.CHDIR, os.fsencode(root.path))
    mount_calls.move_attached(program, "move the root file system", b".", b"/")
    program.call("change the root to the container's", syscalls.CHROOT, b".")
    program.call("enter the new root", syscalls.CHDIR, b"/")


def settle(program: Program, propagation: str, *, read_only: bool) -> None:
    """Set the root's read-only flag and its propagation, when the child is in it."""
    if read_only:
        attributes = mounts.mount_attr(mounts.ATTR_RDONLY)
        mount_calls.mount_setattr(program, "make the root read-only", AT_FDCWD, b"/", attributes)
    if propagation:
        program.call(
            f"make the root {propagation}", syscalls.MOUNT,
            None, b"/", None, PROPAGATIONS[propagation], None,
        )  # fmt: skip


def _directory(path: bytes) -> tuple[int, bytes, int]:
    """Return the arguments of openat(2) that open a directory by O_PATH."""
    return AT_FDCWD, path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
