"""Id mappings of a user namespace, without making one."""

from __future__ import annotations

import pytest

from runtime.errors import Unavailable
from runtime.namespaces import id_mappings
from runtime.spec.config import IdMapping, Linux

RANGE = (IdMapping(container_id=0, host_id=100000, size=65536),)


@pytest.fixture
def _unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_mappings, "_may_map_any", lambda: False)


@pytest.mark.usefixtures("_unprivileged")
def test_ranges_of_a_user_need_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        Unavailable, match=r"need newuidmap, .* it is not installed. Install uidmap"
    ):
        id_mappings.map_ids(1, Linux(uid_mappings=RANGE))


@pytest.mark.usefixtures("_unprivileged")
def test_groups_can_be_set_only_with_more_than_the_own_group() -> None:
    assert id_mappings.may_set_groups(Linux(gid_mappings=RANGE))
    own = (IdMapping(container_id=0, host_id=1000, size=1),)
    assert not id_mappings.may_set_groups(Linux(gid_mappings=own))
