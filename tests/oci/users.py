"""A user of the host without privileges who runs the runtime.

The driver calls a command that becomes the user. Our runtime is copied to a readable place and runs
on the system's Python, since the tests' Python may be readable by root alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oci.driver import Runtime

NOBODY = 65534
GROUP_MORE = 4321
FIRST_ID, IDS = 300000, 65536
PROJECT = Path(__file__).parents[2]
OURS = "tonnage-oci"
SYSTEM_PYTHON = "/usr/bin/python3"


def runtime_of_user(installed: Runtime, *, ids: bool) -> Runtime:
    """Return the runtime as run by `nobody`, in one more group; with `ids`, with id ranges."""
    scratch = installed.scratch / ("user-with-ids" if ids else "user")
    if not scratch.exists():
        scratch.mkdir()
        for path in (scratch / "state", scratch / "run"):
            path.mkdir()
            os.chown(path, NOBODY, NOBODY)
        (scratch / "subid").write_text(f"nobody:{FIRST_ID}:{IDS}\n")
    command = scratch / "command"
    granted = "".join(
        f"mount --bind {scratch}/subid /etc/{name}\n" for name in ("subuid", "subgid") if ids
    )
    command.write_text(
        "#!/bin/sh\nset -e\n"
        'if [ "$1" != inside ]; then\n'
        '  exec unshare --mount --propagation slave "$0" inside "$@"\n'
        f"fi\nshift\n{granted}"
        f"exec setpriv --reuid {NOBODY} --regid {NOBODY} --groups {GROUP_MORE}"
        f' env XDG_RUNTIME_DIR={scratch}/run {readable(installed.command, scratch)} "$@"\n'
    )
    command.chmod(0o755)
    tried = subprocess.run(
        [command, "--version"], capture_output=True, check=False, text=True, cwd="/"
    )
    if tried.returncode:
        pytest.skip(f"a user without privileges can't run {installed}: {tried.stderr.strip()}")
    return Runtime(str(command), scratch, installed.tree)


def readable(command: str, scratch: Path) -> str:
    """Return a runtime's path; for ours, the path of a readable copy."""
    if Path(command).name != OURS:
        return command
    result = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    python = result.stdout.strip() or Path(sys.executable).resolve().name
    packages = scratch / "lib" / python / "site-packages"
    if not packages.exists():
        shutil.copytree(PROJECT / "runtime", packages / "runtime")
        (scratch / "bin").mkdir()
        shutil.copy(PROJECT / "setup" / OURS, scratch / "bin")
        (scratch / "bin/python3").symlink_to(SYSTEM_PYTHON)
    return str(scratch / "bin" / OURS)
