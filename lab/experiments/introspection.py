"""A look inside an instance: its kernel, its processes and its user land."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import TargetFailed

if TYPE_CHECKING:
    from lab.targets.base import Instance, Target

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SECONDS = 120.0
# One digest of the name and size of every file and the contents of the system programs.
_DIGEST = (
    "{ find usr -type f -printf '%p %s\\n' | LC_ALL=C sort; find usr/sbin -type f | LC_ALL=C sort"
    " | xargs sha256sum; } | sha256sum | cut -c 1-16"
)


def look_inside(target: Target, instance: Instance) -> tuple[dict[str, float], dict[str, str]]:
    """Return figures by metric, and notes on them.

    `own-kernel`: 1 if the instance's kernel is not the host's. `processes-inside`: the number of
    processes that the instance sees, the payload included. `same-user-land`: 1 if the digest of its
    programs equals that of the tree from which every image is made.
    """
    if target.settings.userland.application:
        return _look_into_image(instance)
    boot, release = _output(instance, f"cat {_BOOT_ID}; uname -r").split()
    processes = _output(instance, "ls /proc | grep -c '^[0-9]'")
    digest = _output(instance, f"cd / && {_DIGEST}")
    expected = _digest_of(target.settings.userland.tree)
    figures = {
        "own-kernel": float(boot != Path(_BOOT_ID).read_text(encoding="utf-8").strip()),
        # Without the shell, ls and grep of the count itself.
        "processes-inside": float(processes) - 3,
        "same-user-land": float(digest == expected),
    }
    return figures, {"own-kernel": f"Linux {release}", "same-user-land": f"sha256 {digest}…"}


def _look_into_image(instance: Instance) -> tuple[dict[str, float], dict[str, str]]:
    """Return the figures that the payload finds by itself: an image may have no shell.

    The application may have changed files, so the user land is not compared.
    """
    result = instance.run(["/proc/self/exe", "look"], _SECONDS)
    boot, release, processes = result.stdout.decode(errors="replace").split()
    figures = {
        "own-kernel": float(boot != Path(_BOOT_ID).read_text(encoding="utf-8").strip()),
        "processes-inside": float(processes),
    }
    return figures, {"own-kernel": f"Linux {release}"}


def _output(instance: Instance, script: str) -> str:
    result = instance.run(["sh", "-c", script], _SECONDS)
    if result.exit_code:
        error = result.stderr.decode(errors="replace").strip()
        raise TargetFailed(
            f"A command inside the instance failed: {error or f'exit code {result.exit_code}'}."
        )
    return result.stdout.decode().strip()


def _digest_of(tree: Path) -> str:
    result = subprocess.run(
        ["sh", "-c", _DIGEST],
        cwd=tree,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return result.stdout.strip()
