"""Containers made by a program whose own stdin, stdout or stderr is closed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import runtime
from lab.userland import root_tree

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root
SECONDS = 60.0
# Makes a container of the layer, and writes down what its process has and what is its own then.
PROGRAM = """
import json, os, sys
import runtime
tree, root, told = sys.argv[1:]
streams = range(3)
was = [os.path.lexists(f"/proc/self/fd/{number}") for number in streams]
spec = runtime.default_spec(["sleep", "60"])
with runtime.Container.run("descriptors", spec, [tree], root=root) as container:
    directory = f"/proc/{container.pid}/fd"
    found = {name: os.readlink(f"{directory}/{name}") for name in os.listdir(directory)}
    own = container.pidfd
now = [os.path.lexists(f"/proc/self/fd/{number}") for number in streams]
with open(told, "w") as file:
    json.dump([found, was, now, own], file)
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_streams_are_null(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """The container has /dev/null there; the program has them closed, as it was."""
    tree = root_tree.build_tree(lambda _: None)
    told = tmp_path / "told"
    places = " ".join(f"{number}<&-" for number in closed)
    subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {places}', "sh",
         sys.executable, "-c", PROGRAM, str(tree), str(tmp_path / "c"), str(told)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=True, timeout=SECONDS,
    )  # fmt: skip
    found, was, now, pidfd = json.loads(told.read_text())
    assert found == dict.fromkeys("012", "/dev/null")
    assert now == was == [number not in closed for number in range(3)]
    assert pidfd > 2


def test_a_stream_that_is_not_open_is_refused(tmp_path: Path) -> None:
    spec = runtime.default_spec(["true"])
    tree = root_tree.build_tree(lambda _: None)
    with pytest.raises(runtime.ContainerError, match="descriptor 1000 is not open"):
        runtime.Container.run("descriptors", spec, [tree], stdout=1000, root=tmp_path / "c")
    assert not (tmp_path / "c").exists()
