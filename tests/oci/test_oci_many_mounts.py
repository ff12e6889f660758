"""config.md, "Mounts": as many as there are, whatever limit of descriptors the runtime has."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from tests.oci.users import FIRST_ID, IDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle


@pytest.fixture
def soft() -> Iterator[int]:
    """The soft limit that most hosts have; the hard one is higher there as well."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(1024, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.mark.parametrize("options", [("bind",), ("bind", "ro"), ("rbind",)])
@pytest.mark.parametrize("apart", [False, True])
def test_more_mounts_than_descriptors(
    bundle: Bundle, soft: int, options: tuple[str, ...], *, apart: bool
) -> None:
    """And the program has the limit that it has with few of them."""
    if apart:
        os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
        bundle.namespace("user")
        mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    source = bundle.path / "source"
    source.mkdir()
    for number in range(1100):
        bundle.mount(f"/m/{number}", "none", str(source), *options)
    bundle.shell("grep -c ' /m/' /proc/self/mounts; ulimit -S -n")
    done = bundle.run()
    assert done.stdout.split() == ["1100", str(soft)], done.stderr
