"""The notebooks that make containers, machines and images, executed as root from a clean kernel."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from lab.errors import ReportFailed
from lab.report import execution
from tests.notebooks import sources

pytestmark = pytest.mark.root
OURS = "tonnage-notebook"
PROGRAMS = {
    "inside-a-container": (),
    "inside-a-machine": ("qemu-system-x86_64", "libvirtd"),
    "images": ("busybox", "docker-registry", "mke2fs", "qemu-img"),
}
SECONDS = {"inside-a-container": 60.0, "inside-a-machine": 120.0, "images": 60.0}
LOAD = 3  # the host has other work
SETTLE_SECONDS = 10.0


def require(name: str) -> None:
    for program in PROGRAMS[name]:
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            pytest.skip(f"{program} is not installed")


def left() -> list[str]:
    """Return everything on the host that a notebook has made."""
    groups = Path("/sys/fs/cgroup")
    found = [str(path) for top in (groups, *groups.iterdir()) for path in top.glob(f"{OURS}*")]
    found += [str(path) for top in ("/tmp", "/dev/shm") for path in Path(top).glob(f"{OURS}*")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if OURS in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if OURS in words or "lab.hands_on" in words:
            found.append(words)
    return found


def assert_nothing_left() -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left() == []


@pytest.fixture(scope="module", params=sources.NEED_ROOT)
def executed(request: pytest.FixtureRequest) -> Any:
    name = request.param
    require(name)
    notebook = sources.executed(name, deadline_seconds=LOAD * SECONDS[name])
    assert_nothing_left()
    notebook.metadata["name"] = name
    return notebook


def printed(notebook: Any, start: str) -> str:
    """Return what the cell prints that begins with a text."""
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith(start))
    return "\n".join(output.get("text") or output.data["text/plain"] for output in cell.outputs)


def test_a_notebook_warns_of_nothing_and_ends_with_questions(executed: Any) -> None:
    assert sources.warnings(executed) == []
    *_, asked, answered = executed.cells
    assert asked.outputs
    assert answered.outputs


def test_what_the_text_says_of_the_output_holds(executed: Any) -> None:
    HOLDS[executed.metadata["name"]](executed)


def of_the_container(notebook: Any) -> None:
    shared = [line for line in sources.shown(notebook).splitlines() if line.startswith("shared:")]
    kinds = [line.split()[1:] for line in shared]
    assert kinds[0] == sorted({"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"})
    assert kinds[-1] == ["user"]
    assert all(set(after) < set(before) for before, after in pairwise(kinds))

    (cell,) = (each for each in notebook.cells if each.source.startswith("names = inside.run("))
    html = cell.outputs[-1].data["text/html"]
    table = pd.read_html(io.StringIO(html), index_col=0)[0]["stopped by"]
    stopped = {
        "trace the notebook": "namespaces",
        "join the host": "namespaces",
        "leave by chroot": "namespaces",
        "core pattern": "hide",
        "host keys": "filter",
        "new user namespace": "filter",
        "mount the disk": "drop, filter(, devices)?",  # the last before Linux 6.6
        "read the kernel log": "drop, devices",
    }
    if "no disk below /" in html:
        del stopped["mount the disk"]
    for way, layers in stopped.items():
        assert re.fullmatch(layers, table[way]), (way, table)
    assert "sees the host's files: False\nsees the host's files: True" in re.sub(
        "\n+", "\n", printed(notebook, 'with InnerProcess() as other:\n    other.run(f"os.chroot')
    )
    own = printed(notebook, "%%inside\nhide()")
    assert "00000000a00425fb" in own
    assert "permission denied" in own

    assert printed(notebook, "%%inside\ndef take_memory").strip() == str(signal.SIGKILL.value)
    assert "oom_kill 1" in printed(notebook, 'show("memory.failcnt"')
    assert "Resource temporarily unavailable" in printed(notebook, "%%inside\ndef fork_many")
    (share,) = re.findall(r"20 ms of 100 ms: ([\d.]+)", sources.shown(notebook))
    assert 0.1 < float(share) < 0.3


def of_the_machine(notebook: Any) -> None:
    text = sources.shown(notebook)
    assert text.count("emulated (TCG)") >= 2 or text.count("on KVM") >= 2
    back = printed(notebook, 'sh("rm /root/file')
    assert "file: precious" in back
    stands, counts = re.findall(r"count: \['(\d+)', '(\d+)'\]", back)
    assert stands[0] == stands[1]
    assert int(counts[0]) < int(counts[1])
    assert "the same boot: True" in printed(notebook, "if uri:")
    memory = printed(notebook, "from vms.operations import hotplug").splitlines()
    (written,) = (int(line.split()[-2]) for line in memory if "were written" in line)
    (reduced,) = (int(line.split()[-2]) for line in memory if "leaves 160" in line)
    assert reduced < written


def of_images(notebook: Any) -> None:
    text = sources.shown(notebook)
    assert "False" not in printed(notebook, "def sha256")
    assert "swordfish" in printed(notebook, "def blob")
    assert "with the digest" in printed(notebook, "from runtime import ContainerError")
    pushed = [int(size.replace(",", "")) for size in re.findall(r"push: +([\d,]+) bytes", text)]
    first, application, data = pushed
    assert application < 1 << 16 < 8 << 20 < data < first
    same = re.findall(r"(?:the same data:|in the image:) +(\w+)", text)
    assert len(set(same)) == 1
    assert len(same) == 2


HOLDS = {
    "inside-a-container": of_the_container,
    "inside-a-machine": of_the_machine,
    "images": of_images,
}


# A cell that kills the kernel stands behind these cells, when all that can be left exists.
LAST = {
    "inside-a-container": 'print("no limit:"',
    "inside-a-machine": "if uri:",
    "images": "from runtime import ContainerError",
}


@pytest.mark.parametrize("name", sources.NEED_ROOT)
def test_a_kernel_that_dies_leaves_nothing(name: str) -> None:
    require(name)
    notebook = sources.read(name)
    (last,) = (n for n, cell in enumerate(notebook.cells) if cell.source.startswith(LAST[name]))
    notebook.cells[last + 1 :] = [nbformat.v4.new_code_cell("os.kill(os.getpid(), 9)")]
    with pytest.raises(ReportFailed, match="kernel died"):
        execution.execute(notebook, {}, LOAD * SECONDS[name])
    assert_nothing_left()


def test_a_container_is_made_twice_in_a_row_in_the_same_kernel() -> None:
    """A reader starts again from the top without a restart of the kernel."""
    name = "inside-a-container"
    notebook = sources.read(name)
    half = next(n for n, cell in enumerate(notebook.cells) if "PIVOT_ROOT" in cell.source)
    again = [nbformat.v4.new_code_cell(cell.source) for cell in notebook.cells[: half + 1]
             if cell.cell_type == "code"]  # fmt: skip
    rest = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [*again, *rest[:-2]]
    execution.execute(notebook, {}, 2 * LOAD * SECONDS[name])
    assert_nothing_left()


@pytest.mark.parametrize("name", sources.NEED_ROOT)
def test_without_root_there_is_one_sentence(name: str) -> None:
    first = next(cell for cell in sources.read(name).cells if cell.cell_type == "code")
    script = (
        "import os, sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "os.environ['HOME'] = os.environ['IPYTHONDIR'] = sys.argv[2]\n"
        "shell = InteractiveShell.instance()\n"
        "from runtime.linux import capabilities, libc, prctl, syscalls\n"
        "reading = capabilities.mask(['CAP_DAC_READ_SEARCH'])\n"  # Python may lie in /root
        "libc.call('prctl', prctl.SET_KEEPCAPS, 1, 0, 0, 0)\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "sets = capabilities.sets(reading, reading, 0)\n"
        "libc.syscall(syscalls.CAPSET, capabilities.header(), sets)\n"
        "shell.run_cell(sys.argv[1])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", script, first.source, folder],
            capture_output=True, text=True, check=False, cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "LANG": "C"},
        )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert len(lines) == 1, done.stdout + done.stderr
    assert lines[0].startswith("root is needed to ")
