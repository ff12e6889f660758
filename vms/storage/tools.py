"""Programs of the host that work on disk images: qemu-img, mke2fs, cp."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from vms.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def run(
    argv: Sequence[str], package: str, accepted: Collection[int] = (0,), failed: str = ""
) -> None:
    """Run a program to its end.

    Raises Unavailable with the last line of its stderr if its exit code is not accepted, or with
    the Debian package that contains it if it is not installed. `failed` begins the sentence.
    """
    try:
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"{argv[0]} is missing: apt-get install {package}.") from error
    if result.returncode not in accepted:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        failed = failed or f"{argv[0]} failed"
        raise Unavailable(f"{failed}: {lines[-1] if lines else result.returncode}.")
