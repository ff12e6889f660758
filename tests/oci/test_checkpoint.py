"""`checkpoint` and `restore`, for which runc and crun also use criu.

TONNAGE_CRIU names another criu than the one on the PATH. If it can't work with this kernel, the
tests are skipped with criu's own reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cgroup_tree import cgroups_named
from tests.oci.driver import DEADLINE_SECONDS, Result, waited_for

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

CRIU = os.environ.get("TONNAGE_CRIU", "criu")
COUNTS = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"


@pytest.fixture(scope="module")
def criu() -> str:
    path = shutil.which(CRIU)
    if not path:
        pytest.skip("criu is not installed: apt-get install criu")
    checked = subprocess.run([path, "check"], capture_output=True, text=True, check=False)
    if checked.returncode:
        pytest.skip(f"criu can't work here: {(checked.stderr or checked.stdout).splitlines()[0]}")
    return path


def counted(bundle: Bundle) -> list[int]:
    return [int(word) for word in bundle.output().split("\n")[:-1]]


def counting(bundle: Bundle) -> None:
    bundle.running(COUNTS)
    waited_for(lambda: len(counted(bundle)) > 3, "it counts")


def tell(bundle: Bundle, criu: str, verb: str, *words: str) -> Result:
    """Run `checkpoint` or `restore` with its files in the bundle."""
    image = ("--image-path", str(bundle.path / "image"), "--work-path", str(bundle.path / "work"))
    bundle_words = ("--bundle", str(bundle.path), "--detach") if verb == "restore" else ()
    given = ("--criu", criu, verb, *image, *bundle_words, *words, bundle.identity)
    if verb == "checkpoint":
        return bundle.runtime.tell(*given)
    # Criu demands that files have not changed since.
    with (bundle.path / "stdout").open("ab") as stdout, (bundle.path / "stderr").open("ab") as log:
        result = subprocess.run(
            [bundle.runtime.command, "--root", bundle.runtime.root, *given],
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=log, check=False, cwd=bundle.path,
            timeout=DEADLINE_SECONDS,
        )  # fmt: skip
    return Result(result.returncode, "", bundle.errors())


def restored(bundle: Bundle, criu: str) -> None:
    """Delete the container, restore it, and check that it continues."""
    last = counted(bundle)[-1]
    deleted = bundle.delete()
    assert deleted, deleted.stderr
    result = tell(bundle, criu, "restore")
    assert result, result.stderr
    waited_for(lambda: counted(bundle)[-1] > last + 2, "it counts on")
    assert counted(bundle) == list(range(1, len(counted(bundle)) + 1))


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "as engines have it"])
def test_a_container_goes_on_from_files(bundle: Bundle, criu: str, masked: bool) -> None:
    """`checkpoint` stops it; `restore` restores memory, mounts, limits and namespaces."""
    if masked:
        bundle.namespace("cgroup")
        bundle.linux["maskedPaths"] = ["/proc/timer_list", "/sys/firmware"]
        bundle.linux["readonlyPaths"] = ["/proc/sys"]
        bundle.linux["resources"] = {"pids": {"limit": 50}}
        bundle.mount("/data", "bind", "/etc", "rbind", "ro")
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro")
    counting(bundle)
    before = bundle.exec(bundle.identity, "sh", "-c", "hostname; cut -d' ' -f5 /proc/1/mountinfo")
    result = tell(bundle, criu, "checkpoint")
    assert result, result.stderr
    assert bundle.state()["status"] == "stopped"
    restored(bundle, criu)
    state = bundle.state()
    assert state["status"] == "running"
    assert f"/{bundle.identity}\n" in Path(f"/proc/{state['pid']}/cgroup").read_text()
    after = bundle.exec(bundle.identity, "sh", "-c", "hostname; cut -d' ' -f5 /proc/1/mountinfo")
    assert sorted(after.stdout.split()) == sorted(before.stdout.split())
    if masked:
        limits = [each / "pids.max" for each in cgroups_named(bundle.identity)]
        assert [each.read_text().strip() for each in limits if each.exists()] == ["50"]
    deleted = bundle.delete("--force")
    assert deleted, deleted.stderr
    assert not bundle.runtime.left(bundle.identity)


def test_it_is_left_running(bundle: Bundle, criu: str) -> None:
    """--leave-running: the container continues after the checkpoint."""
    counting(bundle)
    result = tell(bundle, criu, "checkpoint", "--leave-running")
    assert result, result.stderr
    assert bundle.state()["status"] == "running"
    last = counted(bundle)[-1]
    waited_for(lambda: counted(bundle)[-1] > last, "it counts on")


def test_memory_is_written_before(bundle: Bundle, criu: str) -> None:
    """--pre-dump and --parent-path: two steps, and the container runs on after the first."""
    counting(bundle)
    image = str(bundle.path / "image")
    first = bundle.runtime.tell(
        "--criu", criu, "checkpoint", "--pre-dump", "--image-path", f"{image}/first",
        bundle.identity,
    )  # fmt: skip
    if "mem" in first.stderr and "track" in first.stderr:
        pytest.skip(f"memory can't be tracked here: {first.stderr.strip()}")
    assert first, first.stderr
    assert bundle.state()["status"] == "running"
    result = tell(bundle, criu, "checkpoint", "--parent-path", "first")
    assert result, result.stderr
    restored(bundle, criu)


def test_a_restored_container_ends_as_its_program(bundle: Bundle, criu: str) -> None:
    """`restore` in the foreground returns the exit code and leaves nothing."""
    bundle.running("while [ ! -e /go ]; do sleep 0.05; done; exit 6")
    result = tell(bundle, criu, "checkpoint")
    assert result, result.stderr
    assert bundle.delete()
    words = ("--criu", criu, "restore", "--image-path", str(bundle.path / "image"), "--bundle",
             str(bundle.path), bundle.identity)  # fmt: skip
    (bundle.rootfs / "go").touch()
    assert bundle.runtime.run(*words, into=bundle.path) == 6, bundle.errors()  # there was no output
    assert not bundle.runtime.left(bundle.identity)


def test_a_pipe_is_exchanged(bundle: Bundle, criu: str) -> None:
    """A pipe of the creator is replaced by a pipe of the restorer."""
    bundle.shell(COUNTS)
    bundle.write()
    command = [bundle.runtime.command, "--root", str(bundle.runtime.root)]
    with subprocess.Popen(
        [*command, "run", "--bundle", bundle.path, bundle.identity],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout
        lines = [running.stdout.readline() for _ in range(3)]
        result = tell(bundle, criu, "checkpoint")
        assert result, result.stderr
        lines += running.stdout.readlines()
    words = ["--criu", criu, "restore", "--image-path", str(bundle.path / "image"), "--bundle"]
    with subprocess.Popen(
        [*command, *words, bundle.path, bundle.identity],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as again:
        assert again.stdout
        first = int(again.stdout.readline())
        bundle.delete("--force")
    assert int(lines[-1]) <= first <= int(lines[-1]) + 1


def test_a_restore_that_fails_leaves_nothing(bundle: Bundle, criu: str) -> None:
    """The files are damaged, or missing."""
    counting(bundle)
    assert tell(bundle, criu, "checkpoint")
    assert bundle.delete()
    (bundle.path / "image/pstree.img").write_bytes(b"damaged")
    for _ in range(2):
        result = tell(bundle, criu, "restore")
        assert not result
        assert "Traceback" not in result.stderr
        assert not bundle.runtime.left(bundle.identity)
        shutil.rmtree(bundle.path / "image", ignore_errors=True)


def test_another_cgroup_is_refused(bundle: Bundle, criu: str) -> None:
    """linux.cgroupsPath must be the same, since the checkpoint contains the cgroups."""
    counting(bundle)
    assert tell(bundle, criu, "checkpoint")
    assert bundle.delete()
    bundle.linux["cgroupsPath"] = f"/{bundle.identity}-other"
    bundle.write()
    result = tell(bundle, criu, "restore")
    assert not result
    assert "linux.cgroupsPath" in result.stderr
    assert not bundle.runtime.left(bundle.identity)


# These tests need no criu.


def pretended(bundle: Bundle, script: str) -> str:
    """Make a program that replaces criu."""
    program = bundle.path / "criu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_criu_that_is_not_there_is_named(bundle: Bundle) -> None:
    bundle.running()
    result = tell(bundle, "/no/such/criu", "checkpoint")
    assert not result
    assert "apt-get install criu" in result.stderr
    assert bundle.state()["status"] == "running"


def test_the_reason_that_criu_has_is_told(bundle: Bundle) -> None:
    """The error has criu's own reason, and the container runs on."""
    bundle.running()
    script = "echo 'Error (criu/x.c:1): a reason that it has' >&2; exit 1"
    result = tell(bundle, pretended(bundle, script), "checkpoint")
    assert not result
    assert "a reason that it has" in result.stderr
    assert bundle.state()["status"] == "running"


def test_options_are_handed_on(bundle: Bundle) -> None:
    """Options of runc and crun are passed to criu by its names."""
    bundle.running()
    reported = bundle.path / "told"
    program = pretended(bundle, f'echo "$@" > {reported}')
    result = tell(
        bundle, program, "checkpoint", "--leave-running", "--tcp-established", "--ext-unix-sk",
        "--shell-job", "--file-locks", "--manage-cgroups-mode", "ignore",
    )  # fmt: skip
    assert result, result.stderr
    words = reported.read_text().split()
    assert words[0] == "dump"
    for word in ("--leave-running", "--tcp-established", "--ext-unix-sk", "--shell-job",
                 "--file-locks", "--manage-cgroups=ignore", str(bundle.path / "work")):  # fmt: skip
        assert word in words


@pytest.mark.parametrize("what", ["created", "stopped", "mode", "parent"])
def test_what_cannot_be_written_is_refused(bundle: Bundle, what: str) -> None:
    """The refusal comes before criu is called."""
    {"created": bundle.created, "stopped": bundle.stopped}.get(what, bundle.running)()
    words = {"mode": ("--manage-cgroups-mode", "loose"), "parent": ("--parent-path", "none")}
    result = tell(bundle, pretended(bundle, "exit 0"), "checkpoint", *words.get(what, ()))
    assert not result
    assert what in result.stderr
    assert not (bundle.path / "image").exists()


def test_engines_can_ask_whether_it_is_built(bundle: Bundle) -> None:
    """podman runs `checkpoint --help` to find out if the runtime supports it."""
    assert bundle.runtime.tell("checkpoint", "--help")
