"""Mounts that the parent prepares, attached nowhere yet, for the child to put in their places.

Where ids are mapped only a process outside may say how; what a user namespace may not read, it may
still be given; and a tmpfs that begins with what the image has there must be filled first.
"""

from __future__ import annotations

import os
import stat

from runtime.errors import ContainerError
from runtime.launcher.channel import Meeting, die_with_runtime, tell
from runtime.launcher.descriptors import Descriptors
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.libc import syscall
from runtime.linux.mount import AT_FDCWD, Options
from runtime.namespaces.namespaces import FLAGS, map_ids
from runtime.rootfs.mount_sources import source_path
from runtime.spec.config import Linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.namespaces.namespaces import Namespaces
    from runtime.rootfs.destinations import Destination, Layout
    from runtime.spec.config import IdMapping, Mount, Spec

_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_MAPPED = frozenset({"idmap", "ridmap"})


def prepare(
    spec: Spec, layout: Layout, bundle: str, spaces: Namespaces, held: Descriptors
) -> dict[int, int]:
    """The mounts, by their number in the configuration. Raises ContainerError."""
    found = {}
    for number, (mount, destination) in enumerate(zip(spec.mounts, layout.mounts, strict=True)):
        options = Options.of(mount.options)
        try:
            if options.words & _MAPPED or mount.uid_mappings:
                found[number] = _mapped(mount, options, spec.linux, bundle, held)
            elif options.is_bind and spaces.owns("user") and os.geteuid() == 0:
                found[number] = held.hold(_opened(source_path(mount, bundle), options))
            elif "tmpcopyup" in options.words and mount.type == "tmpfs":
                found[number] = _filled(mount, options, destination, held)
        except OSError as error:
            raise ContainerError(f"mounts: {mount.destination}: {error.strerror}.") from error
    return found


def _opened(path: str, options: Options) -> int:
    """A mount of what is at a path. (open_tree(2))"""
    recursive = mounts.AT_RECURSIVE if options.flags & mounts.REC else 0
    flags = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | recursive
    return syscall(syscalls.OPEN_TREE, AT_FDCWD, os.fsencode(path), flags)


def _mapped(mount: Mount, options: Options, linux: Linux, bundle: str, held: Descriptors) -> int:
    """One whose owners are others inside. (mount_setattr(2), "ID-mapped mounts")"""
    tree = held.hold(_opened(source_path(mount, bundle), options))
    users = mount.uid_mappings or linux.uid_mappings
    groups = mount.gid_mappings or linux.gid_mappings
    recursive = mounts.AT_RECURSIVE if "ridmap" in options.words else 0
    with Descriptors() as opened:
        namespace = opened.hold(_user_namespace(users, groups))
        change = mounts.attributes(mounts.ATTR_IDMAP, 0, 0, namespace).content
        flags = mounts.AT_EMPTY_PATH | recursive
        syscall(syscalls.MOUNT_SETATTR, tree, b"", flags, change, len(change))
    return tree


def _user_namespace(users: tuple[IdMapping, ...], groups: tuple[IdMapping, ...]) -> int:
    """A namespace with these mappings, of a process that is gone when this returns."""
    with Meeting() as meeting:
        die_with_runtime(meeting.launch)
        tell(meeting.launch, meeting.report)
        child, talk = meeting.start(flags=FLAGS["user"])
        talk.hear()
        map_ids(child.pid, Linux(uid_mappings=users, gid_mappings=groups))
        return os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def _filled(mount: Mount, options: Options, destination: Destination, held: Descriptors) -> int:
    """A tmpfs with a copy of what is there in the container. (fsopen(2), fsmount(2))

    Its own directory has the mode and the owner of the one that it covers, unless it is said
    otherwise.
    """
    with Descriptors() as opened:
        context = opened.hold(syscall(syscalls.FSOPEN, b"tmpfs", mounts.FSOPEN_CLOEXEC))
        _set(context, "source", mount.source or "tmpfs")
        for word in filter(None, options.data.decode().split(",")):
            key, is_set, value = word.partition("=")
            _set(context, key, value if is_set else None)
        syscall(syscalls.FSCONFIG, context, mounts.FSCONFIG_CREATE, None, None, 0)
        made = held.hold(syscall(syscalls.FSMOUNT, context, mounts.FSMOUNT_CLOEXEC, 0))
        place = f"/proc/self/fd/{made}"
        for number, directory in enumerate(reversed(destination.copied), start=1):
            source = opened.hold(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK))
            if number == len(destination.copied):
                found = os.fstat(source)
                owner = -1 if options.has("uid") else found.st_uid
                os.chown(place, owner, -1 if options.has("gid") else found.st_gid)
            _copy(f"/proc/self/fd/{source}", place)
    if destination.mode is not None:
        os.chmod(place, destination.mode)
    return made


def _set(context: int, key: str, value: str | None) -> None:
    """Set one option of a file system that is not mounted yet. (fsconfig(2))"""
    command = mounts.FSCONFIG_SET_FLAG if value is None else mounts.FSCONFIG_SET_STRING
    text = None if value is None else os.fsencode(value)
    syscall(syscalls.FSCONFIG, context, command, os.fsencode(key), text, 0)


def _copy(source: str, target: str) -> None:
    import shutil

    for entry in os.scandir(source):
        to = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            os.makedirs(to, exist_ok=True)
            _copy(entry.path, to)
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), to)
        elif entry.is_file():
            shutil.copyfile(entry.path, to)
        else:
            continue
        found = entry.stat(follow_symlinks=False)
        os.chown(to, found.st_uid, found.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            os.chmod(to, stat.S_IMODE(found.st_mode))
