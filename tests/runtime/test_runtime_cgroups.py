"""What is written where, on trees that stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import ContainerError
from runtime.cgroups import host
from runtime.cgroups.v1 import CgroupV1
from runtime.cgroups.v2 import CgroupV2, weight
from runtime.spec import Cpu, Memory, Pids, Resources

LIMITS = Resources(
    memory=Memory(limit=64 << 20),
    cpu=Cpu(shares=512, quota=50_000, period=100_000),
    pids=Pids(limit=10),
)


@pytest.fixture
def v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root whose children have the files that the kernel would make."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").touch()
    real = Path.mkdir

    def mkdir(path: Path, *arguments: object, **options: object) -> None:
        real(path, *arguments, **options)  # type: ignore[arg-type]
        for name in ("memory.max", "cpu.weight", "cpu.max", "pids.max", "memory.current"):
            (path / name).write_text("7\n")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return tmp_path


def test_version_2_gets_its_own_spelling(v2: Path) -> None:
    cgroup = CgroupV2("box", v2)
    cgroup.limit(LIMITS)
    box = v2 / "box"
    assert (box / "memory.max").read_text().split() == ["67108864"]
    assert (box / "cpu.max").read_text().strip() == "50000 100000"
    assert (box / "cpu.weight").read_text().split() == ["20"]
    assert (box / "pids.max").read_text().split() == ["10"]
    assert cgroup.memory_bytes() == 7
    descriptor = cgroup.clone_descriptor()
    assert descriptor is not None
    assert Path(f"/proc/self/fd/{descriptor}").readlink() == box
    assert cgroup.join_descriptors() == []
    cgroup.close()


def test_version_2_without_a_controller_refuses_the_limit_by_name(v2: Path) -> None:
    cgroup = CgroupV2("box", v2)
    (v2 / "box" / "memory.max").unlink()
    with pytest.raises(ContainerError, match=r"no memory\.max"):
        cgroup.limit(LIMITS)
    cgroup.close()


def test_unlimited_is_max_on_version_2(v2: Path) -> None:
    cgroup = CgroupV2("box", v2)
    cgroup.limit(Resources(memory=Memory(limit=-1), cpu=Cpu(quota=-1), pids=Pids(limit=-1)))
    assert (v2 / "box" / "memory.max").read_text() == "max"
    assert (v2 / "box" / "cpu.max").read_text() == "max 100000"
    cgroup.close()


@pytest.mark.parametrize(("shares", "expected"), [(2, 1), (1024, 39), (262144, 10000), (0, 1)])
def test_shares_become_weight(shares: int, expected: int) -> None:
    assert weight(shares) == expected


def test_version_1_refuses_a_limit_whose_controller_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(path: Path, *arguments: object, **options: object) -> None:
        real(path, *arguments, **options)  # type: ignore[arg-type]
        (path / "tasks").touch()

    (tmp_path / "pids").mkdir()
    monkeypatch.setattr(Path, "mkdir", mkdir)
    cgroup = CgroupV1("box", {"pids": tmp_path / "pids"})
    assert len(cgroup.join_descriptors()) == 1
    with pytest.raises(ContainerError, match="no memory cgroup"):
        cgroup.limit(LIMITS)
    cgroup.close()
    assert cgroup.join_descriptors() == []


def test_controllers_are_read_from_the_options() -> None:
    read = host._controllers
    assert read("cpu,cpuacct", "rw,nosuid,cpu,cpuacct") == "cpu,cpuacct"
    assert read("memory", "rw,relatime,memory") == "memory"
