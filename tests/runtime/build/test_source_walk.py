"""The files that sources name, without a change of root."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from runtime.build.source_walk import LinkNamed, Request, Walk
from runtime.errors import InvalidConfig


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.txt", "sub/c.txt", "sub/deep/d", "other/deep/e.txt"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o640)
    (tmp_path / "root/sub/link").symlink_to("c.txt")
    (tmp_path / "root/alias").symlink_to("/sub")
    return tmp_path / "root"


def walked(root: Path, *sources: str, destination: str = "/x", **options: Any) -> list[list[Any]]:
    request = Request(str(root), [], list(sources), destination, options.pop("into", True),
                      **options)  # fmt: skip
    walk = Walk(request, str(root))
    return [walk.described(each) for each in walk.sources()]


def names(root: Path, *sources: str, **options: Any) -> list[str]:
    return [row[0] for row in walked(root, *sources, **options)]


def test_a_file_is_described_by_mode_and_digest_alone(root: Path) -> None:
    digest = hashlib.sha256(b"a.txt").hexdigest()
    assert walked(root, "a.txt") == [["x/a.txt", "100640", 0, 0, digest]]
    assert walked(root, "a.txt", into=False) == [["x", "100640", 0, 0, digest]]


def test_the_content_of_a_directory_is_sorted_and_its_links_are_kept(root: Path) -> None:
    rows = walked(root, "sub")
    assert [row[0] for row in rows] == ["x", "x/c.txt", "x/deep", "x/deep/d", "x/link"]
    assert rows[0][1:] == ["40755", 0, 0, ""]
    assert rows[-1][4] == "c.txt"
    assert names(root, "sub", keeps_destination=True)[0] == "x/c.txt"
    assert names(root, ".", destination="/", exclude=["*/deep", "*.txt"]) == [
        "alias", "other", "sub", "sub/c.txt", "sub/link",
    ]  # fmt: skip


def test_patterns_do_not_cross_directories(root: Path) -> None:
    assert names(root, "*.txt", "s*/c*") == ["x/a.txt", "x/b.txt", "x/c.txt"]
    assert names(root, "none*") == []
    with pytest.raises(InvalidConfig, match="2 files match it"):
        names(root, "*.txt", into=False)


def test_parents_are_kept(root: Path) -> None:
    assert names(root, "sub/deep/d", parents=True) == ["x/sub", "x/sub/deep", "x/sub/deep/d"]
    assert names(root, "sub/./deep", parents=True) == ["x/deep", "x/deep/d"]
    assert names(root, "o*/./**/e.txt", parents=True) == ["x/deep", "x/deep/e.txt"]
    assert names(root, "**/deep", parents=True, exclude=["**/d"]) == [
        "x/other", "x/other/deep", "x/other/deep/e.txt", "x/sub", "x/sub/deep",
    ]  # fmt: skip


def test_what_is_ignored(root: Path) -> None:
    assert names(root, "sub", ignored=["sub/deep", "**/*.txt"]) == ["x", "x/link"]
    assert names(root, "sub", ignored=["sub", "!sub/deep/d"]) == ["x", "x/deep/d"]
    for source, ignored in (("a.txt", ["*.txt"]), ("sub", ["sub"]), ("none", [])):
        with pytest.raises(InvalidConfig, match="is not there"):
            names(root, source, ignored=ignored)


@pytest.mark.parametrize("source", ["alias", "alias/c.txt", "al*", "sub/link", "sub/l*"])
def test_a_link_on_the_way_is_not_followed(root: Path, source: str) -> None:
    with pytest.raises(LinkNamed):
        names(root, source)


@pytest.mark.parametrize("source", ["../x", "sub/../../x", ".."])
def test_no_source_leads_out(root: Path, source: str) -> None:
    with pytest.raises(InvalidConfig, match="leads out"):
        names(root, source)
