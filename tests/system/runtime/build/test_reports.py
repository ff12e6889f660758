"""Faults that users of other builders have reported, each as a small build of our own."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig
from tests.runtime.images.registry.server import Asked, Reply, digest_of, serving
from tests.system.runtime.build.images import built

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.store import Store

pytestmark = pytest.mark.root


def test_an_absolute_link_of_another_stage_is_followed_there(store: Store, context: Path) -> None:
    """buildah 1610"""
    made = built(
        store, context,
        "FROM base AS one\nRUN echo x >/bin/real && ln -s /bin/real /bin/alias\n"
        "FROM base\nCOPY --from=one /bin/alias /bin\n",
    )  # fmt: skip
    assert made.read("/bin/alias") == "x\n"
    assert not made.has("/bin/real")


def test_special_bits_are_copied_between_stages(store: Store, context: Path) -> None:
    """docker/for-linux 333"""
    made = built(
        store, context,
        "FROM base AS one\nRUN mkdir /d && touch /d/s && chmod 4700 /d/s\n"
        "FROM base\nCOPY --from=one /d/ /root/\n",
    )  # fmt: skip
    assert stat.S_IMODE(made.status("/root/s").st_mode) == 0o4700


def test_a_new_directory_gets_the_owner_of_its_content(store: Store, context: Path) -> None:
    """moby 38375, kaniko 579"""
    made = built(store, context, "FROM base\nCOPY --chown=me:us sub /new\n")
    for name in ("/new", "/new/c.txt", "/new/deep"):
        assert (made.status(name).st_uid, made.status(name).st_gid) == (1000, 1001), name


def test_an_owner_does_not_reach_existing_parents(store: Store, context: Path) -> None:
    """buildx 1855, buildkit 4964"""
    made = built(
        store, context,
        "FROM base\nRUN mkdir -p /foo/bar && chown -R 7:7 /foo && chmod 770 /foo /foo/bar\n"
        "COPY --link --chown=me:us sub/c.txt /foo/bar/baz/\n",
    )  # fmt: skip
    for name in ("/foo", "/foo/bar"):
        status = made.status(name)
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (7, 0o770), name
    assert made.status("/foo/bar/baz").st_uid == 1000


@pytest.mark.parametrize(
    ("rules", "kept", "hidden"),
    [
        (("*", "!sub/deep/d.sh"), ["/x/sub/deep/d.sh"], ["/x/a.txt", "/x/sub/c.txt"]),  # kaniko 466
        (("**/deep/",), ["/x/a.txt", "/x/sub/c.txt"], ["/x/sub/deep"]),  # kaniko 1396
        (("**/.git",), ["/x/a.txt"], ["/x/.git", "/x/sub/.git"]),  # kaniko 1486
    ],
)
def test_ignored_directories(
    store: Store, context: Path, rules: tuple[str, ...], kept: list[str], hidden: list[str]
) -> None:
    for directory in (context / ".git", context / "sub/.git"):
        directory.mkdir()
        (directory / "file").touch()
    made = built(store, context, "FROM scratch\nCOPY . /x/\n", ignored=rules)
    assert all(made.has(name) for name in kept)
    assert not [name for name in hidden if made.has(name)]


def test_ignored_names_are_those_of_the_context_alone(store: Store, context: Path) -> None:
    """kaniko 595"""
    made = built(
        store, context,
        "FROM base\nRUN mkdir /sub && touch /sub/x\nFROM base\nCOPY --from=0 /sub/ /sub/\n",
        ignored=("/sub/",),
    )  # fmt: skip
    assert made.has("/sub/x")


def test_an_ignored_source_is_an_error(store: Store, context: Path) -> None:
    """kaniko 3416"""
    with pytest.raises(InvalidConfig, match=r"'a\.txt' is not there"):
        built(store, context, "FROM scratch\nCOPY a.txt /\n", ignored=("a.txt",))


def test_a_class_of_names_may_be_negated(store: Store, context: Path) -> None:
    """kaniko 757"""
    (context / "sub/.hidden").touch()
    made = built(store, context, "FROM scratch\nCOPY ./sub/[^.]* /\n")
    assert made.has("/c.txt") and made.has("/d.sh") and not made.has("/.hidden")


def test_the_mount_point_of_a_cache_is_gone(store: Store, context: Path) -> None:
    """buildkit 2683, buildah 4811"""
    made = built(
        store, context,
        "FROM base\nRUN --mount=type=cache,target=/k/c,mode=777,uid=7 stat -c %a:%u /k/c >/x\n",
    )  # fmt: skip
    assert made.read("/x") == "777:7\n"
    assert not made.has("/k")


def test_here_documents_of_run_are_left_to_the_shell(store: Store, context: Path) -> None:
    """buildah 5213 and 5473"""
    made = built(
        store, context,
        "FROM base\nENV V=outer\nRUN <<EOF\nV=inner\necho \"$V\" '$V' >/one\nEOF\n"
        "RUN cat <<\\EOF >/two\n$V\nEOF\n",
    )  # fmt: skip
    assert (made.read("/one"), made.read("/two")) == ("inner $V\n", "$V\n")


def test_here_documents_of_copy_keep_quotes_and_escaped_dollars(
    store: Store, context: Path
) -> None:
    """buildah 5422 and 7103"""
    made = built(
        store, context,
        'FROM base\nENV V=value\nCOPY <<EOF /x\nexport P="\\$P:$V" # don\'t\n\'$V\'\nEOF\n',
    )  # fmt: skip
    assert made.read("/x") == "export P=\"$P:value\" # don't\n'value'\n"


def test_files_of_one_name_and_other_urls_are_told_apart(
    store: Store, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """buildkit 4999, 7108 and 5549: another query, another folder, the same ETag"""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match"):
            return Reply(304, headers={"ETag": '"another"'})  # buildkit 905 and 5344
        return Reply(200, asked.path.encode(), {"ETag": '"one"'})

    with serving(answer) as server:
        url = f"http://{server.host}"
        for _ in range(2):
            made = built(
                store, context,
                f"FROM scratch\nADD {url}/f?v=1 /a\nADD {url}/f?v=2 /b\nADD {url}/d/f /c\n",
            )  # fmt: skip
            assert [made.read(f"/{name}") for name in "abc"] == ["/f?v=1", "/f?v=2", "/d/f"]
        with pytest.raises(InvalidConfig, match="has the digest"):
            built(
                store, context,
                f"FROM scratch\nADD --checksum={digest_of(b'/d/f')} {url}/e/f /c\n",
            )  # fmt: skip
