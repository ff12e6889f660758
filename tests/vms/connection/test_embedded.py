"""Roots of embedded libvirts: their owners, their addresses, and their cleaning."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from vms import InUse, MachineError, hosts
from vms.connection import embedded


@pytest.mark.parametrize("name", ["a b", "a&b=c", "a%41", "a#b", "a?b", "a+b", "ü"])
def test_a_root_is_quoted_in_its_address(name: str) -> None:
    address = embedded.address_of(Path("/tmp") / name)
    assert address.isascii()
    assert hosts.is_embedded(address)
    assert parse_qs(urlsplit(address).query) == {"root": [f"/tmp/{name}"]}


@pytest.mark.parametrize("name", ["a,b", os.fsdecode(b"\xe9"), "a\x01"])
def test_a_root_that_libvirt_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(MachineError, match="choose another directory"):
        embedded.prepare(Path("/tmp") / name)
    assert not (Path("/tmp") / name).exists()


def test_a_root_has_one_process(short: Path) -> None:
    code = (
        "import sys, pathlib; from vms.connection import embedded\n"
        "embedded.prepare(pathlib.Path(sys.argv[1])); print('ready', flush=True); input()\n"
    )
    words = [sys.executable, "-c", code, str(short)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"ready\n"
        assert embedded.is_owned(short)
        with pytest.raises(InUse, match="Another process has its machines below"):
            embedded.prepare(short)
        assert embedded.clean(short) == []
        assert short.is_dir()
        other.stdin.close()
    assert not embedded.is_owned(short)
    (short / "keep").mkdir()
    embedded.prepare(short)
    embedded.release(short)
    assert embedded.clean(short) == [f"removed {short}"]
    short.mkdir()


def test_the_machines_of_a_dead_owner_are_killed(short: Path) -> None:
    """A pid file alone does not make a process a QEMU: its command line must name the root."""
    pids = short / "run/qemu"
    pids.mkdir(parents=True)
    code = "import time; print('ready', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, str(short)]
    with (
        subprocess.Popen(["sleep", "60"]) as innocent,
        subprocess.Popen(words, stdout=subprocess.PIPE) as emulator,
    ):
        # Popen may return during execve, when the process has no command line yet.
        assert emulator.stdout is not None
        assert emulator.stdout.readline() == b"ready\n"
        (pids / "left.pid").write_text(str(emulator.pid))
        (pids / "innocent.pid").write_text(str(innocent.pid))
        (pids / "gone.pid").write_text("999999999")
        embedded.prepare(short)
        assert emulator.wait(5) == -9
        assert innocent.poll() is None
        innocent.kill()
    assert not (short / "run").exists()
    embedded.release(short)


def test_roots_share_the_cache_of_capabilities(short: Path, state: Path) -> None:
    """The cache outlives the root of the process that filled it."""
    for name in ("a", "b"):
        embedded.prepare(short / name)
        cache = short / name / "cache/qemu/capabilities"
        (cache / f"{name}.xml").write_text("<qemuCaps/>")
        embedded.release(short / name)
    assert sorted(path.name for path in cache.iterdir()) == ["a.xml", "b.xml"]
    for name in ("a", "b"):
        embedded.clean(short / name)
    assert len(list((state / "capabilities").iterdir())) == 2
