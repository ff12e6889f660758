"""Detached mounts, which the parent prepares and the child attaches.

The parent prepares three kinds: mounts with mapped IDs, whose mapping only a process outside the
user namespace may set; bind mounts for a user namespace whose root may not open the source; and
tmpfs mounts that begin with a copy of the image's directory.
"""

from __future__ import annotations

import os
import stat

from runtime.errors import ContainerError
from runtime.launcher.channel import ChildLaunch, die_with_parent
from runtime.launcher.descriptors import Descriptors
from runtime.linux import mount as mounts
from runtime.namespaces.id_mappings import map_ids
from runtime.namespaces.namespaces import FLAGS
from runtime.rootfs.mount_sources import source_path
from runtime.spec.config import Linux
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.namespaces.namespaces import Namespaces
    from runtime.rootfs.destinations import Destination, Layout
    from runtime.spec.config import IdMapping, Mount, Spec

_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_MAPPED = frozenset({"idmap", "ridmap"})


def prepare(
    spec: Spec, layout: Layout, bundle: str, spaces: Namespaces, opened: Descriptors
) -> dict[int, int]:
    """Return descriptors of the mounts, by their number in the configuration.

    Raise ContainerError.
    """
    prepared = {}
    for number, (mount, destination) in enumerate(zip(spec.mounts, layout.mounts, strict=True)):
        options = MountOptions.of(mount.options)
        try:
            if options.words & _MAPPED or mount.uid_mappings:
                prepared[number] = _mapped(mount, options, spec.linux, bundle, opened)
            elif options.is_bind and spaces.owns("user") and os.geteuid() == 0:
                prepared[number] = opened.hold(_copy_of(source_path(mount, bundle), options))
            elif "tmpcopyup" in options.words and mount.type == "tmpfs":
                prepared[number] = _filled(mount, options, destination, opened)
        except OSError as error:
            raise ContainerError(f"mounts: {mount.destination}: {error.strerror}.") from error
    return prepared


def _copy_of(path: str, options: MountOptions) -> int:
    """Return a detached copy of the mount at a path. (open_tree(2))"""
    return mounts.open_tree(os.fsencode(path), recursive=bool(options.flags & mounts.REC))


def _mapped(
    mount: Mount, options: MountOptions, linux: Linux, bundle: str, opened: Descriptors
) -> int:
    """Return a mount whose owners are mapped. (mount_setattr(2), "ID-mapped mounts")"""
    tree = opened.hold(_copy_of(source_path(mount, bundle), options))
    users = mount.uid_mappings or linux.uid_mappings
    groups = mount.gid_mappings or linux.gid_mappings
    with Descriptors() as temporary:
        namespace = temporary.hold(_user_namespace(users, groups))
        mapped = mounts.mount_attr(mounts.ATTR_IDMAP, user_namespace=namespace)
        mounts.mount_setattr(tree, mapped, recursive="ridmap" in options.words)
    return tree


def _user_namespace(users: tuple[IdMapping, ...], groups: tuple[IdMapping, ...]) -> int:
    """Return a user namespace with these mappings; its process is gone by then."""
    with ChildLaunch() as launch:
        die_with_parent(launch.calls)
        launch.end.report(launch.calls, "the user namespace is made")
        child, channel = launch.start(flags=FLAGS["user"])
        channel.await_calls()
        map_ids(child.pid, Linux(uid_mappings=users, gid_mappings=groups))
        return os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def _filled(
    mount: Mount, options: MountOptions, destination: Destination, opened: Descriptors
) -> int:
    """Return a tmpfs with a copy of the directory that it covers. (fsopen(2), fsmount(2))

    Its root has the mode and the owner of that directory, unless the options set others.
    """
    with Descriptors() as temporary:
        context = temporary.hold(mounts.open_file_system(b"tmpfs"))
        mounts.configure(context, b"source", os.fsencode(mount.source or "tmpfs"))
        for word in filter(None, options.data.decode().split(",")):
            key, is_set, value = word.partition("=")
            mounts.configure(context, os.fsencode(key), os.fsencode(value) if is_set else None)
        tmpfs = opened.hold(mounts.mount_file_system(context))
        target = f"/proc/self/fd/{tmpfs}"
        for number, directory in enumerate(reversed(destination.copied), start=1):
            source = temporary.hold(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK))
            if number == len(destination.copied):
                status = os.fstat(source)
                owner = -1 if options.has("uid") else status.st_uid
                os.chown(target, owner, -1 if options.has("gid") else status.st_gid)
            _copy(f"/proc/self/fd/{source}", target)
    if destination.mode is not None:
        os.chmod(target, destination.mode)
    return tmpfs


def _copy(source: str, target: str) -> None:
    import shutil

    for entry in os.scandir(source):
        path = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            os.makedirs(path, exist_ok=True)
            _copy(entry.path, path)
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), path)
        elif entry.is_file():
            shutil.copyfile(entry.path, path)
        else:
            continue
        status = entry.stat(follow_symlinks=False)
        os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            os.chmod(path, stat.S_IMODE(status.st_mode))
