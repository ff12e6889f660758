"""Kinds of masked paths, as far as they are known before the container mounts anything."""

from __future__ import annotations

from runtime.rootfs.masking import DIRECTORY, FILE, NOTHING, UNKNOWN, kinds
from runtime.spec.config import Mount

PROC = Mount(destination="/proc", type="proc", source="proc")


def test_kinds_are_known_in_a_proc_that_is_mounted() -> None:
    paths = ("/proc/version", "/proc/sys", "/proc/none", "/etc/passwd")
    assert kinds(paths, (PROC,)) == {
        "/proc/version": FILE,
        "/proc/sys": DIRECTORY,
        "/proc/none": NOTHING,
        "/etc/passwd": UNKNOWN,
    }


def test_kinds_are_unknown_without_proc_and_below_other_mounts() -> None:
    assert kinds(("/proc/version",), ()) == {"/proc/version": UNKNOWN}
    cover = Mount(destination="/proc/sys", type="tmpfs", source="tmpfs")
    assert kinds(("/proc/sys/kernel",), (PROC, cover)) == {"/proc/sys/kernel": UNKNOWN}
