"""Extract an archive into a directory of the host.

A separate process does it, with the directory as its root, so that no name and no link of the
archive leads out.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from runtime.errors import ContainerError, InvalidConfig, Unavailable
from runtime.images import archive_pipes, tar_reader
from runtime.images.layer import Limits
from runtime.images.tar_reader import Entry, TarReader
from runtime.linux import prctl

_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from runtime.build.extraction import main; sys.exit(main())"
)
_PIECE_BYTES = 1 << 18
_REFUSED, _FAILED = 3, 4
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = {tar_reader.CHARACTER: stat.S_IFCHR, tar_reader.BLOCK: stat.S_IFBLK}


def extract(archive: Iterable[bytes], directory: Path) -> None:
    """Extract an archive. Raise InvalidConfig for one that is refused, Unavailable."""
    command = [sys.executable, "-ISXutf8", "-c", _PROGRAM, str(_PACKAGES), str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        archive_pipes.write(process, archive)
        words = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode == _REFUSED:
        raise InvalidConfig(words)
    if process.returncode != 0:
        raise Unavailable(f"{directory} can't be filled: {words or process.returncode}.")


def main() -> int:
    """Extract the archive on standard input into the directory of the first argument."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    os.chroot(sys.argv[1])
    os.chdir("/")
    os.umask(0)
    pieces = iter(partial(os.read, 0, _PIECE_BYTES), b"")
    try:
        _extract(TarReader(pieces), Limits())
        for _ in pieces:
            pass  # the padding after the end of the archive, whose writer is still writing
    except ContainerError as error:
        print(error, file=sys.stderr)
        return _REFUSED
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return _FAILED
    return 0


def _extract(reader: TarReader, limits: Limits) -> None:
    """Create every entry below the root directory. Directories get their times at the end."""
    times: dict[bytes, int] = {}
    size_bytes = 0
    for number, entry in enumerate(reader, start=1):
        size_bytes += entry.size_bytes
        if number > limits.entries or size_bytes > limits.size_bytes:
            raise InvalidConfig("The archive is larger than a layer may be.")
        path = _path(entry.name)
        if entry.kind == tar_reader.DIRECTORY:
            _make_directory(path)
            times[path] = entry.mtime_ns
        else:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            _remove(path)
            _make(reader, entry, path)
        if entry.kind != tar_reader.HARD_LINK:
            _set_attributes(path, entry)
    for path, mtime_ns in times.items():
        with suppress(FileNotFoundError, NotADirectoryError):  # a later entry replaced it
            os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def _path(name: bytes) -> bytes:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts or b"\0" in name:
        raise InvalidConfig(f"The archive has an entry with '..' in its name: {name!r}.")
    return b"/" + b"/".join(parts)


def _make_directory(path: bytes) -> None:
    if not _is_directory(path):
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        _remove(path)
        os.mkdir(path, 0o700)


def _make(reader: TarReader, entry: Entry, path: bytes) -> None:
    if entry.kind == tar_reader.REGULAR:
        with open(os.open(path, _NEW, 0o600), "wb", buffering=0) as file:
            for offset, piece in _pieces(reader, entry):
                file.seek(offset)
                while piece:
                    piece = piece[file.write(piece) :]  # noqa: PLW2901 - the rest of it
            file.truncate(entry.length_bytes)
    elif entry.kind == tar_reader.HARD_LINK:
        try:
            os.link(_path(entry.link), path, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidConfig(f"The archive lacks {entry.link!r}, a hard link's file.") from None
    elif entry.kind == tar_reader.SYMLINK:
        os.symlink(entry.link, path)
    elif entry.kind == tar_reader.FIFO:
        os.mkfifo(path, 0o600)
    elif entry.kind in _DEVICES:
        os.mknod(path, _DEVICES[entry.kind] | 0o600, os.makedev(entry.major, entry.minor))
    else:
        raise InvalidConfig(f"The archive has an entry of the type {entry.kind!r}.")


def _pieces(reader: TarReader, entry: Entry) -> Iterable[tuple[int, bytes]]:
    """Yield the content of a file, each piece with its offset."""
    if entry.pieces is not None:
        yield from reader.pieces(entry)
        return
    at_bytes = 0
    for piece in reader.content():
        yield at_bytes, piece
        at_bytes += len(piece)


def _set_attributes(path: bytes, entry: Entry) -> None:
    """Set owner, mode, extended attributes and time: chown(2) clears setuid bits and labels."""
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind != tar_reader.SYMLINK:
        os.chmod(path, entry.mode)
    for name, value in entry.xattrs.items():
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
    if entry.kind != tar_reader.DIRECTORY:
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def _remove(path: bytes) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


if __name__ == "__main__":
    sys.exit(main())
