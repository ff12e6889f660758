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
    spec: Spec, layout: Layout, bundle: str, spaces: Namespaces, held: Descriptors
) -> dict[int, int]:
    """The mounts, by their number in the configuration. Raises ContainerError."""
    found = {}
    for number, (mount, destination) in enumerate(zip(spec.mounts, layout.mounts, strict=True)):
        options = MountOptions.of(mount.options)
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


def _opened(path: str, options: MountOptions) -> int:
    """A mount of what is at a path. (open_tree(2))"""
    return mounts.open_tree(os.fsencode(path), recursive=bool(options.flags & mounts.REC))


def _mapped(
    mount: Mount, options: MountOptions, linux: Linux, bundle: str, held: Descriptors
) -> int:
    """One whose owners are others inside. (mount_setattr(2), "ID-mapped mounts")"""
    tree = held.hold(_opened(source_path(mount, bundle), options))
    users = mount.uid_mappings or linux.uid_mappings
    groups = mount.gid_mappings or linux.gid_mappings
    with Descriptors() as opened:
        namespace = opened.hold(_user_namespace(users, groups))
        mapped = mounts.mount_attr(mounts.ATTR_IDMAP, user_namespace=namespace)
        mounts.mount_setattr(tree, mapped, recursive="ridmap" in options.words)
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


def _filled(
    mount: Mount, options: MountOptions, destination: Destination, held: Descriptors
) -> int:
    """A tmpfs with a copy of what is there in the container. (fsopen(2), fsmount(2))

    Its own directory has the mode and the owner of the one that it covers, unless it is said
    otherwise.
    """
    with Descriptors() as opened:
        context = opened.hold(mounts.open_file_system(b"tmpfs"))
        mounts.configure(context, b"source", os.fsencode(mount.source or "tmpfs"))
        for word in filter(None, options.data.decode().split(",")):
            key, is_set, value = word.partition("=")
            mounts.configure(context, os.fsencode(key), os.fsencode(value) if is_set else None)
        made = held.hold(mounts.mount_file_system(context))
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
