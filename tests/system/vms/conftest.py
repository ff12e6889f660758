"""The user land that the machines of these tests boot."""

from __future__ import annotations

import pytest

from lab.userland import build


@pytest.fixture(scope="module")
def land() -> build.Userland:
    return build.build(lambda _: None)
