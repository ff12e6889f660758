"""Cgroups on directories that imitate the kernel's file systems."""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING

import pytest

from runtime import ContainerError, cgroups
from runtime.cgroups import files
from runtime.cgroups.hierarchies import Host, locate
from runtime.cgroups.oom import OomEvents
from runtime.launcher.program import Program
from runtime.spec.config import Cpu, HugepageLimit, Memory, Pids, Resources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.cgroups import Cgroup

V1_FILES = {
    "cpu": {"cpu.shares": "1024", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1"},
    "cpuset": {"cpuset.cpus": "", "cpuset.mems": ""},
    "memory": {"memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1",
               "memory.usage_in_bytes": "7", "memory.oom_control": "oom_kill 0"},
    "devices": {"devices.list": "a *:* rwm", "devices.deny": "", "devices.allow": ""},
    "freezer": {"freezer.state": "THAWED"},
    "pids": {"pids.max": "max", "pids.current": "0"},
}  # fmt: skip
V2_FILES = {
    "cgroup.controllers": "cpu memory pids", "cgroup.subtree_control": "", "cgroup.procs": "",
    "cgroup.freeze": "0", "memory.max": "max", "memory.current": "7", "memory.swap.max": "max",
    "memory.swap.current": "0", "memory.low": "0", "cpu.weight": "100", "cpu.max": "max 100000",
    "cpu.stat": "usage_usec 1", "pids.max": "max",
}  # fmt: skip
LIMITS = Resources(
    memory=Memory(limit=64 << 20),
    cpu=Cpu(shares=512, quota=50_000, period=100_000),
    pids=Pids(limit=10),
)


class Tree:
    """A directory tree in which cgroups get their files when made, and lose them when removed.

    `refuses` has for the path of a file a function that returns True for values to refuse.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.refuses: dict[str, Callable[[str], bool]] = {}
        self.contents: Callable[[Path], dict[str, str]] = lambda _: {}
        self.mkdir, self.rmdir = os.mkdir, os.rmdir
        self.written: list[tuple[str, str]] = []
        monkeypatch.setattr(os, "mkdir", self.make)
        monkeypatch.setattr(os, "rmdir", self.remove)
        monkeypatch.setattr(files, "write", self.write)
        # The kernel may forbid loading a program; tests/system does it.
        monkeypatch.setattr("runtime.cgroups.v2.cgroup.CgroupV2._limit_devices", lambda *_: None)

    def make(self, path: str, mode: int = 0o777) -> None:
        self.mkdir(path, mode)
        directory = self.root / path
        for name, text in self.contents(directory).items():
            (directory / name).write_text(text)

    def remove(self, path: str) -> None:
        directory = self.root / path
        if any(each.is_dir() for each in directory.iterdir()):
            raise OSError(errno.EBUSY, "in use")
        for file in directory.iterdir():
            file.unlink()
        self.rmdir(path)

    def write(self, path: str, value: str) -> None:
        if not (self.root / path).exists():
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        if path in self.refuses and self.refuses[path](value):
            raise OSError(errno.EINVAL, "invalid")
        self.written.append((path.rpartition("/")[2], value))
        (self.root / path).write_text(value)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch)


@pytest.fixture
def v1(tree: Tree) -> Host:
    def contents(directory: Path) -> dict[str, str]:
        return V1_FILES[directory.relative_to(tree.root).parts[0]] | {
            "tasks": "", "cgroup.procs": "",
        }  # fmt: skip

    tree.contents = contents
    for name in V1_FILES:
        tree.make(str(tree.root / name))
    (tree.root / "cpuset" / "cpuset.cpus").write_text("0-3\n")
    (tree.root / "cpuset" / "cpuset.mems").write_text("0\n")
    return Host({name: str(tree.root / name) for name in V1_FILES}, None)


@pytest.fixture
def v2(tree: Tree) -> Host:
    tree.contents = lambda _: V2_FILES
    root = tree.root / "unified"
    tree.make(str(root))
    return Host({}, str(root))


def child_does(cgroup: Cgroup) -> list[str]:
    """Return the steps by which a child joins the cgroup, each once."""
    program = Program()
    cgroup.join(program)
    return list(dict.fromkeys(program.names))


def test_version_2_gets_its_own_spelling(v2: Host, tree: Tree) -> None:
    cgroup = cgroups.create("box", "1", host=v2)
    cgroup.limit(LIMITS)
    box = tree.root / "unified" / "box"
    assert cgroup.paths == {"": str(box)}
    assert (box / "memory.max").read_text() == "67108864"
    assert (box / "cpu.max").read_text() == "50000 100000"
    assert (box / "cpu.weight").read_text() == "59"
    assert (box / "pids.max").read_text() == "10"
    assert cgroup.memory_bytes() == 7
    descriptor = cgroup.clone_descriptor()
    assert os.readlink(f"/proc/self/fd/{descriptor}") == str(box)  # noqa: PTH115
    assert child_does(cgroup) == []
    cgroup.remove()
    assert not box.exists()
    assert not os.path.exists(f"/proc/self/fd/{descriptor}")  # noqa: PTH110


def test_version_2_hands_the_controllers_down_from_the_root_on(v2: Host, tree: Tree) -> None:
    cgroups.create("/slice/box", "1", host=v2)
    enabled = [value for name, value in tree.written if name == "cgroup.subtree_control"]
    assert enabled == ["+cpu +memory +pids"] * 2


def test_version_2_without_a_controller_refuses_the_limit_by_name(v2: Host, tree: Tree) -> None:
    cgroup = cgroups.create("", "box", host=v2)
    directory = tree.root / "unified" / "tonnage-box"
    (directory / "memory.max").unlink()
    (directory / "cgroup.controllers").write_text("cpu pids")
    with pytest.raises(ContainerError, match=r"memory\.limit.* no memory\.max.*controller memory"):
        cgroup.limit(LIMITS)


def test_check_before_update_refuses_what_would_kill(v2: Host, tree: Tree) -> None:
    cgroup = cgroups.create("", "box", host=v2)
    (tree.root / "unified/tonnage-box/memory.current").write_text("1000000")
    with pytest.raises(ContainerError, match=r"1000000.*checkBeforeUpdate"):
        cgroup.update(Resources(memory=Memory(limit=900_000, check_before_update=True)))
    assert (tree.root / "unified/tonnage-box/memory.max").read_text() == "max"
    cgroup.update(Resources(memory=Memory(limit=900_000)))
    assert (tree.root / "unified/tonnage-box/memory.max").read_text() == "900000"


@pytest.mark.parametrize("there", ["docker", "docker/deep", "docker/deep/box"])
def test_an_empty_cpuset_on_the_way_is_filled_from_above(v1: Host, tree: Tree, there: str) -> None:
    """Cpusets made by others count too; a cpuset with a value keeps it and passes it on."""
    directory = tree.root / "cpuset"
    for name in there.split("/"):
        directory /= name
        tree.make(str(directory))
    (tree.root / "cpuset/docker/cpuset.mems").write_text("1\n")
    cgroups.create("/docker/deep/box", "1", host=v1)
    for name in ("docker", "docker/deep", "docker/deep/box"):
        assert (tree.root / "cpuset" / name / "cpuset.cpus").read_text() == "0-3", name
        assert (tree.root / "cpuset" / name / "cpuset.mems").read_text().strip() == "1", name


def test_a_cpuset_leaves_out_what_is_exclusive_to_a_neighbour(v1: Host, tree: Tree) -> None:
    """The kernel refuses the parent's full list if a neighbour has exclusive use of a part."""
    neighbour = tree.root / "cpuset/neighbour"
    tree.make(str(neighbour))
    (neighbour / "cpuset.cpus").write_text("1-2\n")
    (neighbour / "cpuset.cpu_exclusive").write_text("1\n")
    own = tree.root / "cpuset/docker/cpuset.cpus"
    tree.refuses[str(own)] = lambda value: value == "0-3"
    cgroups.create("/docker/box", "1", host=v1)
    assert own.read_text() == "0,3"
    assert (tree.root / "cpuset/docker/box/cpuset.cpus").read_text() == "0,3"
    (neighbour / "cpuset.cpus").write_text("0-3\n")
    tree.refuses[str(tree.root / "cpuset/other/cpuset.cpus")] = lambda value: value == "0-3"
    with pytest.raises(ContainerError, match="have exclusive use"):
        cgroups.create("/other", "2", host=v1)


def test_a_hierarchy_without_cpus_is_named(v1: Host, tree: Tree) -> None:
    (tree.root / "cpuset/cpuset.mems").write_text("\n")
    with pytest.raises(ContainerError, match=r"cpuset/cpuset\.mems is empty"):
        cgroups.create("/docker/box", "1", host=v1)
    assert not (tree.root / "cpuset/docker").exists()


def test_version_1_has_a_directory_in_each_hierarchy(v1: Host, tree: Tree) -> None:
    cgroup = cgroups.create("/docker/box", "1", host=v1)
    assert cgroup.paths == {name: f"{tree.root}/{name}/docker/box" for name in V1_FILES}
    cgroup.limit(LIMITS)
    assert (tree.root / "memory/docker/box/memory.limit_in_bytes").read_text() == "67108864"
    assert (tree.root / "cpu/docker/box/cpu.cfs_quota_us").read_text() == "50000"
    assert (tree.root / "cpu/docker/box/cpu.shares").read_text() == "512"
    assert (tree.root / "pids/docker/box/pids.max").read_text() == "10"
    assert (tree.root / "cpuset/docker/cpuset.cpus").read_text() == "0-3"
    assert (tree.root / "cpuset/docker/box/cpuset.mems").read_text() == "0"
    assert child_does(cgroup) == [f"join the cgroup of {name}" for name in V1_FILES]
    assert cgroup.clone_descriptor() is None
    cgroup.close()


def test_what_is_planned_is_joined_once_it_is_made(v1: Host, tree: Tree) -> None:
    cgroup = cgroups.plan("/docker/box", "1", host=v1)
    assert not list(tree.root.glob("*/docker"))
    joins = child_does(cgroup)
    assert len(joins) == len(V1_FILES)
    cgroup.make()
    assert child_does(cgroup) == joins
    assert cgroup.paths == {name: f"{tree.root}/{name}/docker/box" for name in V1_FILES}
    assert all(os.path.isdir(path) for path in cgroup.paths.values())  # noqa: PTH112


def test_a_plan_that_fails_is_no_danger_to_what_is_there(v1: Host, tree: Tree) -> None:
    tree.make(str(tree.root / "pids/box"))
    (tree.root / "pids/box/cgroup.procs").write_text("4711\n")
    cgroup = cgroups.plan("box", "1", host=v1)
    with pytest.raises(ContainerError, match=r"pids/box exists and has processes.* 4711"):
        cgroup.make()
    cgroup.remove()
    assert [path.parent.name for path in tree.root.glob("*/box")] == ["pids"]


def test_version_1_refuses_a_limit_whose_controller_is_absent(v1: Host, tree: Tree) -> None:
    host = Host({"pids": v1.hierarchies["pids"]}, None)
    cgroup = cgroups.create("", "box", host=host)
    with pytest.raises(ContainerError, match=r"memory\.limit.*no memory cgroup"):
        cgroup.limit(LIMITS)
    assert list((tree.root / "memory").glob("*/")) == []


def test_a_hybrid_host_has_both(v1: Host, tree: Tree) -> None:
    unified = tree.root / "unified"
    shown = {"cgroup.controllers": "hugetlb", "cgroup.subtree_control": "", "cgroup.procs": ""}
    of_v1 = tree.contents
    tree.contents = lambda path: (
        shown | {"hugetlb.2MB.max": "max"} if unified in path.parents else of_v1(path)
    )
    tree.mkdir(str(unified))
    for name, text in shown.items():
        (unified / name).write_text(text)
    host = Host(v1.hierarchies, str(unified))
    assert not host.is_v2
    cgroup = cgroups.create("", "box", host=host)
    cgroup.limit(Resources(hugepage_limits=(HugepageLimit(page_size="2MB", limit=4 << 20),)))
    assert (unified / "tonnage-box/hugetlb.2MB.max").read_text() == str(4 << 20)
    assert cgroup.clone_descriptor() is not None
    assert len(child_does(cgroup)) == len(V1_FILES)
    cgroup.remove()
    assert not list(tree.root.glob("*/tonnage-box"))


def test_what_the_kernel_refuses_is_tried_again_once_the_rest_is_set(v1: Host, tree: Tree) -> None:
    """The kernel demands at every moment that memory is below memory plus swap."""
    cgroup = cgroups.create("", "box", host=v1)
    limit, swap = (
        tree.root / "memory/tonnage-box" / name
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    )
    tree.refuses[str(limit)] = lambda value: int(value) > int(swap.read_text())
    tree.refuses[str(swap)] = lambda value: int(value) < int(limit.read_text())
    for megabytes in (10, 50, 20):
        limit.write_text("15")
        swap.write_text(f"{15 << 20}" if megabytes > 10 else f"{60 << 20}")
        cgroup.update(Resources(memory=Memory(limit=megabytes << 20, swap=megabytes << 20)))
        assert int(limit.read_text()) == int(swap.read_text()) == megabytes << 20


def test_an_update_that_fails_changes_nothing(v1: Host, tree: Tree) -> None:
    cgroup = cgroups.create("", "box", host=v1)
    cgroup.limit(LIMITS)
    path = f"{tree.root}/pids/tonnage-box/pids.max"
    tree.refuses[path] = lambda value: value == "3"
    with pytest.raises(ContainerError, match=r"pids\.limit.*'3'.*pids\.max"):
        cgroup.update(Resources(memory=Memory(limit=1 << 20), pids=Pids(limit=3)))
    limit = tree.root / "memory/tonnage-box/memory.limit_in_bytes"
    assert limit.read_text() == str(64 << 20)


def test_nothing_is_left_of_a_creation_that_fails(
    v1: Host, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the directories nor their new parents remain."""
    make = tree.make

    def refused(path: str, mode: int = 0o777) -> None:
        if "/pids/" in path:
            raise PermissionError(errno.EACCES, "Permission denied")
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(ContainerError, match=r"pids/docker/box: Permission denied"):
        cgroups.create("/docker/box", "1", host=v1)
    assert [path for path in tree.root.glob("*/*") if path.is_dir()] == []


def test_an_existing_cgroup_is_taken_over_if_nothing_runs_in_it(v1: Host, tree: Tree) -> None:
    tree.make(str(tree.root / "pids/box"))
    tree.make(str(tree.root / "pids/box/sub"))
    (tree.root / "pids/box/sub/cgroup.procs").write_text("4711\n")
    with pytest.raises(ContainerError, match=r"pids/box/sub exists and has processes.* 4711"):
        cgroups.create("box", "1", host=v1)
    assert not (tree.root / "memory/box").exists()
    assert (tree.root / "pids/box").is_dir()
    (tree.root / "pids/box/sub/cgroup.procs").write_text("")
    cgroups.create("box", "1", host=v1).remove()
    assert not (tree.root / "pids/box").exists()


def test_a_frozen_cgroup_is_not_taken_over(v1: Host, tree: Tree) -> None:
    tree.make(str(tree.root / "freezer/box"))
    (tree.root / "freezer/box/freezer.state").write_text("FROZEN\n")
    with pytest.raises(ContainerError, match="is frozen"):
        cgroups.create("box", "1", host=v1)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_another_process_comes_back_by_the_paths(
    version: str, request: pytest.FixtureRequest
) -> None:
    first = cgroups.create("box", "1", host=request.getfixturevalue(version))
    again = cgroups.reopen(first.paths)
    assert type(again) is type(first)
    assert again.exists()
    first.remove()
    assert not again.exists()


def test_disabled_cgroups_limit_nothing_and_say_so(v1: Host) -> None:
    cgroup = cgroups.create("", "box", manager="disabled", host=v1)
    cgroup.limit(Resources())
    assert (cgroup.paths, child_does(cgroup), cgroup.clone_descriptor()) == ({}, [], None)
    assert cgroup.processes() == []
    with pytest.raises(ContainerError, match=r"pids\.limit"):
        cgroup.limit(Resources(pids=Pids(limit=1)))
    with pytest.raises(ContainerError, match="pause"):
        cgroup.freeze()
    cgroup.remove()


def test_an_unknown_manager_is_refused(v1: Host) -> None:
    with pytest.raises(ContainerError, match="no cgroup manager 'cgm'"):
        cgroups.create("", "box", manager="cgm", host=v1)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("", "tonnage-box"),
        ("/a/b", "a/b"),
        ("a/b/", "a/b"),
        ("/../../a", "a"),
        ("../a/./b/../c", "a/c"),
        ("/kubepods:x", "kubepods:x"),
    ],
)
def test_paths_are_below_the_root(path: str, location: str) -> None:
    assert locate(path, "box") == location


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", "root of all"),
        ("a/..", "root of all"),
        ("a\0b", "NUL"),
        ("a\nb", "newline"),
        ("system.slice:docker:1", "systemd cgroup manager"),
    ],
)
def test_paths_that_make_no_sense_are_refused(path: str, reason: str) -> None:
    with pytest.raises(ContainerError, match=reason):
        locate(path, "box")


def test_mounts_are_read_from_the_table(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,xattr,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/systemd rw shared:1 - cgroup cgroup rw,name=systemd\n"
        "34 31 0:31 / /mnt/memory rw - cgroup cgroup rw,memory\n"
        "35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    host = Host.mounted(table=str(table))
    assert host.hierarchies == {
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "systemd": "/sys/fs/cgroup/systemd",
    }
    assert host.unified == "/sys/fs/cgroup/unified"
    assert not host.is_v2
    with table.open("a") as lines:
        lines.write("36 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
    assert Host.mounted(table=str(table)).is_v2, "a mount over them hides the others"


def test_what_changed_without_a_kill_does_not_end_the_wait_for_one() -> None:
    counts = iter([0, 0, 2])
    reading, writing = os.pipe()
    os.write(writing, b"changed")
    with OomEvents([reading], select.POLLIN, lambda: next(counts)) as events:
        assert events.wait(5) == 2
    os.close(writing)
