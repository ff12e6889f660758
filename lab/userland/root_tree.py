"""The user land's root file system: Debian minbase, the packages of the workloads, the payload."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from lab.paths import PAYLOAD_IN_TREE, PYTHON_IN_TREE, WORKLOADS
from lab.userland.cache_entry import cache_entry, digest
from lab.userland.host_tools import require_root, run_tool
from lab.userland.payload import build_payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

PYPI = "pypi:"  # prefix of packages that come from PyPI instead of Debian
BASIC_PACKAGES = ("fio", "openssl", "xz-utils")  # what the workloads of every run need
_MACHINE_PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "qemu-guest-agent")
# Units that every machine starts; the others are started by words of the kernel command line.
_ENABLED_UNITS = ("tonnage-agent.service", "tonnage-userspace.service")
_CUSTOMIZE = "2"  # the version of _customize, which is part of the tree's digest


def build_tree(progress: Callable[[str], None], packages: Iterable[str] = ()) -> Path:
    """Return the root directory of the user land; build it if it is not in the cache.

    Packages beyond the basic ones make another tree, beside the basic tree. Raises LabError.
    """
    payload = build_payload(progress)
    extra = sorted(set(packages) - set(BASIC_PACKAGES))
    suite = debian_suite()
    python = [name.removeprefix(PYPI) for name in extra if name.startswith(PYPI)]
    debian = [name for name in extra if not name.startswith(PYPI)]
    included = ",".join((*_MACHINE_PACKAGES, *BASIC_PACKAGES, *debian))
    units = sorted((WORKLOADS / "guest").iterdir())
    key = digest(
        suite,
        included,
        payload.parent.name,
        *(path.read_bytes() for path in units),
        _CUSTOMIZE,
        *python,
    )
    with cache_entry("tree", key) as (directory, staging):
        if staging:
            require_root("build a root file system")
            suffix = f" with {', '.join(extra)}" if extra else ""
            progress(f"building a Debian {suite} root file system{suffix}")
            _bootstrap(staging / "root", suite, included)
            if python:
                _install_python_packages(staging / "root", python)
            if extra:
                _disable_services(staging / "root")
            _customize(staging / "root", payload)
    return directory / "root"


def debian_suite() -> str:
    """Return the host's Debian suite, whose mirror is configured; bookworm on another host."""
    release = platform.freedesktop_os_release()
    if release.get("ID") == "debian" and "VERSION_CODENAME" in release:
        return release["VERSION_CODENAME"]
    return "bookworm"


def versions(tree: Path, packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the packages that the tree contains. (dpkg(1))"""
    installed = {}
    for paragraph in (tree / "var/lib/dpkg/status").read_text("utf-8", "replace").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines())
        installed[fields.get("Package", "")] = fields.get("Version", "")
    return {name: installed[name] for name in packages if name in installed}


def _bootstrap(root: Path, suite: str, packages: str) -> None:
    run_tool(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={packages}",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            suite,
            str(root),
        ],
        "mmdebstrap",
    )


def _install_python_packages(root: Path, packages: list[str]) -> None:
    """Install packages of PyPI at their pinned versions, without their dependencies."""
    run_tool(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-compile", "--only-binary=:all:",
         "--target", str(root / PYTHON_IN_TREE.lstrip("/")), *packages],
        "python3-pip",
    )  # fmt: skip


def _disable_services(root: Path) -> None:
    """Disable the packages' servers and timers: a workload starts the ones that it needs."""
    for wants in (root / "etc/systemd/system").glob("*.wants"):
        shutil.rmtree(wants)


def _customize(root: Path, payload: Path) -> None:
    """Install the payload, its units and the files that let a machine boot unattended."""
    payload_in_root = root / PAYLOAD_IN_TREE.lstrip("/")
    payload_in_root.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(payload, payload_in_root)
    units = root / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    for unit in sorted((WORKLOADS / "guest").iterdir()):
        shutil.copy(unit, units / unit.name)
    for name in _ENABLED_UNITS:
        (wants / name).symlink_to(f"/etc/systemd/system/{name}")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    # A login prompt on ttyS0 would hang up the line on which the payload announces itself.
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/hostname").write_text("tonnage\n")
    # On a first boot systemd would ask for a locale on the console.
    (root / "etc/machine-id").write_text(hashlib.md5(b"tonnage").hexdigest() + "\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
