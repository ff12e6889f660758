"""What an instance is on the inside: whose kernel, how many processes, which user land."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.targets.base import Instance, Target

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SECONDS = 120.0
# Name and size of every file, and the contents of the system's own programs, as one digest.
_DIGEST = (
    "{ find usr -type f -printf '%p %s\\n' | LC_ALL=C sort; find usr/sbin -type f | LC_ALL=C sort"
    " | xargs sha256sum; } | sha256sum | cut -c 1-16"
)


def look_inside(target: Target, instance: Instance) -> tuple[dict[str, float], dict[str, str]]:
    """Figures by metric, and what is to be known of them.

    `own-kernel`: 1 if it was booted apart from the host's. `processes-inside`: those that it sees,
    the payload included. `same-user-land`: 1 if the digest of its programs is that of the tree from
    which every image is made.
    """
    boot, release = _said(instance, f"cat {_BOOT_ID}; uname -r").split()
    processes = _said(instance, "ls /proc | grep -c '^[0-9]'")
    digest = _said(instance, f"cd / && {_DIGEST}")
    wanted = _digest_of(target.settings.userland.tree)
    figures = {
        "own-kernel": float(boot != Path(_BOOT_ID).read_text(encoding="utf-8").strip()),
        # The shell, ls and grep that counted are not the instance's own.
        "processes-inside": float(processes) - 3,
        "same-user-land": float(digest == wanted),
    }
    return figures, {"own-kernel": f"Linux {release}", "same-user-land": f"sha256 {digest}…"}


def _said(instance: Instance, script: str) -> str:
    done = instance.run(["sh", "-c", script], _SECONDS)
    if done.exit_code:
        said = done.stderr.decode(errors="replace").strip()
        raise LabError(f"Looking inside failed: {said or f'exit code {done.exit_code}'}.")
    return done.stdout.decode().strip()


def _digest_of(tree: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", _DIGEST],
        cwd=tree,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.stdout.strip()
