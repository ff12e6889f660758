"""A full file system of the host: the machine pauses, reports it, and continues with free space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import build
from tests.system.pipes import await_words
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
TONNAGE = str(Path(sys.executable).with_name("tonnage"))
# A file system of 8 MiB that is mounted only for the command and its children.
SMALL = "mount -t tmpfs -o size=8M tonnage-test {where} && {make} && exec {run}"


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        land = build.build(lambda _: None)
        words = "console=ttyS0 quiet TONNAGE_ROOT=/dev/vda TONNAGE_INIT=/bin/sh"
        Store(Path(path) / "images").add(
            "small", "a test", land.disk, land.kernel, land.initramfs, words
        )
        (Path(path) / "small").mkdir()
        yield Path(path)


@contextmanager
def running(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    where = state / "small"
    run = f"{TONNAGE} vm run small --name full --accel tcg --machine microvm --memory 128"
    script = SMALL.format(
        where=where,
        make=f"qemu-img create -q -f qcow2 {where}/fill.qcow2 256M",
        run=f"{run} --network none --disk {where}/fill.qcow2",
    )
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        env={**os.environ, "TONNAGE_STATE": str(state)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()


def listed(state: Path) -> dict[str, str]:
    completed = subprocess.run(
        [TONNAGE, "vm", "list", "--format", "json"],
        env={**os.environ, "TONNAGE_STATE": str(state)}, capture_output=True, check=True,
    )  # fmt: skip
    (machine,) = json.loads(completed.stdout)
    return {key: machine[key] for key in ("name", "state", "reason")}


def test_a_full_file_system_pauses_the_machine_until_there_is_space(state: Path) -> None:
    with running(state) as process:
        await_words(process.stdout, b"# ")
        assert process.stdin is not None
        process.stdin.write(
            b"dd if=/dev/zero of=/dev/vdb bs=1M count=20 oflag=direct; echo rc-$?\r"
        )
        process.stdin.flush()
        await_words(process.stderr, b"small/fill.qcow2 is full; free some space to continue")
        assert listed(state) == {"name": "full", "state": "paused", "reason": "I/O error"}
        more = ["mount", "-o", "remount,size=100M", str(state / "small")]
        subprocess.run(["nsenter", "-m", "-t", str(process.pid), *more], check=True)
        await_words(process.stderr, b"full continues: there is free space for")
        await_words(process.stdout, b"rc-0")
        assert listed(state) == {"name": "full", "state": "running", "reason": ""}
