"""A connection to libvirt's driver test:///default, which has one machine and no guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vms import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Yield a connection that the tests of a module share."""
    root = tmp_path_factory.mktemp("t")
    with Connection.open(root, "test:///default") as opened:
        yield opened
