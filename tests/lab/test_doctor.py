"""The doctor's document, and the verdict on KVM that is kept for one boot of the host."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lab import targets
from lab.cli import exit_codes, main
from lab.errors import LabError
from lab.host import facts, kvm
from lab.measurement import host_record
from lab.userland import guest_kernel, kvm_probe
from vms import MachineError
from vms.qemu import acceleration

THIS_BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host on which /dev/kvm can be opened."""
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "device")
    (tmp_path / "device").touch()


@pytest.fixture
def no_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host on which the guest to prove KVM with can't be had; QEMU is there."""

    def refuse(_: object) -> tuple[Path, Path]:
        raise LabError("There is no network.")

    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **_: which(name) or which("true"))
    monkeypatch.setattr(guest_kernel, "probe_machine", refuse)


def keep_verdict(*, works: bool, boot: str = THIS_BOOT, ways: int = 2) -> None:
    verdict = {"works": works, "reason": "as kept"}
    kvm.verdict_path().write_text(json.dumps({"boot": boot, "verdict": verdict, "ways": ways}))


def fact(found: host_record.HostRecord, name: str) -> facts.Fact:
    return next(each for each in found.facts if each.name == name)


def test_the_document_is_json_and_agrees_with_the_kernel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["doctor", "--format", "json", "--accel", "tcg"]) == exit_codes.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["kernel"] == os.uname().release
    assert document["cpus"] == len(os.sched_getaffinity(0))
    assert document["memory_bytes"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (document["accelerator"], document["emulated"]) == ("tcg", True)
    assert document["kvm"]["works"] is None
    assert set(document["targets"]) == set(targets.NAMES)
    assert document["cgroup"]["version"] in {"v1", "v2", "hybrid", "none"}


def test_every_doubt_says_what_it_means() -> None:
    for each in host_record.inspect("tcg").facts:
        assert each.value, each.name
        assert each.state == "ok" or each.meaning, each.name


def test_what_is_absent_is_named_with_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert main.main(["doctor", "--accel", "tcg"]) == exit_codes.DONE
    said = capsys.readouterr().out
    for package in ("qemu-system-x86", "mmdebstrap", "crun", "podman"):
        assert f"apt-get install {package}" in said


def test_a_controller_counts_if_a_group_can_be_made_there(
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


@pytest.mark.parametrize(("own", "usable"), [(True, ("cpu", "memory")), (False, ())])
def test_in_a_container_only_enabled_controllers_count(
    own: bool, usable: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory hugetlb\n")
    if not own:
        (tmp_path / "cgroup.type").write_text("domain\n")
    read = facts._read
    mounts = f"cgroup2 {tmp_path} cgroup2 rw,nosuid 0 0\n"
    monkeypatch.setattr(facts, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(facts, "_read", lambda at: mounts if "mounts" in at else read(at))
    assert facts.cgroups() == facts.Cgroups("v2", usable)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("works", [True, False])
def test_a_verdict_is_kept_for_this_boot(works: bool) -> None:
    keep_verdict(works=works)
    assert kvm_probe.prove(lambda _: None) == kvm.Verdict(works, "as kept")
    found = host_record.inspect("auto")
    assert found.accelerator == ("kvm" if works else "tcg")
    assert found.emulated is not works
    assert ("as kept" in fact(found, "KVM").value) and (
        str(kvm.verdict_path()) in repr(found)
    ) is not works


@pytest.mark.usefixtures("device", "no_guest")
@pytest.mark.parametrize("written", ["another boot's", "", "{", '{"boot": 1}', '{"works": "no"}'])
def test_a_verdict_of_another_boot_or_a_torn_one_is_not_believed(written: str) -> None:
    keep_verdict(works=True, boot="another")
    if written != "another boot's":
        kvm.verdict_path().write_text(written)
    assert kvm_probe.prove(lambda _: None).works is None


@pytest.mark.usefixtures("device", "no_guest")
def test_what_was_not_tried_is_not_kept() -> None:
    found = kvm_probe.prove(lambda _: None)
    assert found == kvm.Verdict(None, "not tried: no guest to boot (There is no network)")
    assert not kvm.verdict_path().exists()
    assert host_record.inspect("auto").accelerator == "tcg"


@pytest.fixture
def in_two_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Which kernels ran, in turn, on a host whose KVM runs what names itself uncompressed."""
    tried: list[str] = []
    for name in ("vmlinuz", "vmlinux"):
        (tmp_path / name).touch()

    def boots(kernel: Path, *_: object) -> acceleration.Verdict:
        tried.append(kernel.name)
        works = kernel.name in RUN_BY_KVM
        return acceleration.Verdict(works, "a guest ran" if works else "a guest hung")

    monkeypatch.setattr(acceleration, "_DEVICE", str(tmp_path / "device"))
    monkeypatch.setattr(acceleration, "boots", boots)
    monkeypatch.setattr(guest_kernel, "probe_machine", lambda _: (tmp_path / "vmlinuz", tmp_path))
    monkeypatch.setattr(guest_kernel, "uncompressed", lambda *_: tmp_path / "vmlinux")
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    return tried


RUN_BY_KVM: set[str] = set()


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(
    ("run", "tries", "works", "needs_pvh"),
    [
        ({"vmlinuz", "vmlinux"}, ["vmlinuz"], True, False),
        ({"vmlinux"}, ["vmlinuz", "vmlinux"], True, True),
        (set(), ["vmlinuz", "vmlinux"], False, False),
    ],
)
def test_kvm_is_tried_in_two_ways(
    run: set[str], tries: list[str], works: bool, needs_pvh: bool, in_two_ways: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.modules[__name__], "RUN_BY_KVM", run)
    found = kvm_probe.prove(lambda _: None)
    assert in_two_ways == tries
    assert (found.works, found.needs_pvh) == (works, needs_pvh)
    assert kvm_probe.prove(lambda _: None) == found
    assert in_two_ways == tries, "it was not kept"
    assert kvm.needs_pvh() is needs_pvh
    told = fact(host_record.inspect("auto"), "KVM")
    assert told.state == ("ok" if works and not needs_pvh else "limited")
    assert ("uncompressed kernel (PVH)" in told.value) == (tries == ["vmlinuz", "vmlinux"])
    assert ("works in part" in told.value) is needs_pvh


@pytest.mark.usefixtures("device")
def test_a_verdict_by_one_way_is_tried_by_the_other_too(in_two_ways: list[str]) -> None:
    keep_verdict(works=False, ways=1)
    assert kvm_probe.prove(lambda _: None).reason != "as kept"
    assert in_two_ways == ["vmlinuz", "vmlinux"]


@pytest.mark.usefixtures("device", "in_two_ways")
def test_a_kernel_that_cannot_be_unpacked_is_said_not_to_have_been_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> Path:
        raise MachineError("xz is missing.")

    monkeypatch.setattr(guest_kernel, "uncompressed", refuse)
    found = kvm_probe.prove(lambda _: None)
    assert found.works is False
    assert found.reason == "a guest hung; an uncompressed kernel was not tried (xz is missing)"


@pytest.mark.usefixtures("device")
def test_the_accelerator_can_be_forced_either_way_and_is_warned_about() -> None:
    keep_verdict(works=False)
    told: list[str] = []
    found = host_record.inspect("kvm", told.append)
    assert found.accelerator == "kvm"
    assert fact(found, "KVM").state == "limited"
    assert any("as kept" in sentence for sentence in told)
    keep_verdict(works=True)
    assert host_record.inspect("tcg").accelerator == "tcg"


def test_a_host_without_the_device_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "kvm")
    assert kvm_probe.prove(lambda _: None) == kvm.Verdict(False, "there is no /dev/kvm")
