"""`tonnage class` on this host: real servers, a real archive, a host without a network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import pytest

from tests.system.lab.class_servers import (
    CLASS,
    RUN,
    below,
    private_folders,
    request,
    served,
)

BOTH = """
from lab.classroom import class_run, lessons
print(class_run.path().name, lessons.committed_run("calibration-2026-11-24-vm").name)
"""
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


def test_a_student_works_in_a_folder_until_ctrl_c(tmp_path: Path) -> None:
    kept = tmp_path / "2026-017" / "containers-vs-vms.ipynb"
    kept.parent.mkdir()
    kept.write_text("{}")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    with served(tmp_path, HOME=str(home / "missing")) as (process, document):
        base, _, token = document["url"].partition("/lab?token=")
        assert base.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            request(f"{base}/api/contents", None)
        names = [each["name"] for each in request(f"{base}/api/contents", token)["content"]]
        assert "containers-vs-vms.ipynb" in names
        assert request(f"{base}/api/kernels", token, b'{"name": "python3"}')["id"]
        lines = [
            (path / "cmdline").read_bytes()
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and (path / "cmdline").exists()
        ]
        assert not any(token.encode() in line for line in lines)
        assert below(tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert kept.read_text() == "{}"
    assert below(tmp_path) == []


def test_servers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    with served(tmp_path) as (process, _):
        process.kill()
        process.wait()
    for _ in range(300):
        if not below(tmp_path) and not private_folders(process.pid):
            break
        time.sleep(0.1)
    assert below(tmp_path) == []
    assert private_folders(process.pid) == []


def test_what_killed_servers_leave_is_cleaned(tmp_path: Path) -> None:
    with served(tmp_path) as (process, _):
        left = private_folders(process.pid)
        servers = below(tmp_path)
        for pid in servers:
            os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        for pid in servers:
            os.kill(pid, signal.SIGKILL)
    assert len(left) == 1
    assert private_folders(process.pid) == left
    cleaned = subprocess.run(
        [sys.executable, "-m", "lab", "clean"], capture_output=True, text=True, check=True
    )
    assert f"removed {left[0]}" in cleaned.stdout.splitlines()
    assert private_folders(process.pid) == []


@pytest.mark.parametrize("seconds", [0.8, 6.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_packing_that_is_interrupted_leaves_nothing(
    tmp_path: Path, seconds: float, number: signal.Signals
) -> None:
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [*CLASS, "pack", str(out / "class.tar"), "--no-userland", "--run", str(RUN)],
        stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(temporary)},
    ) as packing:  # fmt: skip
        deadline = time.monotonic() + 60
        while not out.is_dir() or not any(out.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(seconds)
        packing.send_signal(number)
    assert packing.returncode == 128 + number
    assert list(out.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_a_packed_class_works_without_a_network(tmp_path: Path) -> None:
    archive = tmp_path / "class.tar"
    packed = subprocess.run(
        [*CLASS, "pack", str(archive), "--no-userland", "--run", str(RUN)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "pip can't get the wheels" in packed.stderr:
        pytest.skip(packed.stderr)
    assert packed.returncode == 0, packed.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class.tar", "class.tar.sha256"]
    alone = ["unshare", "--net"]
    folder = tmp_path / "tonnage-class"
    for command in (
        ["sha256sum", "--check", "class.tar.sha256"],
        ["tar", "xf", "class.tar"],
        [sys.executable, str(folder / "install.py")],
    ):
        subprocess.run([*alone, *command], cwd=tmp_path, capture_output=True, check=True)
    raced = subprocess.run(
        [*alone, str(folder / ".venv/bin/tonnage"), "race", "--replay", f"run/{RUN.name}",
         "--json"],
        cwd=folder, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert json.loads(raced.stdout)["order"][0] == "container"
    # The verbs and the notebooks find the class's run there, and the runs that trust compares.
    subprocess.run(
        [*alone, str(folder / ".venv/bin/tonnage"), "class", "make", "trust", "--student", "a"],
        cwd=folder, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    made = json.loads((folder / "class/a/trust.ipynb").read_text())
    assert made["metadata"]["tonnage"]["run"] == RUN.name
    ran = subprocess.run(
        [*alone, str(folder / ".venv/bin/python"), "-c", BOTH], cwd=folder / "class" / "a",
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert ran.stdout.split() == [RUN.name, "calibration-2026-11-24-vm"]
