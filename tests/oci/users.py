"""A user of the host without privileges who runs the runtime.

It is his by a command of its own, which the driver calls in the runtime's place. Ours is copied to
where he may read it and is run by the system's Python, since that of the tests may be root's alone.
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
    """The runtime as `nobody` runs it, who is in a group more; with `ids` he was given ranges."""
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
    """A runtime's path; for ours, that of a copy."""
    if Path(command).name != OURS:
        return command
    found = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    python = found.stdout.strip() or Path(sys.executable).resolve().name
    packages = scratch / "lib" / python / "site-packages"
    if not packages.exists():
        shutil.copytree(PROJECT / "runtime", packages / "runtime")
        (scratch / "bin").mkdir()
        shutil.copy(PROJECT / "setup" / OURS, scratch / "bin")
        (scratch / "bin/python3").symlink_to(SYSTEM_PYTHON)
    return str(scratch / "bin" / OURS)
