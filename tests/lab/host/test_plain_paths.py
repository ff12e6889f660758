"""Plain paths for directories whose own paths some tools can't use."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import plain_paths
from lab.paths import cache_directory

PACKAGES = Path(plain_paths.__file__).parents[2]
ODD = ["a,b", "a:b", "a b", "a%20b'\"x", "a\\b", "ä", "l" * 90, "new\nline", "a=b", "a;b"]


@pytest.fixture(autouse=True)
def aliases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plain_paths, "_ALIASES", tmp_path)
    monkeypatch.setattr(plain_paths, "_LONGEST", len(os.fsencode(tmp_path)) + 25)
    return tmp_path


@pytest.mark.parametrize("name", ODD)
def test_an_odd_cache_path_has_a_plain_alias_during_the_block(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / name
    monkeypatch.setenv("TONNAGE_CACHE", str(odd))
    with plain_paths.plain_cache():
        assert plain_paths.is_plain(cache_directory())
        (cache_directory() / "part").mkdir()
        inside = cache_directory()
    assert (odd / "part").is_dir()
    assert os.environ["TONNAGE_CACHE"] == str(odd)
    assert not inside.is_symlink()


def test_a_link_of_a_killed_run_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "a,b"))
    with plain_paths.plain_cache():
        alias = cache_directory()
    alias.symlink_to("/nowhere")
    with plain_paths.plain_cache():
        assert cache_directory().resolve() == tmp_path / "a,b"


def test_a_plain_cache_keeps_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))
    with plain_paths.plain_cache():
        assert cache_directory() == tmp_path / "cache"


def test_a_cache_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "file" / "a,b"))
    with (
        pytest.raises(LabError, match=r"can't be used: .*Set TONNAGE_CACHE to another directory"),
        plain_paths.plain_cache(),
    ):
        pass


def test_a_relative_cache_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONNAGE_CACHE", "own")
    relative = cache_directory()
    monkeypatch.chdir("/")
    assert relative == tmp_path / "own"


@pytest.mark.parametrize("where", ["l" * 90, "with space", "nowhere"])
def test_temporary_directories_are_short_enough_for_sockets(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_paths, "_LONGEST", 40)
    if where != "nowhere":
        (tmp_path / where).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / where))
    with (
        plain_paths.temporary_directory("tonnage-") as directory,
        socket.socket(socket.AF_UNIX) as end,
    ):
        end.bind(str(Path(directory) / ("s" * 40)))


def test_files_that_the_code_reads_are_packaged_with_it() -> None:
    """A wheel contains only the packages."""
    for package in ("lab", "runtime", "vms"):
        for source in (PACKAGES / package).rglob("*.py"):
            depth = len(source.relative_to(PACKAGES).parts) - 1
            for above in re.findall(r"__file__\)\.parents\[(\d)\] / ", source.read_text("utf-8")):
                assert int(above) < depth, source
