"""The flags of COPY and ADD, and their destinations."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig
from tests.runtime.images.archive import archive, member
from tests.system.runtime.build.images import built

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.store import Store

pytestmark = pytest.mark.root


def mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)


def test_symbolic_modes_change_those_of_the_sources(store: Store, context: Path) -> None:
    (context / "a.txt").chmod(0o600)
    made = built(
        store, context,
        "FROM base\nARG M=go+r\nCOPY --chmod=$M a.txt /a\nCOPY --chmod=u=rwX,go= sub /s\n"
        "COPY --chmod=o-r <<x /\ntext\nx\n",
    )  # fmt: skip
    assert mode(made.status("/a")) == 0o644
    assert mode(made.status("/s/deep/d.sh")) == 0o700
    assert mode(made.status("/s/c.txt")) == 0o600
    assert mode(made.status("/s/deep")) == 0o700
    assert mode(made.status("/x")) == 0o640


def test_parents_are_kept_from_the_pivot_on(store: Store, context: Path) -> None:
    (context / "sub/deep").chmod(0o710)
    made = built(
        store, context,
        "FROM base\nCOPY --parents a.txt sub/deep /one/\nCOPY --parents sub/./deep/d.sh /two\n"
        "COPY --parents **/*.txt /three/\nCOPY --parents ./*/./deep/. /four/\n",
    )  # fmt: skip
    assert (made.read("/one/a.txt"), made.read("/one/sub/deep/d.sh")[:2]) == ("a\n", "#!")
    assert mode(made.status("/one/sub/deep")) == 0o710
    assert made.has("/two/deep/d.sh") and not made.has("/two/sub")
    assert mode(made.status("/two/deep")) == 0o710
    assert made.has("/three/a.txt") and made.has("/three/sub/c.txt")
    assert not made.has("/three/sub/deep")
    assert made.has("/four/deep/d.sh")


def test_excluded_names_are_relative_to_the_source(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nCOPY --exclude=c.txt --exclude=**/*.sh sub /one/\n"
        "COPY --exclude=a* *.txt /two/\nADD --exclude=* --exclude=!deep sub /three/\n",
    )  # fmt: skip
    assert made.has("/one/deep")
    assert not made.has("/one/c.txt") and not made.has("/one/deep/d.sh")
    assert made.has("/two/b.txt") and not made.has("/two/a.txt")
    assert made.has("/three/deep/d.sh") and not made.has("/three/c.txt")


def test_a_directory_of_the_image_keeps_its_attributes(store: Store, context: Path) -> None:
    (context / "sub").chmod(0o700)
    made = built(
        store, context,
        "FROM base\nCOPY sub /tmp\nCOPY sub /new\nCOPY --chown=me:us sub/c.txt /made/by/it/\n",
    )  # fmt: skip
    assert mode(made.status("/tmp")) == 0o1777
    assert made.has("/tmp/c.txt")
    assert mode(made.status("/new")) == 0o755
    for name in ("/made", "/made/by", "/made/by/it", "/made/by/it/c.txt"):
        assert (made.status(name).st_uid, made.status(name).st_gid) == (1000, 1001), name


def test_a_pattern_that_one_file_matches_may_name_it_anew(store: Store, context: Path) -> None:
    made = built(store, context, "FROM scratch\nCOPY a.t?t /one\nCOPY none* a* /two/\n")
    assert (made.read("/one"), made.read("/two/a.txt")) == ("a\n", "a\n")
    with pytest.raises(InvalidConfig, match="2 files match it, so end the destination"):
        built(store, context, "FROM scratch\nCOPY *.txt /one\n")
    nothing = built(store, context, "FROM scratch\nCOPY none* /\n")
    assert len(nothing.image.manifest.layers) == 1


def test_with_link_the_destination_is_not_looked_at(store: Store, context: Path) -> None:
    made = built(store, context, "FROM base\nCOPY --link a.txt /root/\nCOPY --link a.txt /etc\n")
    assert made.read("/root/a.txt") == "a\n"
    assert made.read("/etc") == "a\n"


def test_hard_links_stay_links(store: Store, context: Path) -> None:
    os.link(context / "a.txt", context / "other")
    made = built(store, context, "FROM scratch\nCOPY . /x/\n")
    assert made.status("/x/a.txt").st_ino == made.status("/x/other").st_ino
    assert made.status("/x/a.txt").st_nlink == 2


def test_a_stage_without_layers_is_empty(store: Store, context: Path) -> None:
    made = built(
        store, context, "FROM scratch AS no\nENV A=1\nFROM scratch\nCOPY --from=no / /x/\n"
    )
    assert made.has("/x")
    with pytest.raises(InvalidConfig, match="'/bin' is not there"):
        built(store, context, "FROM scratch AS n\nENV A=1\nFROM scratch\nCOPY --from=n /bin /\n")


def test_archives_keep_their_owners(store: Store, context: Path) -> None:
    content = archive(member("f", content=b"f", uid=7), member("g", content=b"g", mode=0o600))
    (context / "x.tar").write_bytes(content)
    made = built(
        store, context,
        "FROM base\nADD --chown=me:us x.tar /own/\nADD --unpack=false x.tar /packed/\n"
        "ADD x.tar /plain\n",
    )  # fmt: skip
    assert (made.status("/own").st_uid, made.status("/own/f").st_uid) == (1000, 7)
    assert made.has("/packed/x.tar")
    assert (made.status("/plain/f").st_uid, mode(made.status("/plain/g"))) == (7, 0o600)


def test_the_hosts_owners_don_t_matter(store: Store, context: Path) -> None:
    first = built(store, context, "FROM scratch\nCOPY a.txt /\n")
    os.chown(context / "a.txt", 1234, 1234)
    second = built(store, context, "FROM scratch\nCOPY a.txt /\n")
    assert (first.status("/a.txt").st_uid, second.cached) == (0, 1)


def test_an_ignored_directory_with_an_exception_is_a_source(store: Store, context: Path) -> None:
    made = built(
        store, context, "FROM scratch\nCOPY sub /x/\n", ignored=("sub", "!sub/deep", "**/*.txt")
    )
    assert made.has("/x/deep/d.sh") and not made.has("/x/c.txt")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("COPY --chmod=u+z a.txt /", "--chmod=u\\+z is no mode"),
        ("COPY --link=maybe a.txt /", "neither true nor false"),
        ("COPY --chown= a.txt /", "--chown needs a value"),
        ("COPY --checksum=x a.txt /", "COPY has no option --checksum"),
        ("COPY http://localhost/x /", "COPY reads no URLs"),
        ("COPY https://localhost/x.git /", "COPY reads no URLs and no repositories"),
        ("ADD --checksum=sha256:00 http://localhost/x /", "is no digest"),
        (f"ADD --checksum=sha256:{'0' * 64} a.txt /", "--checksum belongs to one source"),
        ("ADD --from=base /bin /", "ADD has no option --from"),
        ("COPY a.txt", "COPY needs a source"),
    ],
)
def test_what_is_wrong_is_said(store: Store, context: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=f"Dockerfile:2: .*{named}"):
        built(store, context, f"FROM base\n{text}\n")
