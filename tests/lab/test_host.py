"""The doctor's document, and the verdict on KVM that is kept for one boot of the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import cli, host, kvm, targets


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


def keep_verdict(cache: Path, *, works: bool, boot: str | None = None) -> None:
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (cache / f"kvm-{boot}.json").write_text(json.dumps({"works": works, "reason": "as kept"}))


def test_the_document_is_json_and_agrees_with_the_kernel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["doctor", "--format", "json", "--accel", "tcg"]) == cli.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["kernel"] == os.uname().release
    assert document["cpus"] == len(os.sched_getaffinity(0))
    assert document["memory_bytes"] > 1 << 28
    assert document["accelerator"] == "tcg"
    assert set(document["targets"]) == set(targets.NAMES)
    assert document["cgroup"]["version"] in {"v1", "v2", "hybrid", "none"}


def test_the_table_says_why_a_target_is_absent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["doctor", "--accel", "tcg"]) == cli.DONE
    said = capsys.readouterr().out
    assert "apt-get install qemu-system-x86" in said
    assert "apt-get install crun" in said


needs_device = pytest.mark.skipif(
    not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no /dev/kvm: nothing is kept"
)


@needs_device
@pytest.mark.parametrize("works", [True, False])
def test_a_verdict_is_kept_for_this_boot(tmp_path: Path, works: bool) -> None:
    keep_verdict(tmp_path, works=works)
    assert kvm.prove(lambda _: None) == kvm.Verdict(works, "as kept")
    found = host.inspect("auto")
    assert found.accelerator == ("kvm" if works else "tcg")


@needs_device
def test_the_accelerator_can_be_forced_either_way(tmp_path: Path) -> None:
    keep_verdict(tmp_path, works=False)
    assert host.inspect("kvm").accelerator == "kvm"
    keep_verdict(tmp_path, works=True)
    assert host.inspect("tcg").accelerator == "tcg"


def test_a_host_without_the_device_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm, "_DEVICE", tmp_path / "kvm")
    assert kvm.prove(lambda _: None) == kvm.Verdict(False, "there is no /dev/kvm")
