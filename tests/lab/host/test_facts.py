"""Facts about the host that need more than reading a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.host import facts


def test_a_controller_counts_if_a_cgroup_can_be_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "memory").mkdir()
    mounts = "".join(
        f"cgroup {tmp_path}/{name} cgroup rw,nosuid,{name} 0 0\n" for name in ("memory", "pids")
    )
    read = facts._read
    monkeypatch.setattr(facts, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(facts, "_read", lambda at: mounts if "mounts" in at else read(at))
    assert facts.cgroups() == facts.Cgroups("v1", ("memory",))
    assert facts.control_groups(facts.cgroups()).meaning == "no limits on cpu, pids"
    assert not list((tmp_path / "memory").iterdir())


@pytest.mark.parametrize(("is_root", "usable"), [(True, ("cpu", "memory")), (False, ())])
def test_in_a_container_only_enabled_controllers_count(
    is_root: bool, usable: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory hugetlb\n")
    if not is_root:
        (tmp_path / "cgroup.type").write_text("domain\n")
    read = facts._read
    mounts = f"cgroup2 {tmp_path} cgroup2 rw,nosuid 0 0\n"
    monkeypatch.setattr(facts, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(facts, "_read", lambda at: mounts if "mounts" in at else read(at))
    assert facts.cgroups() == facts.Cgroups("v2", usable)
