"""registries.conf: where images come from, which registries are blocked, what names stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig
from runtime.images.reference import parse
from runtime.images.registry.registries_conf import Registries, default_files, load, mirror

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"@sha256:{'a' * 64}"


def loaded(directory: Path, *documents: str) -> Registries:
    files = []
    for number, document in enumerate(documents):
        files.append(directory / f"{number}.conf")
        files[-1].write_text(document)
    return load(files)


def places(registries: Registries, text: str) -> list[str]:
    """Return the places of an image; a mirror has a plus, an insecure one an exclamation mark."""
    return [
        f"{each.reference}{'+' if each.is_mirror else ''}{'!' if each.insecure else ''}"
        for each in registries.sources(parse(text))
    ]


def test_without_tables_an_image_is_where_its_name_says(tmp_path: Path) -> None:
    assert places(loaded(tmp_path, ""), "debian") == ["docker.io/library/debian:latest"]
    assert places(load([tmp_path / "missing"]), "r.io/a:1") == ["r.io/a:1"]


def test_mirrors_come_first_in_their_order(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        """
        [[registry]]
        prefix = "docker.io"
        location = "cache.example/hub"
        insecure = true
        [[registry.mirror]]
        location = "localhost:5000/"
        [[registry.mirror]]
        location = "mirror/docker.io"
        insecure = true
        """,
    )
    assert places(found, "debian:12") == [
        "localhost:5000/library/debian:12+",
        "mirror/docker.io/library/debian:12+!",
        "cache.example/hub/library/debian:12!",
    ]
    assert places(found, f"debian:12{DIGEST}")[0] == f"localhost:5000/library/debian:12{DIGEST}+"
    assert places(found, "docker.iox/a:1") == ["docker.iox/a:1"]
    assert found.is_insecure(parse("debian")) and not found.is_insecure(parse("r.io/a"))


def test_the_longest_prefix_counts(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        """
        [[registry]]
        location = "r.io"
        blocked = true
        [[registry]]
        prefix = "r.io/team/app"
        location = "other.io/x"
        [[registry]]
        prefix = "r.io/team/app:1"
        location = "one.io/y:2"
        """,
    )
    assert places(found, "r.io/team/app/sub:3") == ["other.io/x/sub:3"]
    assert places(found, "r.io/team/app:2") == ["other.io/x:2"]
    assert places(found, "r.io/team/app:1") == ["one.io/y:2"]
    for text in ("r.io/team/application:1", "r.io/team:1", "r.io:5000/a"):
        with pytest.raises(InvalidConfig, match=r"is blocked by .*0\.conf"):
            found.sources(parse(text))


def test_all_hosts_below_a_domain(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        """
        [[registry]]
        prefix = "*.example.com"
        insecure = true
        [[registry.mirror]]
        location = "m.io/e"
        """,
    )
    assert places(found, "a.b.example.com/x/y:1") == ["m.io/e/x/y:1+", "a.b.example.com/x/y:1!"]
    for text in ("example.com/x:1", "a.example.community/x:1", "r.io/a.example.com/x:1"):
        assert places(found, text) == [text]


@pytest.mark.parametrize(
    ("table", "mirror_table", "by_tag", "by_digest"),
    [
        ("", "", 2, 2),
        ("mirror-by-digest-only = true", "", 1, 2),
        ("", 'pull-from-mirror = "all"', 2, 2),
        ("", 'pull-from-mirror = "digest-only"', 1, 2),
        ("", 'pull-from-mirror = "tag-only"', 2, 1),
    ],
)
def test_which_references_a_mirror_serves(
    tmp_path: Path, table: str, mirror_table: str, by_tag: int, by_digest: int
) -> None:
    found = loaded(
        tmp_path,
        f'[[registry]]\nlocation = "r.io"\n{table}\n'
        f'[[registry.mirror]]\nlocation = "m.io"\n{mirror_table}\n',
    )
    assert len(places(found, "r.io/a:1")) == by_tag
    assert len(places(found, f"r.io/a{DIGEST}")) == by_digest
    assert len(places(found, f"r.io/a:1{DIGEST}")) == by_digest


def test_short_names(tmp_path: Path) -> None:
    aliases = '[aliases]\nfedora = "r.io/fedora"\n"my/app" = "r.io/app"\n"r.io/x" = "s.io/x"\n'
    found = loaded(tmp_path, f'unqualified-search-registries = ["q.io"]\n{aliases}')
    expected = {
        "fedora": "r.io/fedora:latest",
        "fedora:41": "r.io/fedora:41",
        f"fedora:41{DIGEST}": f"r.io/fedora:41{DIGEST}",
        "my/app:1": "r.io/app:1",
        "docker.io/fedora": "docker.io/library/fedora:latest",
        "r.io/x": "r.io/x:latest",
        "debian": "docker.io/library/debian:latest",
    }
    assert {text: str(found.resolve(text)) for text in expected} == expected


def test_later_files_override_earlier_ones(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        '[aliases]\na = "r.io/a"\nb = "r.io/b"\n[[registry]]\nlocation = "r.io"\nblocked = true\n',
        '[aliases]\na = ""\nb = "s.io/b"\n[[registry]]\nlocation = "r.io"\n',
    )
    assert str(found.resolve("a")) == "docker.io/library/a:latest"
    assert str(found.resolve("b")) == "s.io/b:latest"
    assert places(found, "r.io/a:1") == ["r.io/a:1"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("[[registry", "is not a TOML document"),
        (f"a = {'9' * 5000}", "is not a TOML document"),
        (f"a = {'[' * 5000}", "is not a TOML document"),
        ("registry = 1", "registry is not an array of tables"),
        ("registry = [1]", "registry is not an array of tables"),
        ("[[registry]]\ninsecure = true", "neither prefix nor location"),
        ('[[registry]]\nlocation = "https://r.io"', "leave out the scheme"),
        ("[[registry]]\nlocation = 1", "location is 1, not a string"),
        ('[[registry]]\nlocation = "r.io"\nblocked = "no"', "blocked is 'no', not true or false"),
        ('[[registry]]\nlocation = "r.io"\nmirror = "m.io"', "mirrors of r.io are not an array"),
        ('[[registry]]\nlocation = "r.io"\n[[registry.mirror]]', "mirror of r.io has no location"),
        (
            '[[registry]]\nlocation = "r.io"\n[[registry.mirror]]\nlocation = "m.io"\n'
            'pull-from-mirror = "never"',
            "'never', not all, digest-only, tag-only",
        ),
        (
            '[[registry]]\nlocation = "r.io"\nmirror-by-digest-only = true\n'
            '[[registry.mirror]]\nlocation = "m.io"\npull-from-mirror = "all"',
            "has both",
        ),
        ("aliases = 1", "aliases is not a table"),
        ("[aliases]\na = 1", "aliases.a is not a string"),
        ('[registries.search]\nregistries = ["r.io"]', "is written in version 1"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, document: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named) as caught:
        loaded(tmp_path, document)
    assert str(tmp_path / "0.conf") in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(InvalidConfig, match="x is not a TOML document"):
        load([tmp_path / "x"])
    with pytest.raises(InvalidConfig, match="can't be read: Is a directory"):
        load([tmp_path])


def test_the_users_file_replaces_the_systems(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    user = tmp_path / ".config/containers"
    (user / "registries.conf.d").mkdir(parents=True)
    for name in ("2.conf", "1.conf", "3.txt"):
        (user / "registries.conf.d" / name).touch()
    drop_ins = [user / "registries.conf.d" / name for name in ("1.conf", "2.conf")]
    without = default_files(environment)
    assert str(without[0]) == "/etc/containers/registries.conf"
    assert without[-2:] == drop_ins
    (user / "registries.conf").touch()
    assert default_files(environment) == [user / "registries.conf", *drop_ins]
    named = {**environment, "CONTAINERS_REGISTRIES_CONF": "/some/file"}
    assert str(default_files(named)[0]) == "/some/file"


def test_a_mirror_of_the_command_line(tmp_path: Path) -> None:
    source = mirror("localhost:5000/hub/", parse("debian:12"))
    assert (str(source.reference), source.is_mirror) == (
        "localhost:5000/hub/library/debian:12",
        True,
    )
    assert str(mirror("cache", parse(f"r.io/a{DIGEST}")).reference) == f"cache/a{DIGEST}"
    with pytest.raises(InvalidConfig, match="is not a registry's HOST"):
        mirror("http://localhost:5000", parse("debian"))
