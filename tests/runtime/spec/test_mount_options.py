"""Mount options, sorted by the system call that takes them."""

from __future__ import annotations

import pytest

from runtime.linux import mount
from runtime.spec.mount_options import MountOptions, known_options


def test_options_are_sorted_by_their_call() -> None:
    options = MountOptions(["ro", "nosuid", "rnoexec", "rslave", "mode=755", "size=1m"])
    assert options.flags == mount.RDONLY | mount.NOSUID
    assert options.attributes == (mount.ATTR_RDONLY | mount.ATTR_NOSUID, 0)
    assert options.recursive == (mount.ATTR_NOEXEC, 0)
    assert options.propagations == [mount.SLAVE | mount.REC]
    assert options.data == b"mode=755,size=1m"


@pytest.mark.parametrize(
    ("words", "flags", "attributes"),
    [
        (["ro", "rw"], 0, (0, mount.ATTR_RDONLY)),
        (["rw", "ro"], mount.RDONLY, (mount.ATTR_RDONLY, 0)),
        (
            ["noatime", "relatime"],
            mount.NOATIME | mount.RELATIME,
            (0, mount.ATTR_ATIME),
        ),
        (["relatime", "noatime"], mount.NOATIME | mount.RELATIME, (0x10, mount.ATTR_ATIME)),
    ],
)
def test_the_last_option_is_valid(
    words: list[str], flags: int, attributes: tuple[int, int]
) -> None:
    options = MountOptions(words)
    assert (options.flags, options.attributes) == (flags, attributes)


def test_options_of_the_runtime_itself_are_not_passed_on() -> None:
    options = MountOptions(["idmap", "tmpcopyup", "bind"])
    assert options.data == b""
    assert options.is_bind
    assert options.has("idmap")
    assert {"idmap", "rro", "rbind", "shared"} <= known_options()


def test_an_option_is_found_with_a_value_and_without() -> None:
    options = MountOptions(["mode=700", "noexec"])
    assert options.has("mode")
    assert options.has("noexec")
    assert not options.has("mod")
