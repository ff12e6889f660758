"""Sources of mounts: their paths, and their order within the limit of open descriptors."""

from __future__ import annotations

import pytest

from runtime import InvalidConfig
from runtime.launcher.program import Program
from runtime.rootfs.mount_sources import (
    HELD_AT_ONCE,
    SourceOpener,
    is_of_host,
    needs_reserved,
    normalized,
    source_path,
)
from runtime.spec.config import Mount


def bind(source: str, destination: str = "/m") -> Mount:
    return Mount(destination=destination, type="bind", source=source, options=("bind",))


@pytest.mark.parametrize(
    ("path", "expected"), [("a", "/a"), ("/a/../b/", "/b"), ("//x", "/x"), ("/..", "/")]
)
def test_destinations_are_normalized(path: str, expected: str) -> None:
    assert normalized(path) == expected


def test_a_relative_source_is_in_the_bundle() -> None:
    assert source_path(bind("data"), "/bundle") == "/bundle/data"
    assert source_path(bind("/data"), "/bundle") == "/data"


def test_file_systems_with_paths_of_the_host_are_known() -> None:
    assert is_of_host(Mount(destination="/o", type="overlay", source="overlay"))
    assert not is_of_host(Mount(destination="/t", type="tmpfs", source="tmpfs"))
    assert not is_of_host(bind("/etc"))


def test_sources_beyond_the_limit_are_opened_later() -> None:
    mounts = [bind("/etc", f"/m{number}") for number in range(HELD_AT_ONCE + 1)]
    assert needs_reserved(mounts)
    assert not needs_reserved(mounts[1:])
    sources = SourceOpener(Program()).binds(mounts, "/", {})
    assert [number for number, source in sources.items() if source.path] == [HELD_AT_ONCE]
    assert all(source.is_directory for source in sources.values())


def test_a_missing_source_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="the source of /m, /no/such: No such file"):
        SourceOpener(Program()).binds([bind("/no/such")], "/", {})
