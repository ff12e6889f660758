"""Files are evicted from the page cache and read back; other files are not affected."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import pytest

from lab.measurement import page_cache

SIZE = 64 * mmap.PAGESIZE


def resident_pages(path: Path) -> int:
    """Return how many pages of the file are in the page cache. (mincore(2))"""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE,
                                            flags=mmap.MAP_PRIVATE) as mapped:  # fmt: skip
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        pages = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE))()
        assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), len(mapped), pages) == 0
        return sum(page & 1 for page in pages)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with two files that are clean and in the page cache."""
    folder = tmp_path / "tree" / "deep"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        with (folder / name).open("wb") as file:
            file.write(os.urandom(SIZE))
            file.flush()
            os.fsync(file.fileno())
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "nowhere").symlink_to("missing")
    os.mkfifo(folder / "fifo")
    if resident_pages(folder / "one") != SIZE // mmap.PAGESIZE:
        pytest.skip("this file system does not use the page cache")
    page_cache.evict([folder / "one"])
    if resident_pages(folder / "one"):
        pytest.skip("this file system (tmpfs?) can't evict pages")
    page_cache.read_in([folder / "one"])
    return folder


def test_files_are_evicted_and_read_back(tree: Path) -> None:
    page_cache.evict([tree])
    assert resident_pages(tree / "one") == resident_pages(tree / "two") == 0
    page_cache.read_in([tree])
    assert resident_pages(tree / "one") == resident_pages(tree / "two") == SIZE // mmap.PAGESIZE


def test_only_the_given_files_are_evicted(tree: Path) -> None:
    page_cache.evict([tree / "one"])
    assert resident_pages(tree / "one") == 0
    assert resident_pages(tree / "two") == SIZE // mmap.PAGESIZE


def test_missing_files_are_ignored(tmp_path: Path) -> None:
    page_cache.evict([tmp_path / "missing"])
    page_cache.read_in([tmp_path / "missing"])
