"""Containers of a program whose own stdin, stdout or stderr is closed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root
SECONDS = 60.0
# Run a container, and write its descriptors, and those of this program before and after.
PROGRAM = """
import json, os, sys, time
import runtime
tree, root, report = sys.argv[1:]
streams = range(3)
before = [os.path.lexists(f"/proc/self/fd/{number}") for number in streams]
spec = runtime.default_spec(["sleep", "60"])
with runtime.Container.run("descriptors", spec, [tree], root=root) as container:
    # The program's loader opens files of its own until the program sleeps.
    while open(f"/proc/{container.pid}/stat").read().rpartition(")")[2].split()[0] != "S":
        time.sleep(0.01)
    directory = f"/proc/{container.pid}/fd"
    inside = {name: os.readlink(f"{directory}/{name}") for name in os.listdir(directory)}
    pidfd = container.pidfd
after = [os.path.lexists(f"/proc/self/fd/{number}") for number in streams]
with open(report, "w") as file:
    json.dump([inside, before, after, pidfd], file)
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_streams_are_null(tree: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    """The container has /dev/null in their place; they stay closed for the program."""
    report = tmp_path / "report"
    redirections = " ".join(f"{number}<&-" for number in closed)
    subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh",
         sys.executable, "-c", PROGRAM, str(tree), str(tmp_path / "c"), str(report)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=True, timeout=SECONDS,
    )  # fmt: skip
    inside, before, after, pidfd = json.loads(report.read_text())
    assert inside == dict.fromkeys("012", "/dev/null")
    assert after == before == [number not in closed for number in range(3)]
    assert pidfd > 2


def test_a_stream_that_is_not_open_is_refused(tree: Path, tmp_path: Path) -> None:
    spec = runtime.default_spec(["true"])
    with pytest.raises(runtime.ContainerError, match="descriptor 1000 is not open"):
        runtime.Container.run("descriptors", spec, [tree], stdout=1000, root=tmp_path / "c")
    assert not (tmp_path / "c").exists()
