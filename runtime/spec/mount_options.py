"""Mount options as mount(8) spells them, sorted by the system call that takes them.

(OCI config.md, "Linux mount options"; mount(8), mount(2), mount_setattr(2))
"""

from __future__ import annotations

from runtime.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# MountOptions of a mount: flags of mount(2) to set and to clear, attributes to set and to clear.
_MOUNT_OPTIONS = {
    "ro": (mount.RDONLY, 0, mount.ATTR_RDONLY, 0),
    "rw": (0, mount.RDONLY, 0, mount.ATTR_RDONLY),
    "nosuid": (mount.NOSUID, 0, mount.ATTR_NOSUID, 0),
    "suid": (0, mount.NOSUID, 0, mount.ATTR_NOSUID),
    "nodev": (mount.NODEV, 0, mount.ATTR_NODEV, 0),
    "dev": (0, mount.NODEV, 0, mount.ATTR_NODEV),
    "noexec": (mount.NOEXEC, 0, mount.ATTR_NOEXEC, 0),
    "exec": (0, mount.NOEXEC, 0, mount.ATTR_NOEXEC),
    "nosymfollow": (mount.NOSYMFOLLOW, 0, mount.ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, mount.NOSYMFOLLOW, 0, mount.ATTR_NOSYMFOLLOW),
    "nodiratime": (mount.NODIRATIME, 0, mount.ATTR_NODIRATIME, 0),
    "diratime": (0, mount.NODIRATIME, 0, mount.ATTR_NODIRATIME),
    "noatime": (mount.NOATIME, 0, mount.ATTR_NOATIME, mount.ATTR_ATIME),
    "atime": (0, mount.NOATIME, 0, mount.ATTR_ATIME),
    "relatime": (mount.RELATIME, 0, 0, mount.ATTR_ATIME),
    "norelatime": (0, mount.RELATIME, mount.ATTR_STRICTATIME, mount.ATTR_ATIME),
    "strictatime": (mount.STRICTATIME, 0, mount.ATTR_STRICTATIME, mount.ATTR_ATIME),
    "nostrictatime": (0, mount.STRICTATIME, 0, mount.ATTR_ATIME),
}
# MountOptions of a file system or of the call itself: flags of mount(2) to set and to clear.
_FILE_SYSTEM_OPTIONS = {
    "defaults": (0, 0),
    "async": (0, mount.SYNCHRONOUS),
    "sync": (mount.SYNCHRONOUS, 0),
    "dirsync": (mount.DIRSYNC, 0),
    "iversion": (mount.IVERSION, 0),
    "noiversion": (0, mount.IVERSION),
    "lazytime": (mount.LAZYTIME, 0),
    "nolazytime": (0, mount.LAZYTIME),
    "mand": (mount.MANDLOCK, 0),
    "nomand": (0, mount.MANDLOCK),
    "silent": (mount.SILENT, 0),
    "loud": (0, mount.SILENT),
    "remount": (mount.REMOUNT, 0),
    "bind": (mount.BIND, 0),
    "rbind": (mount.BIND | mount.REC, 0),
}
PROPAGATIONS = {
    "private": mount.PRIVATE,
    "slave": mount.SLAVE,
    "shared": mount.SHARED,
    "unbindable": mount.UNBINDABLE,
    "rprivate": mount.PRIVATE | mount.REC,
    "rslave": mount.SLAVE | mount.REC,
    "rshared": mount.SHARED | mount.REC,
    "runbindable": mount.UNBINDABLE | mount.REC,
}
# MountOptions that the runtime itself carries out. (mount(8) has none of these)
_OWN = frozenset({"tmpcopyup", "idmap", "ridmap"})

_sorted: dict[tuple[str, ...], MountOptions] = {}
_CACHE_ENTRIES = 256


class MountOptions:
    """The options of one mount.

    `flags` and `data` are the arguments of mount(2). `attributes` and `recursive` are pairs of the
    attributes that mount_setattr(2) sets and clears: `attributes` on the mount itself, `recursive`
    on the mount and on all mounts below it. `propagations` are the propagation types, each of which
    takes a mount(2) of its own.
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
            elif word not in _OWN:
                data.append(word)
        self.data = ",".join(data).encode()

    @classmethod
    def of(cls, words: Iterable[str]) -> MountOptions:
        """Return these options from a cache: containers are given the same ones repeatedly."""
        key = tuple(words)
        if key not in _sorted:
            if len(_sorted) >= _CACHE_ENTRIES:
                _sorted.clear()
            _sorted[key] = cls(key)
        return _sorted[key]

    def has(self, name: str) -> bool:
        """Return True if an option of that name is given, with a value or without."""
        return name in self.words or any(word.startswith(f"{name}=") for word in self.words)

    @property
    def is_bind(self) -> bool:
        """Return True for a bind mount, which shows files that exist already."""
        return bool(self.flags & mount.BIND)


def known_options() -> set[str]:
    """Return every option that is not passed on to the file system."""
    recursive = {f"r{word}" for word in _MOUNT_OPTIONS}
    return {*_MOUNT_OPTIONS, *recursive, *_FILE_SYSTEM_OPTIONS, *PROPAGATIONS, *_OWN}


def _changed(before: tuple[int, int], sets: int, clears: int) -> tuple[int, int]:
    """Return the attributes to set and to clear after a further option.

    The last option overrules the earlier ones. A kind of atime is a value of a field, which is
    cleared as a whole before the value is set.
    """
    return before[0] & ~clears | sets, before[1] & ~(sets & ~mount.ATTR_ATIME) | clears
