"""Containers of a user without root: in a user namespace, with and without further ids."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import namespace_of, waited_for
from tests.oci.users import FIRST_ID, IDS, NOBODY, runtime_of_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle, Runtime


@pytest.fixture(params=["himself", "ids"])
def user(installed: Runtime, request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Return the runtime as a user runs it, who has only his own id, or further ranges."""
    has_ids = request.param == "ids"
    if has_ids and not shutil.which("newuidmap"):
        pytest.skip("newuidmap is not installed: apt-get install uidmap")
    runtime = runtime_of_user(installed, ids=has_ids)
    yield runtime
    runtime.remove()


@pytest.fixture
def bundle(user: Runtime) -> Bundle:
    """Return a rootless bundle: root inside is the user, and there are no limits."""
    bundle = user.bundle()
    os.chown(bundle.path, NOBODY, NOBODY)
    os.chown(bundle.rootfs, NOBODY, NOBODY)
    bundle.namespace("user")
    bundle.namespace("cgroup")
    del bundle.linux["cgroupsPath"]
    mapping = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
    if has_ids(bundle):
        mapping.append({"containerID": 1, "hostID": FIRST_ID, "size": IDS})
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    if not has_ids(bundle):
        for mount in bundle.config["mounts"]:
            mount["options"] = [word for word in mount.get("options", ()) if word != "gid=5"]
    return bundle


def has_ids(bundle: Bundle) -> bool:
    return bundle.runtime.scratch.name == "user-with-ids"


def owner(pid: int) -> int:
    """Return the owner of a process on the host."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[0])


def test_a_user_runs_a_container(bundle: Bundle) -> None:
    """`run`: root inside is unprivileged outside, and all namespaces are the container's own."""
    report = bundle.report("/dev/null", "/proc/kcore")
    assert report["pid"] == 1
    assert report["uid_map"][0] == ["0", str(NOBODY), "1"]
    assert report["status"]["Uid"].split()[0] == "0"
    for name in ("user", "pid", "mnt", "net", "uts", "ipc", "cgroup"):
        assert report["namespaces"][name] != namespace_of("self", name)
    assert not bundle.state()


def test_a_users_container_lives_and_ends(bundle: Bundle) -> None:
    """`create`, `start`, `state`, `list`, `ps`, `kill` and `delete`."""
    bundle.shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done")
    bundle.created()
    assert bundle.state()["status"] == "created"
    started = bundle.start()
    assert started, started.stderr
    waited_for(lambda: "up" in bundle.output(), "it runs")
    state = bundle.state()
    assert (state["status"], state["owner"]) == ("running", "nobody")
    assert owner(state["pid"]) == NOBODY
    listed = json.loads(bundle.runtime.tell("list", "--format", "json").stdout)
    assert bundle.identity in [each["id"] for each in listed]
    shown = bundle.runtime.tell("ps", "--format", "json", bundle.identity)
    assert state["pid"] in json.loads(shown.stdout), shown.stderr
    assert not bundle.delete()
    killed = bundle.kill("TERM")
    assert killed, killed.stderr
    bundle.wait("stopped")
    deleted = bundle.delete()
    assert deleted, deleted.stderr
    assert not bundle.state()


def test_a_user_runs_more_in_a_container(bundle: Bundle) -> None:
    """`exec`: joins the user namespace first, which permits to join the others."""
    bundle.running()
    pid = bundle.state()["pid"]
    result = bundle.exec("--cwd", "/usr", bundle.identity, "/usr/bin/python3", "-ISc", (
        "import os\n"
        "for each in ('user', 'pid', 'mnt', 'net', 'uts', 'ipc', 'cgroup'):\n"
        "    print(each, os.readlink(f'/proc/self/ns/{each}'))\n"
        "print(os.getcwd(), os.getuid(), os.path.exists('/proc/1/root/etc'))"
    ))  # fmt: skip
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines() if line]
    for name, observed in lines[:7]:
        assert observed == namespace_of(pid, name), name
    assert lines[7] == ["/usr", "0", "True"]


def test_the_exit_code_and_the_force_are_a_users_too(bundle: Bundle) -> None:
    """`run` and `exec` return the program's exit code; `delete --force` kills everything."""
    bundle.shell("exit 9")
    assert bundle.run().exit_code == 9
    bundle.running("sleep 60 & sleep 60")
    pid = bundle.state()["pid"]
    assert bundle.exec(bundle.identity, "sh", "-c", "exit 8").exit_code == 8
    words = ("exec", "--detach", bundle.identity, "sleep", "60")
    assert bundle.runtime.run(*words, into=bundle.path) == 0
    inside = namespace_of(pid, "pid")
    assert len(members(inside)) >= 3
    deleted = bundle.delete("--force")
    assert deleted, deleted.stderr
    waited_for(lambda: not members(inside), "all have ended")


def members(namespace: str) -> list[str]:
    """Return the processes in a PID namespace."""
    observed = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            observed += [process.name] if namespace_of(process.name, "pid") == namespace else []
        except OSError:
            continue
    return observed


def test_further_ids_are_further_users(bundle: Bundle) -> None:
    """linux.uidMappings: ranges by newuidmap and newgidmap, for other users inside."""
    bundle.process["user"] = {"uid": 33, "gid": 44, "additionalGids": [55]}
    bundle.shell("id -u; id -g; id -G; sleep 60")
    if not has_ids(bundle):
        assert "uid 33" in bundle.refused()
        return
    bundle.created()
    assert bundle.start()
    waited_for(lambda: len(bundle.output().split()) >= 4, "it tells")
    assert bundle.output().split()[:4] == ["33", "44", "44", "55"]
    assert owner(bundle.state()["pid"]) == FIRST_ID + 32


def test_ids_that_are_not_a_users_are_refused(bundle: Bundle) -> None:
    """linux.uidMappings: ids of another user are refused, with the files that list the ranges."""
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 1, "size": 10}]
    assert "newuidmap" in bundle.refused()


def test_limits_that_a_user_cannot_set_are_refused(bundle: Bundle) -> None:
    """linux.resources: never ignored silently if no cgroup can be made."""
    bundle.linux["resources"] = {"pids": {"limit": 10}}
    words = bundle.refused()
    assert "linux.resources" in words
    assert "ermission denied" in words


@pytest.mark.parametrize("option", ["--cgroup-manager=disabled", "--rootless=true"])
def test_without_cgroups_by_an_option(bundle: Bundle, option: str) -> None:
    """`--cgroup-manager disabled` and `--rootless`."""
    bundle.shell("cat /proc/self/cgroup")
    bundle.write()
    result = bundle.runtime.tell(option, "run", "--bundle", str(bundle.path), bundle.identity)
    assert result, result.stderr
    assert result.stdout.strip()


def test_not_rootless_wants_its_cgroup(bundle: Bundle) -> None:
    """`--rootless=false`: a cgroup that can't be made is an error."""
    bundle.shell("exit 0")
    bundle.write()
    result = bundle.runtime.tell(
        "--rootless=false", "run", "--bundle", str(bundle.path), bundle.identity
    )
    assert not result
    assert "cgroup" in result.stderr


def test_what_has_no_cgroup_is_neither_paused_nor_limited(bundle: Bundle) -> None:
    """`pause` and `update` fail with an error."""
    bundle.running()
    for words in (("pause",), ("update", "--pids-limit", "7")):
        result = bundle.runtime.tell(*words, bundle.identity)
        assert not result, words
        assert "cgroup" in result.stderr
    assert bundle.state()["status"] == "running"


def test_hooks_of_a_users_container(bundle: Bundle) -> None:
    """createContainer hooks run in the container's namespaces, as the user."""
    seen = bundle.path / "seen"
    script = f"(id -u; readlink /proc/self/ns/user) > {seen}"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script]}
    bundle.config["hooks"] = {"createContainer": [hook]}
    bundle.shell("exec sleep 60")
    bundle.created()
    assert seen.read_text().split() == ["0", namespace_of(bundle.state()["pid"], "user")]


def test_a_pipe_is_the_users_inside(bundle: Bundle) -> None:
    """Root of the user namespace gives the pipe to a user with mapped ids."""
    user = 1000 if has_ids(bundle) else 0
    bundle.process["user"] = {"uid": user, "gid": user}
    bundle.shell("echo out >/dev/stdout")
    bundle.write()
    reading, writing = os.pipe()
    os.fchown(writing, NOBODY, NOBODY)
    command = [bundle.runtime.command, "--root", str(bundle.runtime.root), "run", "--bundle"]
    with open(reading) as pipe:  # noqa: PTH123 - a descriptor
        result = subprocess.run(
            [*command, str(bundle.path), bundle.identity], stdin=subprocess.DEVNULL, stdout=writing,
            stderr=subprocess.PIPE, cwd="/", check=False, text=True,
        )  # fmt: skip
        os.close(writing)
        assert (result.returncode, pipe.read()) == (0, "out\n"), result.stderr


def test_more_mounts_than_descriptors_of_a_user(bundle: Bundle) -> None:
    """A user can't raise limits; the sources are opened one by one."""
    (bundle.path / "source").mkdir()
    for number in range(100):
        bundle.mount(f"/many/{number}", "none", "source", "bind", "ro")
    bundle.shell("grep -c ' /many/' /proc/self/mounts; ulimit -n")
    bundle.write()
    result = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", bundle.runtime.command, "--root",
         str(bundle.runtime.root), "run", "--bundle", str(bundle.path), bundle.identity],
        stdin=subprocess.DEVNULL, capture_output=True, cwd="/", check=False, text=True,
    )  # fmt: skip
    assert result.stdout.split() == ["100", "64"], result.stderr
