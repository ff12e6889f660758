"""The LXC targets: why they are absent, the configuration that they write, and their errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import targets
from lab.host import facts
from lab.targets.base import Allotment, Settings
from lab.targets.containers import lxc
from lab.userland.build import Userland
from tests.lab.programs import program

SMALL = Allotment(cpus=0.5, memory_bytes=256 << 20, pids=64)
USABLE = facts.Cgroups("hybrid", ("cpu", "memory", "pids"))
DEVICES = ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
           "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"]  # fmt: skip


@pytest.mark.parametrize("name", ["lxc", "lxc-dir"])
def test_the_package_is_named_where_lxc_is_missing(name: str, path: Path) -> None:
    assert targets.find(name).absent() == "lxc-start is not installed: apt-get install lxc"


def test_lxc_needs_root_and_controllers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "lxc-start")
    monkeypatch.setattr(facts, "cgroups", lambda: USABLE)
    assert lxc.Lxc.absent() == ""
    monkeypatch.setattr(facts, "cgroups", lambda: facts.Cgroups("v2", ("memory",)))
    assert lxc.Lxc.absent() == "the cgroups here have no usable controller for cpu, pids"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lxc.Lxc.absent() == "it needs root"


def configured(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, *, unified: bool
) -> tuple[lxc.Lxc, list[str], list[tuple[str, str]]]:
    """Return a target, the words that start its instance `x`, and the settings in its file."""
    monkeypatch.setattr(lxc, "_UNIFIED", scratch if unified else scratch / "none")
    monkeypatch.setattr(lxc, "_APPARMOR", scratch / "none")
    nowhere = Path("/nonexistent")
    target = lxc.Lxc(Settings(Userland(nowhere, Path("/land"), *[nowhere] * 5), scratch, "tcg"))
    (target.instances / "x").mkdir(parents=True)
    words = list(target.run_words("x", SMALL))
    lines = (target.instances / "x" / "config").read_text().splitlines()
    settings = [(key, value) for key, _, value in (line.partition(" = ") for line in lines)]
    return target, words, settings


def test_the_configuration_has_the_conditions_of_the_other_runtimes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target, words, settings = configured(monkeypatch, tmp_path, unified=False)
    assert words == [
        "lxc-start", f"--lxcpath={target.instances}", "--name=x", "--foreground", "--",
        "/usr/lib/tonnage/payload", "serve", "x",
    ]  # fmt: skip
    assert settings[:4] == [
        ("lxc.rootfs.path", f"overlay:/land:{target.instances}/x/upper"),
        ("lxc.uts.name", "tonnage"),
        ("lxc.net.0.type", "empty"),
        ("lxc.net.0.flags", "up"),
    ]
    found = dict(settings)
    assert found["lxc.cap.keep"].split()[:3] == ["audit_write", "chown", "dac_override"]
    assert len(found["lxc.cap.keep"].split()) == 14
    assert not any(key.startswith(("lxc.seccomp", "lxc.apparmor")) for key, _ in settings)
    assert [found[f"lxc.cgroup.dir.{part}"] for part in ("container", "monitor")] == [
        "x", "x-monitor",
    ]  # fmt: skip
    assert found["lxc.cgroup.dir.monitor.pivot"] == f"tonnage-lxc-{os.getpid()}"


@pytest.mark.parametrize(
    ("unified", "limits"),
    [
        (False, [("memory.limit_in_bytes", "268435456"), ("cpu.cfs_period_us", "100000"),
                 ("cpu.cfs_quota_us", "50000"), ("pids.max", "64"), ("devices.deny", "a")]),
        (True, [("memory.max", "268435456"), ("cpu.max", "50000 100000"), ("pids.max", "64"),
                ("devices.deny", "a")]),
    ],
)  # fmt: skip
def test_limits_are_those_of_the_hosts_cgroup_version(
    unified: bool, limits: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, _, settings = configured(monkeypatch, tmp_path, unified=unified)
    version = "lxc.cgroup2." if unified else "lxc.cgroup."
    own = [
        (key.removeprefix(version), value)
        for key, value in settings
        if key.startswith(version) and ".dir." not in key
    ]
    assert own == limits + [("devices.allow", device) for device in DEVICES]
    other = "lxc.cgroup." if unified else "lxc.cgroup2."
    assert not [key for key, _ in settings if key.startswith(other) and ".dir." not in key]


def test_apparmor_is_switched_off_only_where_the_kernel_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lxc, "_APPARMOR", tmp_path)
    assert ("lxc.apparmor.profile", "unconfined") in list(lxc._settings())


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (b"", ""),
        (b"lxc-start: unrecognized option '--no-such-option'\nUsage: lxc-start\n\t[-d]\n",
         "lxc-start: unrecognized option '--no-such-option'"),
        (b"lxc-start: x: ../src/lxc/conf.c: mount_entry: 2440 No such file - Can't mount\n"
         b"lxc-start: x: ../src/lxc/start.c: __lxc_start: 2107 Failed to spawn container \"x\"\n"
         b"lxc-start: x: ../src/lxc/tools/lxc_start.c: main: 306 The container failed to start\n",
         "No such file - Can't mount"),
    ],
)  # fmt: skip
def test_the_first_line_of_an_error_is_the_reason(
    stderr: bytes, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target, _, _ = configured(monkeypatch, tmp_path, unified=False)
    assert target.error_words(stderr) == reason
