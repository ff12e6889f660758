"""A container's root file system, as calls for the child to make in its new mount namespace.

Every path is relative to the new root, in which the child stands, until it is pivoted into.
"""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runtime.cgroups import host
from runtime.errors import ContainerError
from runtime.init import Step
from runtime.linux import mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec import Mount, Spec

# OCI config-linux.md, "Default Devices": path, major, minor.
_DEVICES = (
    ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
    ("tty", 5, 0),
)  # fmt: skip
# OCI runtime-linux.md, "Dev symbolic links".
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)
_READ_ONLY = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC


def steps(spec: Spec, layers: Sequence[Path], directory: Path) -> Iterator[Step]:
    """The calls that lead from the host's root into the container's.

    `layers` are the read-only ones, topmost first; `directory` holds `upper`, `work` and `root`.
    Raises ContainerError for a destination that an image has made a symbolic link.
    """
    root = os.fsencode(directory / "root")
    yield Step("set mount propagation", mounts.mount, (
        None, b"/", None, mounts.REC | mounts.SLAVE,
    ))  # fmt: skip
    yield Step("mount the overlay", mounts.mount, (
        b"overlay", root, b"overlay", mounts.NODEV, _overlay(layers, directory),
    ))  # fmt: skip
    yield Step("enter the root file system", os.chdir, (root,))
    yield Step("set the umask", os.umask, (0,))
    for mount in spec.mounts:
        yield from _mount(mount, layers)
    for path in spec.linux.masked_paths:
        yield from _mask(path)
    for path in spec.linux.readonly_paths:
        yield from _read_only(path)
    yield Step("pivot into the root file system", mounts.pivot_root, (b".", b"."))
    yield Step("leave the host's root file system", mounts.unmount, (b".", mounts.DETACH))
    yield Step("stand in the new root", os.chdir, ("/",))


def check_layers(layers: Sequence[Path]) -> None:
    """Refuse layers that can't be mounted. Raises ContainerError."""
    if not layers:
        raise ContainerError("There is no layer: name at least one directory.")
    for layer in layers:
        if not layer.is_dir():
            raise ContainerError(f"The layer {layer} is no directory.")
        if any(sign in str(layer) for sign in ':,\\"'):
            raise ContainerError(f"The layer {layer} has a sign in its name that overlayfs reads.")


def _overlay(layers: Sequence[Path], directory: Path) -> bytes:
    lower = b":".join(os.fsencode(layer) for layer in layers)
    upper, work = os.fsencode(directory / "upper"), os.fsencode(directory / "work")
    return b"lowerdir=%b,upperdir=%b,workdir=%b" % (lower, upper, work)


def _mount(mount: Mount, layers: Sequence[Path]) -> Iterator[Step]:
    target = _relative(mount.destination)
    if not _inside_a_mount(mount.destination):
        _refuse_links(mount.destination, layers)
    yield from _directory(mount.destination, layers)
    flags, data = mounts.split_options(mount.options)
    what = f"mount {mount.destination}"
    if mount.type == "cgroup":
        yield from _cgroups(target, what, flags)
    else:
        yield Step(what, mounts.mount, (
            os.fsencode(mount.source) or None, target, os.fsencode(mount.type) or None, flags, data,
        ))  # fmt: skip
    if flags & mounts.BIND and flags & ~(mounts.BIND | mounts.REC):
        # mount(2) takes no other flag with MS_BIND: they are set by a second call.
        yield Step(what, mounts.mount, (
            None, target, None, (flags & ~mounts.REC) | mounts.REMOUNT,
        ))  # fmt: skip
    if mount.destination == "/dev":
        yield from _devices()


def _cgroups(target: bytes, what: str, flags: int) -> Iterator[Step]:
    """The container's own cgroups: one mount, or one a hierarchy below a tmpfs."""
    if host.is_v2():
        yield Step(what, mounts.mount, (b"cgroup", target, b"cgroup2", flags))
        return
    writable = flags & ~mounts.RDONLY
    yield Step(what, mounts.mount, (b"tmpfs", target, b"tmpfs", writable, b"mode=755"))
    for controllers, root in host.hierarchies().items():
        below = target + b"/" + os.fsencode(os.path.basename(root))  # noqa: PTH119
        words = "none,name=systemd" if controllers == "systemd" else controllers
        yield Step(f"make {root} in cgroup", os.mkdir, (below, 0o755))
        yield Step(what, mounts.mount, (b"cgroup", below, b"cgroup", flags, words.encode()))
    if flags & mounts.RDONLY:
        yield Step(what, mounts.mount, (
            None, target, None, flags | mounts.REMOUNT, b"mode=755",
        ))  # fmt: skip


def _devices() -> Iterator[Step]:
    for name, major, minor in _DEVICES:
        yield Step(f"make /dev/{name}", os.mknod, (
            b"dev/" + name.encode(), 0o666 | stat.S_IFCHR, os.makedev(major, minor),
        ))  # fmt: skip
    for target, name in _LINKS:
        yield Step(f"link /dev/{name}", os.symlink, (target, f"dev/{name}"))


def _mask(path: str) -> Iterator[Step]:
    # /proc and /sys are the kernel's: what a path is here, it is in there.
    kind = _kind(path)
    if kind == "directory":
        yield Step(f"mask {path}", mounts.mount, (
            b"tmpfs", _relative(path), b"tmpfs", _READ_ONLY, b"size=0k",
        ))  # fmt: skip
    elif kind == "file":
        yield Step(f"mask {path}", mounts.mount, (
            b"dev/null", _relative(path), None, mounts.BIND,
        ))  # fmt: skip


def _read_only(path: str) -> Iterator[Step]:
    if _kind(path):
        target = _relative(path)
        what = f"make {path} read-only"
        yield Step(what, mounts.mount, (target, target, None, mounts.BIND | mounts.REC))
        yield Step(what, mounts.mount, (
            None, target, None, mounts.BIND | mounts.REMOUNT | _READ_ONLY,
        ))  # fmt: skip


@functools.cache
def _kind(path: str) -> Literal["directory", "file", ""]:
    """What a path of the kernel's is on this host."""
    if Path(path).is_dir():
        return "directory"
    return "file" if Path(path).exists() else ""


def _directory(destination: str, layers: Sequence[Path]) -> Iterator[Step]:
    """Make the mount point, unless a layer or the kernel has it."""
    if _inside_a_mount(destination):
        if destination.startswith("/dev/"):
            yield Step(f"make {destination}", os.mkdir, (_relative(destination), 0o755))
    elif not any((layer / destination.lstrip("/")).is_dir() for layer in layers):
        yield Step(f"make {destination}", os.makedirs, (_relative(destination), 0o755, True))


def _inside_a_mount(destination: str) -> bool:
    return destination.startswith(("/dev/", "/proc/", "/sys/"))


def _refuse_links(destination: str, layers: Sequence[Path]) -> None:
    """A link in an image could lead a mount out of the root. (CVE-2021-30465, CVE-2019-19921)"""
    parts = Path(destination).parts[1:]
    for layer in layers:
        for count in range(1, len(parts) + 1):
            if layer.joinpath(*parts[:count]).is_symlink():
                raise ContainerError(
                    f"mounts: {destination} is a symbolic link in {layer}; a mount could lead out."
                )


def _relative(path: str) -> bytes:
    return os.fsencode(path.lstrip("/"))
