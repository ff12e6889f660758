"""Entries of a layer as a user namespace can hold them: mapped owners, and no devices.

(user_namespaces(7))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runtime.errors import InvalidConfig
from runtime.images import tar_reader
from runtime.images.layer import WHITEOUT
from runtime.images.tar_reader import Entry, TarReader

DEVICES = "devices"
_DEVICES = (tar_reader.CHARACTER, tar_reader.BLOCK)


class Ids:
    """The users or groups of the user namespace of this process, by a file such as uid_map."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="ascii") as file:
            numbers = [[int(word) for word in line.split()] for line in file]
        self._ranges = [range(first, first + count) for first, _, count in numbers]

    def __contains__(self, number: int) -> bool:
        return any(number in each for each in self._ranges)

    def __str__(self) -> str:
        return ", ".join(
            f"{each.start} to {each.stop - 1}" if len(each) > 1 else str(each.start)
            for each in self._ranges
        )


class MappedReader(TarReader):
    """Iterates over the entries of a layer that is unpacked in a user namespace.

    An owner that is not mapped becomes root with `squash`, and is refused without. A device, which
    only the host's root may create, becomes a whiteout: it hides the file that it would replace.
    Devices are counted in `skipped`, by the name DEVICES. Raise InvalidConfig.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        uids: Ids,
        gids: Ids,
        skipped: dict[str, int],
        *,
        squash: bool,
    ) -> None:
        super().__init__(pieces)
        self._uids = uids
        self._gids = gids
        self._squash = squash
        self._skipped = skipped
        self._devices: set[bytes] = set()

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            path = _path(entry.name)
            if entry.kind == tar_reader.HARD_LINK:
                if _path(entry.link) in self._devices:
                    self._skip_device(entry, path)
            elif entry.kind in _DEVICES and not _is_whiteout(entry):
                self._skip_device(entry, path)
            else:
                self._devices.discard(path)
                if not path.rpartition(b"/")[2].startswith(WHITEOUT):
                    self._map(entry)
            yield entry

    def _skip_device(self, entry: Entry, path: bytes) -> None:
        self._skipped[DEVICES] = self._skipped.get(DEVICES, 0) + 1
        self._devices.add(path)
        above, slash, name = path.rpartition(b"/")
        entry.kind, entry.name = tar_reader.REGULAR, above + slash + WHITEOUT + name

    def _map(self, entry: Entry) -> None:
        if entry.uid not in self._uids:
            self._refuse_unmapped(entry, "user", entry.uid, self._uids)
            entry.uid = 0
        if entry.gid not in self._gids:
            self._refuse_unmapped(entry, "group", entry.gid, self._gids)
            entry.gid = 0

    def _refuse_unmapped(self, entry: Entry, kind: str, number: int, ids: Ids) -> None:
        if self._squash:
            return
        name = entry.name.decode("utf-8", "backslashreplace")
        file, option = f"/etc/sub{kind[0]}id", "--unmapped-ids root"
        raise InvalidConfig(
            f"The layer's {name} belongs to the {kind} {number}, but the user namespace has only"
            f" the {kind}s {ids}: grant more in {file}, or pass {option}."
        )


def _path(name: bytes) -> bytes:
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def _is_whiteout(entry: Entry) -> bool:
    """Return True for overlayfs' own whiteout, which is refused later."""
    return (entry.kind, entry.major, entry.minor) == (tar_reader.CHARACTER, 0, 0)
