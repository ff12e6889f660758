"""What mount(2), open_tree(2), mount_setattr(2) take, and what options mean to them."""

from __future__ import annotations

from _struct import Struct

from runtime.launcher.program import Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_RECURSIVE = 0x100, 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0o2000000
MOVE_FROM_EMPTY_PATH, MOVE_TO_SYMLINKS, MOVE_TO_EMPTY_PATH = 0x04, 0x10, 0x40
FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC = 1, 1
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CREATE = 0, 1, 6
DETACH = 2  # umount2(2), MNT_DETACH

# mount(2)
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
REMOUNT, BIND, REC, SILENT = 32, 4096, 16384, 32768
UNBINDABLE, PRIVATE, SLAVE, SHARED = (1 << bit for bit in (17, 18, 19, 20))
_SYNCHRONOUS, _MANDLOCK, _DIRSYNC, _NOSYMFOLLOW = 16, 64, 128, 256
_NOATIME, _NODIRATIME, _RELATIME, _IVERSION = 1024, 2048, 1 << 21, 1 << 23
_STRICTATIME, _LAZYTIME = 1 << 24, 1 << 25

# mount_setattr(2); the kinds of atime are values of one field.
ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 1, 2, 4, 8
_ATTR_ATIME, _ATTR_NOATIME, _ATTR_STRICTATIME = 0x70, 0x10, 0x20
_ATTR_NODIRATIME, ATTR_IDMAP, _ATTR_NOSYMFOLLOW = 0x80, 0x100000, 0x200000
_ATTR = Struct("<4Q")

# openat2(2)
RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT = 0x04, 0x10
_OPEN_HOW = Struct("<3Q")

# Options of a mount: (flags of mount(2) to set and to clear, attributes to set and to clear).
_MOUNT_OPTIONS = {
    "ro": (RDONLY, 0, ATTR_RDONLY, 0),
    "rw": (0, RDONLY, 0, ATTR_RDONLY),
    "nosuid": (NOSUID, 0, _ATTR_NOSUID, 0),
    "suid": (0, NOSUID, 0, _ATTR_NOSUID),
    "nodev": (NODEV, 0, _ATTR_NODEV, 0),
    "dev": (0, NODEV, 0, _ATTR_NODEV),
    "noexec": (NOEXEC, 0, _ATTR_NOEXEC, 0),
    "exec": (0, NOEXEC, 0, _ATTR_NOEXEC),
    "nosymfollow": (_NOSYMFOLLOW, 0, _ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, _NOSYMFOLLOW, 0, _ATTR_NOSYMFOLLOW),
    "nodiratime": (_NODIRATIME, 0, _ATTR_NODIRATIME, 0),
    "diratime": (0, _NODIRATIME, 0, _ATTR_NODIRATIME),
    "noatime": (_NOATIME, 0, _ATTR_NOATIME, _ATTR_ATIME),
    "atime": (0, _NOATIME, 0, _ATTR_ATIME),
    "relatime": (_RELATIME, 0, 0, _ATTR_ATIME),
    "norelatime": (0, _RELATIME, _ATTR_STRICTATIME, _ATTR_ATIME),
    "strictatime": (_STRICTATIME, 0, _ATTR_STRICTATIME, _ATTR_ATIME),
    "nostrictatime": (0, _STRICTATIME, 0, _ATTR_ATIME),
}
# Options of a file system, or of the call: flags of mount(2) to set and to clear.
_FILE_SYSTEM_OPTIONS = {
    "defaults": (0, 0),
    "async": (0, _SYNCHRONOUS),
    "sync": (_SYNCHRONOUS, 0),
    "dirsync": (_DIRSYNC, 0),
    "iversion": (_IVERSION, 0),
    "noiversion": (0, _IVERSION),
    "lazytime": (_LAZYTIME, 0),
    "nolazytime": (0, _LAZYTIME),
    "mand": (_MANDLOCK, 0),
    "nomand": (0, _MANDLOCK),
    "silent": (SILENT, 0),
    "loud": (0, SILENT),
    "remount": (REMOUNT, 0),
    "bind": (BIND, 0),
    "rbind": (BIND | REC, 0),
}
PROPAGATIONS = {
    "private": PRIVATE,
    "slave": SLAVE,
    "shared": SHARED,
    "unbindable": UNBINDABLE,
    "rprivate": PRIVATE | REC,
    "rslave": SLAVE | REC,
    "rshared": SHARED | REC,
    "runbindable": UNBINDABLE | REC,
}
_OURS = frozenset({"tmpcopyup", "idmap", "ridmap"})


class Options:
    """Options as mount(8) spells them, sorted by the call that takes them.

    `flags` and `data` are mount(2)'s; `attributes` and `recursive` are pairs of what
    mount_setattr(2) is to set and to clear, the latter below the mount as well. (OCI config.md,
    "Linux mount options")
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.flags = 0
        self.attributes = self.recursive = 0, 0
        self.propagations: list[int] = []
        self.words = frozenset(words)
        data = []
        for word in words:
            if word in _MOUNT_OPTIONS:
                sets, clears, *attributes = _MOUNT_OPTIONS[word]
                self.flags = self.flags & ~clears | sets
                self.attributes = _changed(self.attributes, *attributes)
            elif word in _FILE_SYSTEM_OPTIONS:
                sets, clears = _FILE_SYSTEM_OPTIONS[word]
                self.flags = self.flags & ~clears | sets
            elif word in PROPAGATIONS:
                self.propagations.append(PROPAGATIONS[word])
            elif word[:1] == "r" and word[1:] in _MOUNT_OPTIONS:
                self.recursive = _changed(self.recursive, *_MOUNT_OPTIONS[word[1:]][2:])
            elif word not in _OURS:
                data.append(word)
        self.data = ",".join(data).encode()

    @classmethod
    def of(cls, words: Iterable[str]) -> Options:
        """These options, sorted once: containers have the same ones again and again."""
        key = tuple(words)
        if key not in _sorted:
            if len(_sorted) >= _MOST_KEPT:
                _sorted.clear()
            _sorted[key] = cls(key)
        return _sorted[key]

    def has(self, name: str) -> bool:
        """Return True if an option of that name is given, with a value or without."""
        return name in self.words or any(word.startswith(f"{name}=") for word in self.words)

    @property
    def is_bind(self) -> bool:
        """Whether what is mounted is a part of what is there."""
        return bool(self.flags & BIND)


_sorted: dict[tuple[str, ...], Options] = {}
_MOST_KEPT = 256


def open_how(flags: int, resolve: int) -> Block:
    """struct open_how. (openat2(2))"""
    return Block(_OPEN_HOW.pack(flags, 0, resolve))


def known_options() -> set[str]:
    """Every option that is not left to a file system."""
    recursive = {f"r{word}" for word in _MOUNT_OPTIONS}
    return {*_MOUNT_OPTIONS, *recursive, *_FILE_SYSTEM_OPTIONS, *PROPAGATIONS, *_OURS}


def attributes(sets: int, clears: int, propagation: int = 0, user_namespace: int = 0) -> Block:
    """struct mount_attr. (mount_setattr(2))"""
    return Block(_ATTR.pack(sets, clears, propagation, user_namespace))


def _changed(before: tuple[int, int], sets: int, clears: int) -> tuple[int, int]:
    """What to set and to clear once this is as well; what is set in a field, clears it first."""
    return before[0] & ~clears | sets, before[1] & ~(sets & ~_ATTR_ATIME) | clears
