"""The files of an archive of images, by name, in a scratch directory.

Names of an archive never become names on the disk, so none can lead out of the directory.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import InvalidConfig
from runtime.images import tar_reader
from runtime.images.layer import Limits
from runtime.images.manifest import LARGEST_MANIFEST_BYTES
from runtime.images.tar_reader import Entry, TarReader

_MOST_FILES = 100_000
_MOST_LINKS = 10


class Members:
    """The files of an archive, copied to `directory`. If a name comes twice, the last one counts.

    `pieces` yields the archive. Raise InvalidConfig for a stream that is not an archive, or that
    holds more than `limits` allow.
    """

    def __init__(self, directory: Path, pieces: Iterable[bytes], limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._files: dict[str, Path] = {}
        self._links: dict[str, tuple[str, str]] = {}
        self._size_bytes = self._copies = 0
        reader = TarReader(pieces)
        entries = iter(reader)
        try:
            entry = next(entries, None)
        except InvalidConfig as error:
            why = str(error)
            words = f"The file is not an archive of images: {why[:1].lower()}{why[1:]}"
            raise InvalidConfig(words) from None
        while entry is not None:
            self._add(reader, entry)
            entry = next(entries, None)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def path(self, name: str) -> Path:
        """Return the copy of a file; a link leads to another file. Raise InvalidConfig."""
        path = self._find(name)
        if path is None:
            raise InvalidConfig(f"The archive has no file {name}.")
        return path

    def document(self, name: str) -> bytes:
        """Return the content of a small file. Raise InvalidConfig."""
        with self.path(name).open("rb") as file:
            document = file.read(LARGEST_MANIFEST_BYTES + 1)
        if len(document) > LARGEST_MANIFEST_BYTES:
            raise InvalidConfig(f"The archive's {name} is larger than any manifest.")
        return document

    def _find(self, name: str) -> Path | None:
        for _ in range(_MOST_LINKS):
            if name in self._files:
                return self._files[name]
            targets = self._links.get(name, ())
            known = (each for each in targets if each in self._files or each in self._links)
            name = next(known, "")
        return None

    def _add(self, reader: TarReader, entry: Entry) -> None:
        name = _normal(entry.name)
        if entry.kind == tar_reader.REGULAR:
            self._copy(reader, entry, name)
            self._links.pop(name, None)
        elif entry.kind in (tar_reader.SYMLINK, tar_reader.HARD_LINK):
            # Some programs write the target of a symbolic link as a name of the archive, too.
            target, parent = _normal(entry.link), posixpath.dirname(name)
            beside = posixpath.normpath(posixpath.join(parent, target))
            is_symbolic = entry.kind == tar_reader.SYMLINK
            self._links[name] = (beside, target) if is_symbolic else (target, target)
            self._files.pop(name, None)
        if len(self._files) + len(self._links) > _MOST_FILES:
            raise InvalidConfig(f"The archive has more than {_MOST_FILES} files.")

    def _copy(self, reader: TarReader, entry: Entry, name: str) -> None:
        self._size_bytes += max(entry.size_bytes, entry.length_bytes)
        if self._size_bytes > self._limits.size_bytes:
            raise InvalidConfig(f"The archive holds more than {self._limits.size_bytes} bytes.")
        if name not in self._files:
            self._copies += 1
            self._files[name] = self._directory / str(self._copies)
        path = self._files[name]
        with path.open("wb") as file:
            if entry.pieces is None:
                file.writelines(reader.content())
                return
            file.truncate(entry.length_bytes)
            for offset, piece in reader.pieces(entry):
                if offset + len(piece) > entry.length_bytes:
                    raise InvalidConfig(f"The archive has a sparse file {name} beyond its end.")
                file.seek(offset)
                file.write(piece)


def _normal(name: bytes) -> str:
    return posixpath.normpath(name.decode("utf-8", "surrogateescape"))
