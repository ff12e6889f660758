"""The KVM probe: two kernels are tried, and the verdict is stored for one boot of the host."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import facts, kvm
from lab.measurement import host_record
from lab.userland import guest_kernel, kvm_probe
from vms import MachineError
from vms.qemu import acceleration

THIS_BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a host on which /dev/kvm can be opened."""
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "device")
    (tmp_path / "device").touch()


@pytest.fixture
def no_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a host with QEMU that can't build the guest of the probe."""

    def refuse(_: object) -> tuple[Path, Path]:
        raise LabError("There is no network.")

    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **_: which(name) or which("true"))
    monkeypatch.setattr(guest_kernel, "probe_machine", refuse)


def store_verdict(*, works: bool, boot: str = THIS_BOOT, ways: int = 2) -> None:
    verdict = {"works": works, "reason": "as stored"}
    kvm.verdict_path().write_text(json.dumps({"boot": boot, "verdict": verdict, "ways": ways}))


def fact(record: host_record.HostRecord, name: str) -> facts.Fact:
    return next(each for each in record.facts if each.name == name)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("works", [True, False])
def test_a_verdict_is_stored_for_this_boot(works: bool) -> None:
    store_verdict(works=works)
    assert kvm_probe.prove(lambda _: None) == kvm.Verdict(works, "as stored")
    record = host_record.inspect("auto")
    assert record.accelerator == ("kvm" if works else "tcg")
    assert record.emulated is not works
    assert ("as stored" in fact(record, "KVM").value) and (
        str(kvm.verdict_path()) in repr(record)
    ) is not works


@pytest.mark.usefixtures("device", "no_guest")
@pytest.mark.parametrize("written", ["another boot's", "", "{", '{"boot": 1}', '{"works": "no"}'])
def test_a_verdict_of_another_boot_or_a_damaged_one_is_ignored(written: str) -> None:
    store_verdict(works=True, boot="another")
    if written != "another boot's":
        kvm.verdict_path().write_text(written)
    assert kvm_probe.prove(lambda _: None).works is None


@pytest.mark.usefixtures("device", "no_guest")
def test_an_untried_probe_is_not_stored() -> None:
    verdict = kvm_probe.prove(lambda _: None)
    assert verdict == kvm.Verdict(None, "not tried: no guest to boot (There is no network)")
    assert not kvm.verdict_path().exists()
    assert host_record.inspect("auto").accelerator == "tcg"


@pytest.fixture
def tried_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the kernels that the probe boots, in order; those in RUN_BY_KVM run."""
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
    run: set[str], tries: list[str], works: bool, needs_pvh: bool, tried_kernels: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.modules[__name__], "RUN_BY_KVM", run)
    verdict = kvm_probe.prove(lambda _: None)
    assert tried_kernels == tries
    assert (verdict.works, verdict.needs_pvh) == (works, needs_pvh)
    assert kvm_probe.prove(lambda _: None) == verdict
    assert tried_kernels == tries, "the verdict was not stored"
    assert kvm.needs_pvh() is needs_pvh
    kvm_fact = fact(host_record.inspect("auto"), "KVM")
    assert kvm_fact.state == ("ok" if works and not needs_pvh else "limited")
    assert ("uncompressed kernel (PVH)" in kvm_fact.value) == (tries == ["vmlinuz", "vmlinux"])
    assert ("works in part" in kvm_fact.value) is needs_pvh


@pytest.mark.usefixtures("device")
def test_a_verdict_on_a_single_kernel_is_probed_again(tried_kernels: list[str]) -> None:
    store_verdict(works=False, ways=1)
    assert kvm_probe.prove(lambda _: None).reason != "as stored"
    assert tried_kernels == ["vmlinuz", "vmlinux"]


@pytest.mark.usefixtures("device", "tried_kernels")
def test_a_kernel_that_cannot_be_unpacked_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> Path:
        raise MachineError("xz is missing.")

    monkeypatch.setattr(guest_kernel, "uncompressed", refuse)
    verdict = kvm_probe.prove(lambda _: None)
    assert verdict.works is False
    assert verdict.reason == "a guest hung; an uncompressed kernel was not tried (xz is missing)"


@pytest.mark.usefixtures("device")
def test_a_forced_accelerator_is_used_with_a_warning() -> None:
    store_verdict(works=False)
    warnings: list[str] = []
    record = host_record.inspect("kvm", warnings.append)
    assert record.accelerator == "kvm"
    assert fact(record, "KVM").state == "limited"
    assert any("as stored" in sentence for sentence in warnings)
    store_verdict(works=True)
    assert host_record.inspect("tcg").accelerator == "tcg"


def test_a_host_without_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "kvm")
    assert kvm_probe.prove(lambda _: None) == kvm.Verdict(False, "there is no /dev/kvm")
