"""`tonnage vm`: options describe a machine, or end in an error with nothing created."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import exit_codes, main
from lab.cli.vm import machine_description, machine_options
from lab.host import kvm
from lab.userland import kvm_probe
from vms import (
    Balloon,
    Cdrom,
    DirectKernel,
    Disk,
    Firmware,
    Forward,
    HostBridge,
    LibvirtNetwork,
    Share,
    UserNetwork,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms import Machine


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the state at a short path, since it holds sockets, and check that no file is left."""
    monkeypatch.chdir(tmp_path)
    state = Path(tempfile.mkdtemp(prefix="tv-", dir="/tmp"))
    monkeypatch.setenv("TONNAGE_STATE", str(state))
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    yield
    assert [path for path in state.rglob("*") if path.is_file()] == []
    shutil.rmtree(state)


def describe(*words: str) -> Machine:
    options = machine_options.parser().parse_args(["--accel", "tcg", *words])
    return machine_description.machine(options, Path.cwd())


def test_options_describe_a_machine(tmp_path: Path) -> None:
    machine = describe(
        "--name", "box", "--cpus", "2", "--memory", "2G", "--machine", "i440fx", "--uefi",
        "--disk", "/d/a.raw,format=raw,cache=none,io=native,read_only,serial=one",
        "--network", "passt", "--network", "net:isolated", "--network", "bridge:br0",
        "-p", "8080:80", "-p", "0.0.0.0:53:5353/udp",
        "-v", f"{tmp_path}:here", "-v", f"{tmp_path}:there:ro",
    )  # fmt: skip
    assert (machine.name, machine.vcpus, machine.memory_mib, machine.chipset) == (
        "box",
        2,
        2048,
        "i440fx",
    )
    assert machine.boot == Firmware("uefi")
    assert machine.disks == (
        Disk(Path("/d/a.raw"), "raw", "none", "native", read_only=True, serial="one"),
    )
    assert machine.networks == (
        UserNetwork((Forward(8080, 80), Forward(53, 5353, "udp", "0.0.0.0")), backend="passt"),
        LibvirtNetwork("isolated"),
        HostBridge("br0"),
    )
    assert machine.shares == (
        Share(tmp_path, "here"),
        Share(tmp_path, "there", "9p", read_only=True),
    )
    assert machine.balloon == Balloon()


def test_media_and_addresses(tmp_path: Path) -> None:
    machine = describe(
        "--cdrom", "i.iso", "--cdrom", "/j.iso", "--network", "user", "--network", "none",
        "--network", "passt", "--mac", "52:54:00:AA:BB:CC",
    )  # fmt: skip
    assert machine.cdroms == (Cdrom(tmp_path / "i.iso"), Cdrom(Path("/j.iso")))
    assert [card.mac for card in machine.networks] == ["52:54:00:AA:BB:CC", None]


def test_a_key_makes_a_seed(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me\n")
    machine = describe("--disk", "/d/a.qcow2", "--ssh-key", str(key))
    assert machine.disks[1] == Disk(tmp_path / "seed.iso", "raw", read_only=True)
    assert b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me" in (tmp_path / "seed.iso").read_bytes()


@pytest.fixture
def _pvh_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulate a host whose KVM boots uncompressed kernels only."""
    (tmp_path / "device").touch()
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "device")
    kvm.verdict_path().parent.mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = {"works": True, "reason": "as kept", "needs_pvh": True}
    kvm.verdict_path().write_text(json.dumps({"boot": boot, "verdict": verdict}))


def kernel_file(path: Path) -> Path:
    """Write a compressed kernel whose ELF image is only a magic number."""
    payload = gzip.compress(b"\x7fELF and more")
    image = bytearray(2 * 512)
    image[0x1F1], image[0x202:0x206] = 1, b"HdrS"
    image[0x248:0x250] = struct.pack("<II", 0, len(payload))
    path.write_bytes(bytes(image) + payload)
    return path


@pytest.mark.usefixtures("_pvh_alone")
@pytest.mark.parametrize(
    ("words", "accelerator", "unpacked"),
    [
        (["--kernel", "vmlinuz"], "kvm", True),
        (["--kernel", "vmlinuz", "--accel", "tcg"], "tcg", False),
        (["--kernel", "elf"], "kvm", False),
        (["--kernel", "vmlinuz", "--uefi"], "tcg", False),
        (["--disk", "/d/a.qcow2"], "tcg", False),
    ],
)
def test_where_kvm_runs_uncompressed_kernels_alone_machines_use_it_for_these(
    words: list[str], accelerator: str, unpacked: bool, tmp_path: Path
) -> None:
    kernel_file(tmp_path / "vmlinuz")
    (tmp_path / "elf").write_bytes(b"\x7fELF")
    options = machine_options.parser().parse_args(words)
    machine = machine_description.machine(options, tmp_path)
    assert machine.accelerator.value == accelerator
    if isinstance(machine.boot, DirectKernel):
        assert (machine.boot.kernel == tmp_path / "vmlinux") is unpacked
    assert (tmp_path / "vmlinux").exists() is unpacked


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["vm", "run"],
            "Give an image (tonnage vm images lists them), --disk, --cdrom or --kernel",
        ),
        (["vm", "run", "nowhere"], "There is no image nowhere"),
        (["vm", "run", "--disk", "a,colour=red"], "--disk: there is no option 'colour'"),
        (["vm", "run", "--disk", "a", "--name", "a/b"], "name must be up to 48 letters"),
        (["vm", "run", "--disk", "a", "--name", "."], "name must be up to 48 letters"),
        (["vm", "run", "--disk", "a", "--name="], "name must be up to 48 letters"),
        (["vm", "run", "--kernel", "k", "--append", "caf\udce9"], "must be UTF-8 without control"),
        (
            ["vm", "create", "--disk", "a", "--connect", "test:///default", "--name", "a/b"],
            "name must be up to 48 letters",
        ),
        (
            ["vm", "rename", "--connect", "test:///default", "test", "a/b"],
            "name must be up to 48 letters",
        ),
        (["vm", "start", "--connect", "test:///default", "caf\udce9"], "is not valid UTF-8"),
        (
            ["vm", "run", "--disk", "a", "--network", "carrier"],
            "--network: there is no kind 'carrier'",
        ),
        (["vm", "run", "--disk", "a", "-p", "web"], "'web' is not a port mapping"),
        (["vm", "run", "--disk", "a", "--network", "none", "-p", "1:2"], "--publish needs"),
        (["vm", "run", "--disk", "a", "-v", "x"], "'x' is not a volume"),
        (["vm", "run", "--disk", "a", "--append", "quiet"], "need --kernel or an image"),
        (["vm", "run", "--disk", "a", "--ssh-key", "nowhere"], "Can't read nowhere"),
        (["vm", "run", "--connect", "qemu:///system", "x"], "run uses its own libvirt"),
        (["vm", "run", "--disk", "a", "--mac", "first"], "mac must be a unicast address"),
        (
            [
                "vm",
                "run",
                "--disk",
                "a",
                "--mac",
                "52:54:00:00:00:01",
                "--mac",
                "52:54:00:00:00:02",
            ],
            "--mac is given 2 times, but there are only 1 network cards",
        ),
        (
            [
                "vm",
                "run",
                "--disk",
                "a",
                "--network",
                "user",
                "--network",
                "passt",
                "--mac",
                "52:54:00:00:00:0A",
                "--mac",
                "52-54-00-00-00-0a",
            ],
            "networks contains 52:54:00:00:00:0a twice",
        ),
        (
            ["vm", "run", "--cdrom", "a", "--machine", "microvm", "--kernel", "k"],
            "cdroms is not supported on a microvm",
        ),
        (
            ["vm", "change-media", "--connect", "test:///default", "test"],
            "Give either an ISO to insert, or --eject",
        ),
        (
            ["vm", "change-media", "--connect", "test:///default", "test", "--eject"],
            "test has no CD-ROM drive",
        ),
        (
            ["vm", "undefine", "--connect", "test:///default", "test", "--remove-all-storage"],
            "test is running: shut it down first",
        ),
        (
            ["vm", "snapshot-delete", "--connect", "test:///default", "test", "x", "--metadata"],
            "test has no snapshot x",
        ),
        (["vm", "create", "x"], "--connect qemu:///system"),
        (["vm", "list", "--connect", "zeppelin:///x"], "Can't open libvirt at zeppelin:///x"),
        (["vm", "image", "import", "x", "nowhere"], "There is no file nowhere"),
        (["vm", "image", "remove", "x"], "There is no image x"),
        (["vm", "image", "resize", "x", "1G"], "There is no image x"),
    ],
)
def test_unusable_options_end_in_an_error(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if words[:2] == ["vm", "run"]:
        words = [*words, "--accel", "tcg"]
    assert main.main(words) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.out == ""
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    "words",
    [["vm"], ["vm", "fly"], ["vm", "run", "--memory", "much"], ["vm", "run", "--cpus", "x"],
     ["vm", "image"], ["vm", "image", "resize", "x", "0"], ["vm", "list", "--format", "xml"]],
)  # fmt: skip
def test_bad_words_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == exit_codes.BAD_USAGE
    assert "usage: tonnage vm" in capsys.readouterr().err


def test_the_default_uri_is_used_for_kept_machines_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LIBVIRT_DEFAULT_URI does not affect run, and list prints machines of both kinds."""
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "test:///default")
    assert main.main(["vm", "run", "nowhere", "--accel", "tcg"]) == exit_codes.BAD_USAGE
    assert "There is no image nowhere" in capsys.readouterr().err
    assert main.main(["vm", "list", "--format", "json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["test"]


def test_lists_of_nothing_are_empty(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["vm", "list"], ["vm", "images"], ["vm", "image", "list"]):
        assert main.main([*words, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out) == []
    assert main.main(["vm", "list"]) == 0
    assert capsys.readouterr().out.split() == [
        "NAME", "STATE", "ACCELERATOR", "VCPUS", "MEMORY", "AUTOSTART",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("20GiB", 20 << 30), ("7g", 7 << 30), ("1kB", 1024)]
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert machine_options.size(text) == size


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), ("512M", 512), ("2G", 2048), ("65536K", 64)]
)
def test_a_plain_number_is_mib_of_memory(text: str, mib: int) -> None:
    assert machine_options.memory_mib(text) == mib
    assert describe("--disk", "/d/a.qcow2", "--memory", text).memory_mib == mib


@pytest.mark.parametrize("text", ["0", "", "much", "-1", "1.5G", "512", "7B", "1 G"])
def test_a_size_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size: write 512M or 20G"):
        machine_options.size(text)


def test_memory_is_whole_mib() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a multiple of 1 MiB"):
        machine_options.memory_mib("1500K")


def test_a_path_may_hold_commas_and_colons(tmp_path: Path) -> None:
    odd = tmp_path / "a, b:c"
    odd.mkdir()
    (odd / "i,1.raw").touch()
    machine = describe(
        "--disk", f"{odd}/i,1.raw,format=raw", "--disk", f"{odd}/i,1.raw,read_only",
        "-v", f"{odd}:tag:ro",
    )  # fmt: skip
    assert [disk.path for disk in machine.disks] == [odd / "i,1.raw"] * 2
    assert (machine.disks[0].format, machine.disks[1].read_only) == ("raw", True)
    assert machine.shares == (Share(odd, "tag", "9p", read_only=True),)


def test_a_path_that_xml_cannot_express_is_linked(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    machine = describe("--disk", f"{odd}/i.qcow2", "--kernel", f"{odd}/k", "-v", f"{odd}:tag")
    assert isinstance(machine.boot, DirectKernel)
    for path in (machine.disks[0].path, machine.boot.kernel, machine.shares[0].directory):
        assert str(path).isascii()
        assert path.readlink().parent == odd or path.readlink() == odd
        path.unlink()


def test_the_path_of_a_kernel_is_made_absolute(tmp_path: Path) -> None:
    machine = describe("--kernel", "k", "--initrd", "i")
    assert machine.boot == DirectKernel(
        tmp_path / "k",
        tmp_path / "i",
        machine.boot.command_line,  # type: ignore[union-attr]
    )


def test_an_image_with_a_long_name_runs_without_a_name() -> None:
    options = machine_options.parser().parse_args(
        ["debian-12-genericcloud-amd64-daily-20241129-1942"]
    )
    name = machine_options.name(options)
    assert len(name) <= 48
    assert name.startswith("debian-12-genericcloud-amd64-daily")
    assert name.endswith(f"-{os.getpid()}")
