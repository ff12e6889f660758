"""config-linux.md, "Control groups": a container's cgroup and its limits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.oci.driver import CGROUPS, cgroups_of

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

V2 = (CGROUPS / "cgroup.controllers").exists()
MIB = 1 << 20
PIDS_MAX = "pids.max" if V2 else "pids/pids.max"
# The limit; its file in version 1, after the hierarchy and a slash; its file in version 2.
Limit = tuple[str, dict[str, Any], tuple[str, str] | None, tuple[str, str] | None]
LIMITS: list[Limit] = [
    ("memory limit", {"memory": {"limit": 64 * MIB}},
     ("memory/memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    ("memory reservation", {"memory": {"limit": 64 * MIB, "reservation": 32 * MIB}},
     ("memory/memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")),
    ("memory swappiness", {"memory": {"swappiness": 7}},
     ("memory/memory.swappiness", "7"), None),
    ("memory without a limit", {"memory": {"limit": -1}}, None, ("memory.max", "max")),
    ("cpu shares", {"cpu": {"shares": 512}}, ("cpu/cpu.shares", "512"), ("cpu.weight", "")),
    ("cpu quota", {"cpu": {"quota": 30000, "period": 200000}},
     ("cpu/cpu.cfs_quota_us", "30000"), ("cpu.max", "30000 200000")),
    ("cpu period", {"cpu": {"quota": 30000, "period": 200000}},
     ("cpu/cpu.cfs_period_us", "200000"), ("cpu.max", "30000 200000")),
    ("cpu period alone", {"cpu": {"period": 200000}},
     ("cpu/cpu.cfs_period_us", "200000"), ("cpu.max", "max 200000")),
    ("cpu burst", {"cpu": {"quota": 30000, "period": 200000, "burst": 10000}},
     ("cpu/cpu.cfs_burst_us", "10000"), ("cpu.max.burst", "10000")),
    ("cpu idle", {"cpu": {"idle": 1}}, ("cpu/cpu.idle", "1"), ("cpu.idle", "1")),
    ("cpus", {"cpu": {"cpus": "0"}}, ("cpuset/cpuset.cpus", "0"), ("cpuset.cpus", "0")),
    ("mems", {"cpu": {"mems": "0"}}, ("cpuset/cpuset.mems", "0"), ("cpuset.mems", "0")),
    ("pids limit", {"pids": {"limit": 23}}, ("pids/pids.max", "23"), ("pids.max", "23")),
    ("pids without a limit", {"pids": {"limit": -1}},
     ("pids/pids.max", "max"), ("pids.max", "max")),
    ("unified", {"unified": {"pids.max": "29"}}, None, ("pids.max", "29")),
]  # fmt: skip


def directory(bundle: Bundle, file: str) -> Path:
    """Return the directory of a file, by the container's own cgroup paths."""
    pid = bundle.state()["pid"]
    hierarchy, _, name = file.rpartition("/")
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if hierarchy in controllers.split(","):
            return CGROUPS / hierarchy / path.lstrip("/") / name
    raise AssertionError(f"process {pid} is in no cgroup of {hierarchy or 'version 2'}")


def value_of(bundle: Bundle, file: str) -> str:
    return directory(bundle, file).read_text().strip()


@pytest.mark.skipif(
    not (CGROUPS / "cpuset").is_dir(), reason="needs the cpuset controller of cgroup version 1"
)
@pytest.mark.parametrize("deep", [0, 1, 2])
def test_an_empty_cpuset_on_the_way(bundle: Bundle, deep: int) -> None:
    """The cgroup, or one above it, was made without CPUs. (cpuset(7))"""
    levels = [bundle.identity, "above", "own"]
    (CGROUPS / "cpuset").joinpath(*levels[: deep + 1]).mkdir(parents=True)
    bundle.linux["cgroupsPath"] = "/" + "/".join(levels)
    bundle.linux["resources"] = {"cpu": {"cpus": "0", "mems": "0"}}
    bundle.running()
    assert value_of(bundle, "cpuset/cpuset.cpus") == "0"
    assert bundle.delete("--force")


@pytest.mark.skipif(
    not (CGROUPS / "cpuset").is_dir(), reason="needs the cpuset controller of cgroup version 1"
)
def test_exec_into_an_empty_cpuset(bundle: Bundle) -> None:
    """exec --cgroup into a sub-cgroup that the container made."""
    bundle.running()
    sub = directory(bundle, "cpuset/sub")
    sub.mkdir()
    result = bundle.exec("--cgroup", "cpuset:sub", bundle.identity, "cat", "/proc/self/cgroup")
    assert result, result.stderr
    assert f"{bundle.identity}/sub\n" in result.stdout


@pytest.mark.parametrize(
    ("name", "resources", "v1", "v2"), LIMITS, ids=[each[0] for each in LIMITS]
)
def test_resources(
    bundle: Bundle, name: str, resources: dict[str, Any], v1: tuple[str, str] | None,
    v2: tuple[str, str] | None,
) -> None:  # fmt: skip
    """Memory, CPU, PIDs, Unified: the cgroup's files have the configured values."""
    place = v2 if V2 else v1
    if place is None:
        pytest.skip(f"cgroup v{2 if V2 else 1} has no {name}")
    bundle.linux["resources"] = resources
    bundle.created()
    file, value = place
    assert value_of(bundle, file) == value or (value == "" and value_of(bundle, file))


@pytest.mark.parametrize("path", ["/{}", "/{}/inner", "{}", "{}/relative/inner"])
def test_cgroups_path(bundle: Bundle, path: str) -> None:
    """Cgroups Path: an absolute path MUST be relative to the cgroups mount point."""
    bundle.linux["cgroupsPath"] = path.format(bundle.identity)
    bundle.created()
    made = str(directory(bundle, PIDS_MAX).parent)
    expected = path.format(bundle.identity).lstrip("/")
    if path.startswith("/"):
        assert made == str(CGROUPS / ("" if V2 else "pids") / expected)
    else:
        assert made.endswith(expected)


def test_the_same_path_is_the_same_place(bundle: Bundle) -> None:
    """Cgroups Path: the same value MUST consistently lead to the same place."""
    bundle.linux["cgroupsPath"] = f"{bundle.identity}/again"
    places = []
    for _ in range(2):
        bundle.created()
        places.append(Path(f"/proc/{bundle.state()['pid']}/cgroup").read_text())
        assert bundle.delete("--force")
    assert places[0] == places[1]


def test_without_a_path_the_runtime_chooses_one(bundle: Bundle) -> None:
    """Cgroups Path: without a path two containers have different cgroups."""
    del bundle.linux["cgroupsPath"]
    second = bundle.runtime.bundle()
    del second.linux["cgroupsPath"]
    bundle.created()
    second.created()
    assert directory(bundle, PIDS_MAX) != directory(second, PIDS_MAX)
    for each in (bundle, second):
        assert each.delete("--force")
        assert cgroups_of(each.identity) == []


def test_a_path_does_not_lead_out_of_the_hierarchy(bundle: Bundle) -> None:
    """Cgroups Path: an invalid value MUST be an error; no value leads outside."""
    bundle.linux["cgroupsPath"] = f"/../../../{bundle.identity}"
    if bundle.create():
        assert directory(bundle, PIDS_MAX).exists()
        assert bundle.delete("--force")
    assert not Path("/sys", bundle.identity).exists()
    assert cgroups_of(bundle.identity) == []


def test_every_process_is_in_it(bundle: Bundle) -> None:
    """Control groups: all processes are in the container's cgroup of every hierarchy."""
    bundle.running("sleep 60 & sleep 60 & wait")
    made = [path for path in cgroups_of(bundle.identity) if (path / "cgroup.procs").exists()]
    assert made
    first = bundle.state()["pid"]
    assert str(first) in directory(
        bundle, "cgroup.procs" if V2 else "pids/cgroup.procs"
    ).read_text().split()  # fmt: skip
    for path in Path(f"/proc/{first}/cgroup").read_text().splitlines():
        name = path.split(":", 2)[2]
        assert name == "/" or bundle.identity in name


def test_the_allowed_device_list_is_applied_in_order(bundle: Bundle) -> None:
    """Allowed Device list: entries MUST be applied in the listed order."""
    bundle.linux["devices"] = [
        {"path": f"/dev/loop-{name}", "type": "b", "major": 7, "minor": minor, "fileMode": 0o666}
        for name, minor in (("allowed", 0), ("denied", 1))
    ]
    bundle.linux["resources"] = {
        "devices": [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "rw"},
            {"allow": True, "type": "b", "major": 7, "minor": 1, "access": "rw"},
            {"allow": False, "type": "b", "major": 7, "minor": 1, "access": "rw"},
        ]
    }
    bundle.shell(
        "for name in allowed denied; do"
        ' python3 -c "import os,sys; os.open(sys.argv[1], os.O_RDONLY)" /dev/loop-$name'
        " 2>/dev/null; echo $name $?; done; echo written >/dev/null && echo null"
    )
    result = bundle.run()
    assert result.stdout.split() == ["allowed", "0", "denied", "1", "null"]


def test_devices_are_denied_by_their_cgroup(bundle: Bundle) -> None:
    """Allowed Device list: a device that is not allowed can't be used, even by a node of it."""
    bundle.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    bundle.shell("mknod /tmp/loop b 7 0 && python3 -c 'open(\"/tmp/loop\")'; echo $?")
    assert bundle.run().stdout.strip() != "0"


def test_the_memory_limit_is_enforced(bundle: Bundle) -> None:
    """Memory: `limit` sets the limit of memory usage."""
    bundle.linux["resources"] = {"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}
    bundle.without_namespace("pid")
    bundle.process["args"] = ["/usr/bin/python3", "-c", f"len(bytearray({64 * MIB}))"]
    assert bundle.run().exit_code == 137


def test_the_pids_limit_is_enforced(bundle: Bundle) -> None:
    """PIDs: `limit` is the maximum number of tasks."""
    bundle.linux["resources"] = {"pids": {"limit": 5}}
    bundle.process["args"] = ["/usr/bin/python3", "-c", (
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 20:\n"
        "        if os.fork() == 0: time.sleep(5); os._exit(0)\n"
        "        made += 1\n"
        "except OSError: pass\n"
        "print(made, flush=True)\n"
    )]  # fmt: skip
    assert bundle.run().stdout == "4\n"


def test_the_cpus_are_those_that_are_named(bundle: Bundle) -> None:
    """CPU: the container runs on the CPUs of `cpus` only."""
    bundle.linux["resources"] = {"cpu": {"cpus": "0"}}
    assert bundle.report()["affinity"] == [0]


def test_a_hugepage_limit(bundle: Bundle) -> None:
    """Huge page limits: by page size; an error if the host can't set the limit."""
    bundle.linux["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}
    result = bundle.create()
    if result:
        files = [path / name for path in cgroups_of(bundle.identity)
                 for name in ("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max",
                              "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max")
                 if (path / name).exists()]  # fmt: skip
        assert str(4 * MIB) in {file.read_text().strip() for file in files}
    else:
        assert "huge" in result.stderr


def test_pause_and_resume(bundle: Bundle) -> None:
    """`pause` and `resume`: nothing runs while the container is paused."""
    bundle.running("while :; do echo .; sleep 0.02; done")
    assert bundle.runtime.tell("pause", bundle.identity)
    assert bundle.state()["status"] == "paused"
    before = bundle.output()
    time.sleep(0.1)
    assert bundle.output() == before
    assert bundle.runtime.tell("resume", bundle.identity)
    assert bundle.state()["status"] == "running"


def test_a_paused_container_is_deleted_with_force(bundle: Bundle) -> None:
    """`delete --force` kills frozen processes too."""
    bundle.running()
    assert bundle.runtime.tell("pause", bundle.identity)
    assert bundle.delete("--force")
    assert bundle.runtime.left(bundle.identity) == []


def test_update_changes_the_limits_of_what_runs(bundle: Bundle) -> None:
    """`update`: by options, and by a resources section."""
    bundle.linux["resources"] = {"pids": {"limit": 50}}
    bundle.running()
    assert bundle.runtime.tell("update", "--pids-limit", "60", bundle.identity)
    assert value_of(bundle, PIDS_MAX) == "60"
    resources = bundle.path / "resources.json"
    resources.write_text('{"memory": {"limit": 134217728}, "cpu": {"shares": 100}}')
    result = bundle.runtime.tell("update", "--resources", str(resources), bundle.identity)
    assert result, result.stderr
    memory = "memory.max" if V2 else "memory/memory.limit_in_bytes"
    assert value_of(bundle, memory) == "134217728"
    assert value_of(bundle, PIDS_MAX) == "60"


def test_events_tell_the_usage(bundle: Bundle) -> None:
    """`events --stats`: one JSON document with the usage."""
    bundle.linux["resources"] = {"pids": {"limit": 50}, "memory": {"limit": 128 * MIB}}
    bundle.running()
    result = bundle.runtime.tell("events", "--stats", bundle.identity)
    assert result, result.stderr
    event = json.loads(result.stdout)
    assert (event["type"], event["id"]) == ("stats", bundle.identity)
    assert event["data"]["pids"]["current"] >= 1
    assert event["data"]["pids"]["limit"] == 50
    assert event["data"]["memory"]["usage"]["limit"] == 128 * MIB
