"""Namespaces, time and user of each hook: for root and other users, by create and start and by run.

config.md, "POSIX-platform Hooks": prestart, createRuntime, poststart and poststop in the runtime's
namespaces; createContainer in the container's, by the runtime's paths and before pivot_root;
startContainer in the container, by its own paths, before the program.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.oci.driver import namespace_of
from tests.oci.users import FIRST_ID, IDS, NOBODY, runtime_of_user

if TYPE_CHECKING:
    from tests.oci.driver import Bundle, Result, Runtime

RUNTIMES = ("prestart", "createRuntime", "poststart", "poststop")
CONTAINERS = ("createContainer", "startContainer")
AT_CREATE = ("prestart", "createRuntime", "createContainer")
EVERY = (*AT_CREATE, "startContainer", "poststart", "poststop")
KINDS = ("mnt", "pid", "net", "ipc", "uts")
PROGRAM = "echo program >>/hooks/order; exec sleep 0.4"
LOOK = """
import json, os, sys
name, place = sys.argv[1:3]
read = lambda path: open(path, errors="replace").read()
state = json.load(sys.stdin)
try:
    runs = "sleep" in read(f"/proc/{state['pid']}/cmdline")
except OSError:
    runs = None
seen = {
    "state": state, "runs": runs, "cwd": os.getcwd(), "uid": os.getuid(), "gid": os.getgid(),
    "env": read("/proc/self/environ").split("\\0")[:-1],
    "namespaces": {each: os.readlink(f"/proc/self/ns/{each}")
                   for each in os.listdir("/proc/self/ns")},
    "status": dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines()),
    "mounts": [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()],
    "cgroups": read("/proc/self/cgroup"),
    "is_host": os.path.isdir(sys.argv[3]),
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
}
open(f"{place}/{name}.json", "w").write(json.dumps(seen))
open(f"{place}/order", "a").write(name + "\\n")
"""


@pytest.fixture(params=["root", "user"])
def bundle(installed: Runtime, request: pytest.FixtureRequest) -> Any:
    """Return a bundle of root, and a bundle of a user without privileges."""
    if request.param == "root":
        runtime = installed
        made = runtime.bundle()
        made.linux["cgroupsPath"] = f"/{made.identity}"
    else:
        runtime = runtime_of_user(installed, ids=False)
        made = runtime.bundle()
        for path in (made.path, made.rootfs):
            os.chown(path, NOBODY, NOBODY)
        made.namespace("user")
        del made.linux["cgroupsPath"]
        mapping = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
        made.linux["uidMappings"] = made.linux["gidMappings"] = mapping
        for mount in made.config["mounts"]:
            mount["options"] = [word for word in mount.get("options", ()) if word != "gid=5"]
    yield made
    runtime.remove()


def with_hooks(bundle: Bundle, *names: str, **scripts: str) -> Path:
    """Add hooks that record their surroundings, then run a script; return the folder of records."""
    log = bundle.path / "hooks"
    log.mkdir()
    (bundle.path / "look.py").write_text(LOOK)
    (bundle.rootfs / "look.py").write_text(LOOK)
    os.chown(log, bundle.path.stat().st_uid, -1)
    bundle.mount("/hooks", "none", str(log), "bind", "rw")
    bundle.mount("/made", "tmpfs", "tmpfs")
    bundle.config["annotations"] = {"a": "b"}
    bundle.config["hooks"] = {
        name: [hook(bundle, name, scripts.get(name, ""))] for name in names or EVERY
    }
    bundle.shell(PROGRAM)
    return log


def hook(bundle: Bundle, name: str, script: str) -> dict[str, object]:
    inside = name == "startContainer"
    code = "exec(open({}).read()); {}".format(
        repr("/look.py" if inside else f"{bundle.path}/look.py"), script
    )
    place = "/hooks" if inside else f"{bundle.path}/hooks"
    return {
        "path": "/usr/bin/python3",
        "args": ["python3", "-ISc", code, name, place, str(bundle.path)],
        "env": [f"ONLY={name}"],
    }


def lived(bundle: Bundle, how: str) -> Result:
    """Run a container's whole life: by create, start and delete, or by run."""
    if how == "run":
        return bundle.run()
    result = bundle.create()
    if result:
        result = bundle.start()
    if result:
        bundle.wait("stopped")
        result = bundle.delete()
    return result


def seen(log: Path, name: str) -> dict[str, Any]:
    observed: dict[str, Any] = json.loads((log / f"{name}.json").read_text())
    return observed


both = pytest.mark.parametrize("how", ["create and start", "run"])


@both
def test_where_hooks_are_run(bundle: Bundle, how: str) -> None:
    """Namespaces, root, working directory, environment, cgroup, and the visible pid."""
    log = with_hooks(bundle)
    bundle.shell(
        f"readlink {' '.join(f'/proc/self/ns/{kind}' for kind in KINDS)} >/hooks/own; {PROGRAM}"
    )
    result = lived(bundle, how)
    assert result, result.stderr
    own = (log / "own").read_text().split()
    for name in EVERY:
        observed = seen(log, name)
        spaces = [observed["namespaces"][kind] for kind in KINDS]
        expected = [namespace_of("self", kind) for kind in KINDS]
        if name in CONTAINERS:
            expected = own
        elif bundle.runtime.scratch.name == "user":  # the command runs in its own mount namespace
            expected, spaces = expected[1:], spaces[1:]
        assert spaces == expected, name
        assert observed["is_host"] == (name != "startContainer"), name
        assert observed["env"] == [f"ONLY={name}"], name
        assert observed["descriptors"] == [0, 1, 2], name
        assert observed["state"]["annotations"] == {"a": "b"}, name
        if bundle.linux.get("cgroupsPath"):
            assert (bundle.identity in observed["cgroups"]) == (name in CONTAINERS), name
    assert {seen(log, name)["cwd"] for name in RUNTIMES} == {str(bundle.path)}
    assert seen(log, "createContainer")["cwd"] == str(bundle.rootfs)
    assert seen(log, "startContainer")["cwd"] == "/"
    assert {seen(log, name)["state"]["pid"] for name in CONTAINERS} == {1}


@both
def test_when_hooks_are_run(bundle: Bundle, how: str) -> None:
    """The mounts exist from the first hook on; the root is changed before startContainer."""
    log = with_hooks(bundle)
    result = lived(bundle, how)
    assert result, result.stderr
    order = (log / "order").read_text().split()
    order.remove("program")  # poststart does not wait for it
    assert order == list(EVERY)
    assert f"{bundle.rootfs}/made" in seen(log, "createContainer")["mounts"]
    inside = seen(log, "startContainer")["mounts"]
    assert "/made" in inside
    assert not [path for path in inside if str(bundle.path) in path]
    assert not [name for name in RUNTIMES if f"{bundle.rootfs}/made" in seen(log, name)["mounts"]]
    runs = {name: seen(log, name)["runs"] for name in ("prestart", "createRuntime", *CONTAINERS)}
    assert not any(runs.values()), runs


@both
def test_a_start_container_hook_has_what_the_program_has(bundle: Bundle, how: str) -> None:
    """The image has the hook; it gets the program's user, capabilities, limits and filter."""
    log = with_hooks(bundle, "startContainer")
    bundle.process["capabilities"] = {name: ["CAP_CHOWN"] for name in ("bounding", "effective",
                                                                        "permitted")}  # fmt: skip
    bundle.process["noNewPrivileges"] = True
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]
    bundle.process["cwd"] = "/made"
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO"}]}  # fmt: skip
    result = lived(bundle, how)
    assert result, result.stderr
    observed = seen(log, "startContainer")
    assert int(observed["status"]["CapEff"], 16) == int(observed["status"]["CapBnd"], 16) == 1
    assert observed["status"]["NoNewPrivs"] == "1"
    assert observed["status"]["Seccomp"] == "2"
    assert observed["cwd"] == "/made"


def test_a_start_container_hook_is_the_programs_user(installed: Runtime) -> None:
    """A program that only root may execute can't be a hook of another user either."""
    bundle = installed.bundle()
    try:
        log = with_hooks(bundle, "startContainer")
        log.chmod(0o777)
        bundle.process["user"] = {"uid": 1234, "gid": 2345}
        bundle.process["capabilities"] = {}
        result = lived(bundle, "run")
        assert result, result.stderr
        observed = seen(log, "startContainer")
        assert (observed["uid"], observed["gid"]) == (1234, 2345)
        assert int(observed["status"]["CapEff"], 16) == 0
    finally:
        installed.remove()


def test_a_start_container_hook_of_run_makes_nothing_on_the_host(bundle: Bundle) -> None:
    """Files that it writes by absolute paths are in the container's root."""
    name = f"{bundle.identity}.hook"
    with_hooks(bundle, "startContainer", startContainer=f"open('/tmp/{name}', 'w')")
    (bundle.rootfs / "tmp").chmod(0o1777)
    result = lived(bundle, "run")
    assert result, result.stderr
    assert not Path("/tmp", name).exists()
    assert (bundle.rootfs / "tmp" / name).exists()


def test_a_hook_of_the_container_is_looked_for_where_its_path_leads(bundle: Bundle) -> None:
    """createContainer by the runtime's paths, startContainer by the container's."""
    with_hooks(bundle, "createContainer", "startContainer")
    tool = bundle.path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    bundle.config["hooks"] = {"createContainer": [{"path": str(tool)}]}
    result = lived(bundle, "run")
    assert result, result.stderr
    bundle.config["hooks"] = {"startContainer": [{"path": str(tool)}]}
    result = lived(bundle, "run")
    assert not result
    assert str(tool) in result.stderr
    assert bundle.runtime.left(bundle.identity) == []


@both
@pytest.mark.parametrize("name", EVERY)
def test_what_a_hook_that_fails_leaves(bundle: Bundle, how: str, name: str) -> None:
    """An error destroys the container and calls poststop; a warning lets it continue."""
    log = with_hooks(bundle, **{name: "raise SystemExit(3)"})
    bundle.shell("exec sleep 60" if name != "poststop" else PROGRAM)
    result = lived(bundle, how)
    assert bool(result) == (name == "poststop")
    assert "exit code 3" in result.stderr
    assert bundle.runtime.left(bundle.identity) == []
    called = (log / "order").read_text().split()
    assert [each for each in called if each != "program"] == [
        *EVERY[: EVERY.index(name) + 1], *(["poststop"] if name != "poststop" else [])
    ]  # fmt: skip


def test_hooks_of_a_container_without_namespaces(installed: Runtime) -> None:
    """The root is changed by chroot(2) only, for startContainer hooks too."""
    bundle = installed.bundle()
    try:
        log = with_hooks(bundle, *CONTAINERS)
        for kind in ("mount", "pid", "network", "ipc", "uts"):
            bundle.without_namespace(kind)
        del bundle.config["hostname"]
        bundle.config["mounts"] = [
            each for each in bundle.config["mounts"]
            if each["destination"] in {"/hooks", "/proc", "/made"}
        ]  # fmt: skip
        result = lived(bundle, "run")
        assert result, result.stderr
        assert seen(log, "createContainer")["is_host"]
        assert not seen(log, "startContainer")["is_host"]
        assert seen(log, "startContainer")["state"]["pid"] > 1
    finally:
        installed.remove()


def test_a_hook_may_do_all_in_a_user_namespace_of_others(installed: Runtime) -> None:
    """createContainer runs as root of the user namespace of a container that root makes."""
    bundle = installed.bundle()
    try:
        log = with_hooks(bundle, *CONTAINERS)
        log.chmod(0o777)
        bundle.namespace("user")
        mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
        os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
        result = lived(bundle, "create and start")
        assert result, result.stderr
        observed = seen(log, "createContainer")
        assert observed["uid"] == 0
        assert int(observed["status"]["CapEff"], 16) >> 21 & 1  # CAP_SYS_ADMIN
        assert observed["namespaces"]["user"] != namespace_of("self", "user")
    finally:
        installed.remove()
