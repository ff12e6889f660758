"""config.md, "Process": settings that do not fit into one rich configuration, and `exec`."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import PYTHON, Result, namespace_of, waited_for
from tests.oci.users import FIRST_ID, IDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle

BE, IDLE = 2, 3  # ioprio_set(2)


def test_a_user_without_privileges(bundle: Bundle) -> None:
    """POSIX-platform User: uid and gid; Linux Process: only ambient capabilities outlive exec."""
    bundle.process["user"] = {"uid": 1234, "gid": 2345, "additionalGids": [99]}
    bundle.process["capabilities"] = {
        name: ["CAP_NET_BIND_SERVICE"] for name in ("bounding", "permitted", "inheritable",
                                                    "effective", "ambient")
    }  # fmt: skip
    status = bundle.report()["status"]
    assert status["Uid"].split() == ["1234"] * 4
    assert status["Gid"].split() == ["2345"] * 4
    assert set(status["Groups"].split()) - {"2345"} == {"99"}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")} == {1 << 10}


def test_no_capabilities_for_a_user_who_is_given_none(bundle: Bundle) -> None:
    """Linux Process: capabilities outside the sets are dropped."""
    bundle.process["user"] = {"uid": 1234, "gid": 2345}
    bundle.process["capabilities"] = {}
    status = bundle.report()["status"]
    sets = ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
    assert {name: int(status[name], 16) for name in sets} == dict.fromkeys(sets, 0)


def test_new_privileges_are_allowed_unless_forbidden(bundle: Bundle) -> None:
    """Linux Process: noNewPrivileges is off by default."""
    assert bundle.report()["status"]["NoNewPrivs"].strip() == "0"


def test_oom_score_adj_is_left_alone(bundle: Bundle) -> None:
    """Linux Process: if oomScoreAdj is not set the runtime MUST NOT change it."""
    own = int(open("/proc/self/oom_score_adj").read())  # noqa: PTH123, SIM115
    assert bundle.report()["oom_score_adj"] == own


def test_umask_is_left_alone(bundle: Bundle) -> None:
    """POSIX-platform User: without umask it should be that of the calling process."""
    was = os.umask(0o037)
    try:
        assert bundle.report()["umask"] in {0o037, 0o022}  # runc and crun set their own umask
    finally:
        os.umask(was)


def test_args_are_looked_up_as_execvp_does(bundle: Bundle) -> None:
    """Process: the first word of args is searched as by execvp, in the PATH of process.env."""
    (bundle.rootfs / "own").mkdir()
    (bundle.rootfs / "own/program").write_text("#!/bin/sh\necho found $0\n")
    (bundle.rootfs / "own/program").chmod(0o755)
    bundle.process["env"] = ["PATH=/bin:/own"]
    bundle.process["args"] = ["program"]
    assert bundle.run().stdout == "found /own/program\n"


def ways(bundle: Bundle, *args: str) -> Iterator[Result]:
    """Run a program in three ways: by run, by create and start, and by exec."""
    bundle.process["args"] = list(args)
    yield bundle.run()
    result = bundle.create()
    if result:
        result = bundle.start()
        waited_for(lambda: bundle.state()["status"] == "stopped", "it ends")
        result = Result(result.exit_code, bundle.output(), result.stderr)
        bundle.delete("--force")
    yield result
    bundle.running("exec /usr/bin/sleep 60")
    yield bundle.exec(*[f"--env={word}" for word in bundle.process["env"]], bundle.identity, *args)
    bundle.delete("--force")


def script(place: Path, text: str = "#!/bin/sh\necho found $0\n", mode: int = 0o755) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_text(text)
    place.chmod(mode)


@pytest.mark.parametrize("first", ["a directory", "no executable", "a link to nowhere", "a file"])
def test_what_cannot_be_executed_is_passed_over(bundle: Bundle, first: str) -> None:
    """Process, args: like execvp, continue with the next directory of PATH."""
    script(bundle.rootfs / "own/program")
    place = bundle.rootfs / "first/program"
    if first == "a directory":
        place.mkdir(parents=True)
    elif first == "no executable":
        script(place, mode=0o644)
    elif first == "a link to nowhere":
        place.parent.mkdir()
        place.symlink_to("nowhere")
    else:
        script(place.parent)
    bundle.process["env"] = ["PATH=/nowhere:/first:/own"]
    for result in ways(bundle, "program"):
        assert result.stdout == "found /own/program\n", result.stderr


def test_a_directory_that_the_user_may_not_enter_is_passed_over(bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["capabilities"] = {}
    for name in ("first", "own"):
        script(bundle.rootfs / name / "program")
    (bundle.rootfs / "first").chmod(0o700)
    bundle.process["env"] = ["PATH=/first:/own"]
    for result in ways(bundle, "program"):
        assert result.stdout == "found /own/program\n", result.stderr


@pytest.mark.parametrize("env", [[], ["PATH="], ["PATH=:/nowhere:"], ["PATH=/usr/bin:/bin"]])
def test_a_program_that_is_nowhere(bundle: Bundle, env: list[str]) -> None:
    """Engines recognize the error's text, and exit with code 127.

    A file in the working directory is not found by its name alone.
    """
    script(bundle.rootfs / "tmp/program")
    bundle.process["cwd"] = "/tmp"
    bundle.process["env"] = env
    for result in ways(bundle, "program"):
        assert not result
        assert 'exec: "program": executable file not found in $PATH' in result.stderr


@pytest.mark.parametrize("kind", ["a directory", "no executable"])
def test_a_program_that_may_not_be_executed(bundle: Bundle, kind: str) -> None:
    """Engines recognize the error's text, and exit with code 126."""
    script(bundle.rootfs / "own/program", mode=0o644)
    (bundle.rootfs / "own/directory").mkdir()
    name = "directory" if kind == "a directory" else "program"
    for word in (name, f"/own/{name}"):
        bundle.process["env"] = ["PATH=/bin:/own"]
        for result in ways(bundle, word):
            assert not result
            assert f"run {word}: permission denied" in result.stderr


def test_without_a_path_it_is_that_of_the_c_library(bundle: Bundle) -> None:
    bundle.process["env"] = []
    for result in ways(bundle, "pwd"):
        assert result.stdout == "/\n", result.stderr


def test_a_script_of_no_interpreter_is_not_run_by_a_shell(bundle: Bundle) -> None:
    """As in other runtimes, and unlike execvp."""
    script(bundle.rootfs / "own/program", "echo hi\n")
    bundle.process["env"] = ["PATH=/own"]
    for result in ways(bundle, "program"):
        assert not result
        assert "exec format error" in result.stderr


@pytest.mark.parametrize("limit", [4, 8])
def test_few_descriptors_are_enough(bundle: Bundle, limit: int) -> None:
    """POSIX process, rlimits: a low limit is for the program, not for the runtime's set-up."""
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": limit, "hard": limit}]
    bundle.process["env"] = ["PATH=/bin"]
    source = bundle.path / "source"
    source.mkdir()
    for number in range(20):
        bundle.mount(f"/m{number}", "none", str(source), "bind")
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO"}]}  # fmt: skip
    bundle.process["noNewPrivileges"] = True
    for result in ways(bundle, "grep", "Max open files", "/proc/self/limits"):
        assert result.stdout.split()[3:5] == [str(limit)] * 2, result.stderr


def test_few_descriptors_in_a_user_namespace(bundle: Bundle) -> None:
    """The set-up in a user namespace needs descriptors at its end too; soft is below hard."""
    os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
    bundle.namespace("user")
    mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 9}]
    bundle.process["env"] = ["PATH=/bin"]
    for result in ways(bundle, "grep", "Max open files", "/proc/self/limits"):
        assert result.stdout.split()[3:5] == ["5", "9"], result.stderr


@pytest.mark.parametrize("apart", [True, False])
def test_a_hard_limit_is_raised_or_refused(bundle: Bundle, *, apart: bool) -> None:
    """Only a privileged runtime may raise it, also with a user namespace; the check comes first."""
    if apart:
        os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
        bundle.namespace("user")
        mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    _, now = resource.getrlimit(resource.RLIMIT_NOFILE)
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": now + 1}]
    bundle.shell("ulimit -H -n")
    status = Path("/proc/self/status").read_text()
    may = int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1  # CAP_SYS_RESOURCE
    if may:
        assert bundle.run().stdout == f"{now + 1}\n"
        return
    words = bundle.refused()
    assert f"RLIMIT_NOFILE: operation not permitted. Its hard limit, {now + 1}" in words


def test_scheduler(bundle: Bundle) -> None:
    """Linux Process: the scheduler's policy, nice and flags."""
    bundle.process["scheduler"] = {
        "policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"],
    }  # fmt: skip
    report = bundle.report()
    assert (report["scheduler"], report["nice"]) == (os.SCHED_BATCH, 5)
    assert report["reset_on_fork"] is True


@pytest.mark.parametrize(("name", "number"), [("IOPRIO_CLASS_BE", BE), ("IOPRIO_CLASS_IDLE", IDLE)])
def test_io_priority(bundle: Bundle, name: str, number: int) -> None:
    """Linux Process: ioPriority's class and priority."""
    bundle.process["ioPriority"] = {"class": name, "priority": 6}
    assert bundle.report()["io_priority"] == number << 13 | 6


def test_personality(bundle: Bundle) -> None:
    """config-linux.md, Personality: with LINUX32 uname reports a 32-bit machine."""
    bundle.linux["personality"] = {"domain": "LINUX32"}
    report = bundle.report()
    assert report["personality"] == 8
    assert report["machine"] == "i686"


def test_memory_policy(bundle: Bundle) -> None:
    """config-linux.md, Memory policy: mode and nodes for set_mempolicy(2)."""
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    assert bundle.report()["memory_policy"] == {"mode": 2, "nodes": 1}


def test_descriptors_that_are_to_be_preserved(bundle: Bundle) -> None:
    """runtime-linux.md, File descriptors: MAY pass more, by `--preserve-fds`."""
    import subprocess

    bundle.look()
    bundle.write()
    preserved, other = os.open("/etc/hostname", os.O_RDONLY), os.open("/etc/passwd", os.O_RDONLY)
    script = f'exec 3<&{preserved} 4<&{other}; exec "$@"'
    with (bundle.path / "stdout").open("wb") as stdout:
        result = subprocess.run(
            ["/bin/bash", "-c", script, "bash", bundle.runtime.command, "--root",
             str(bundle.runtime.root), "run", "--preserve-fds", "1", "--bundle", str(bundle.path),
             bundle.identity],
            stdin=subprocess.DEVNULL, stdout=stdout, pass_fds=(preserved, other), check=False,
        )  # fmt: skip
    os.close(preserved)
    os.close(other)
    assert result.returncode == 0
    assert set(json.loads(bundle.output())["descriptors"]) == {"0", "1", "2", "3"}


def test_a_descriptor_that_leaks_into_the_runtime_is_not_passed_on(bundle: Bundle) -> None:
    """runtime-linux.md, File descriptors: only the three streams are kept open by default."""
    import subprocess

    bundle.look()
    bundle.write()
    leaked = os.open("/", os.O_RDONLY)
    with (bundle.path / "stdout").open("wb") as stdout:
        subprocess.run(
            [bundle.runtime.command, "--root", str(bundle.runtime.root), "run", "--bundle",
             str(bundle.path), bundle.identity],
            stdin=subprocess.DEVNULL, stdout=stdout, pass_fds=(leaked,), check=True,
        )  # fmt: skip
    os.close(leaked)
    assert set(json.loads(bundle.output())["descriptors"]) == {"0", "1", "2"}


def test_a_user_namespace(bundle: Bundle) -> None:
    """config-linux.md, User namespace mappings: ids inside and on the host."""
    mapping = [{"containerID": 0, "hostID": 70000, "size": 1000}]
    bundle.namespace("user")
    bundle.linux.update(uidMappings=mapping, gidMappings=mapping)
    bundle.process["user"] = {"uid": 5, "gid": 6}
    (bundle.rootfs / "dev").chmod(0o755)
    for part in (bundle.path, bundle.runtime.scratch):
        part.chmod(0o755)
    report = bundle.report()
    assert report["uid_map"] == [["0", "70000", "1000"]]
    assert report["gid_map"] == [["0", "70000", "1000"]]
    assert report["status"]["Uid"].split()[0] == "5"
    assert report["namespaces"]["user"] != namespace_of("self", "user")


def test_the_default_devices_are_there_in_a_user_namespace(bundle: Bundle) -> None:
    """config-linux.md, Default Devices: MUST exist, even if mknod(2) is refused."""
    mapping = [{"containerID": 0, "hostID": 70000, "size": 1000}]
    bundle.namespace("user")
    bundle.linux.update(uidMappings=mapping, gidMappings=mapping)
    bundle.runtime.scratch.chmod(0o755)
    paths = bundle.report()["paths"]
    names = ("null", "zero", "full", "random", "urandom", "tty")
    assert {name: paths[f"/dev/{name}"]["type"] for name in names} == dict.fromkeys(names, "c")


def test_exec_joins_the_container(bundle: Bundle) -> None:
    """`exec`: every namespace and cgroup, and the container's environment."""
    bundle.running()
    first = bundle.state()["pid"]
    result = bundle.exec("--cwd", "/usr", "--env", "NAME=value", bundle.identity, *PYTHON)
    assert result, result.stderr
    report = json.loads(result.stdout)
    for name in ("mnt", "net", "pid", "ipc", "uts"):
        assert report["namespaces"][name] == namespace_of(first, name), name
    assert report["env"]["NAME"] == "value"
    assert report["env"]["PATH"] == "/usr/sbin:/usr/bin:/sbin:/bin"
    assert report["cwd"] == "/usr"
    assert report["hostname"] == "conformance"
    assert all(bundle.identity in path for path in report["cgroups"].values() if path != "/")
    assert set(report["descriptors"]) == {"0", "1", "2"}


@pytest.mark.parametrize("code", [0, 3])
def test_exec_ends_as_its_program_ends(bundle: Bundle, code: int) -> None:
    """`exec`: its exit code, and its streams."""
    bundle.running()
    result = bundle.exec(bundle.identity, "sh", "-c", f"echo out; echo error >&2; exit {code}")
    assert (result.exit_code, result.stdout) == (code, "out\n")
    assert "error\n" in result.stderr


def test_exec_takes_a_process_as_json(bundle: Bundle) -> None:
    """`exec --process`: a process section as in config.json."""
    bundle.running()
    process = bundle.path / "process.json"
    process.write_text(json.dumps({
        **bundle.process, "args": list(PYTHON), "user": {"uid": 7, "gid": 8},
        "env": ["ONLY=this", "PATH=/usr/bin"], "cwd": "/tmp", "noNewPrivileges": True,
        "capabilities": {"bounding": ["CAP_KILL"]},
    }))  # fmt: skip
    result = bundle.exec("--process", str(process), bundle.identity)
    assert result, result.stderr
    report = json.loads(result.stdout)
    assert report["status"]["Uid"].split()[0] == "7"
    assert report["status"]["NoNewPrivs"].strip() == "1"
    assert int(report["status"]["CapBnd"], 16) == 1 << 5
    assert report["env"]["ONLY"] == "this"
    assert report["cwd"] == "/tmp"


def test_exec_takes_a_cpu_affinity(bundle: Bundle) -> None:
    """config.md, Linux Process, execCPUAffinity: `final` is the affinity of the running process.

    It is for processes of exec, not for the container's first.
    """
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        pytest.skip("needs two CPUs")
    bundle.process["execCPUAffinity"] = {"initial": f"{first}-{others[-1]}", "final": str(first)}
    bundle.running()
    assert os.sched_getaffinity(bundle.state()["pid"]) == {first, *others}
    allowed = ("grep", "Cpus_allowed_list", "/proc/self/status")
    assert bundle.exec(bundle.identity, *allowed).stdout.split()[1] == str(first)
    process = bundle.path / "process.json"
    for affinity, left in (
        ({"initial": str(first), "final": str(others[-1])}, others[-1]),
        ({"initial": str(others[-1])}, others[-1]),
    ):
        process.write_text(
            json.dumps({**bundle.process, "args": list(allowed), "execCPUAffinity": affinity})
        )
        result = bundle.exec("--process", str(process), bundle.identity)
        assert result.stdout.split()[1] == str(left), affinity


def test_exec_of_what_does_not_run_is_an_error(bundle: Bundle) -> None:
    """`exec`: an error without a running container."""
    bundle.stopped()
    assert not bundle.exec(bundle.identity, "true")


def test_exec_detached_leaves_its_process_running(bundle: Bundle) -> None:
    """`exec --detach --pid-file`."""
    bundle.running()
    pid_file = bundle.path / "exec.pid"
    result = bundle.runtime.run(
        "exec", "--detach", "--pid-file", str(pid_file), bundle.identity, "sleep", "60",
        into=bundle.path,
    )  # fmt: skip
    assert result == 0
    pid = int(pid_file.read_text())
    waited_for(
        lambda: b"sleep" in open(f"/proc/{pid}/cmdline", "rb").read(),  # noqa: PTH123, SIM115
        "the process",
    )
    assert bundle.kill()
    waited_for(lambda: not os.path.exists(f"/proc/{pid}"), "it ends with the container")  # noqa: PTH110


def test_ps_tells_the_processes(bundle: Bundle) -> None:
    """`ps --format json`: the pids, as the host sees them."""
    bundle.running()
    result = bundle.runtime.tell("ps", "--format", "json", bundle.identity)
    assert result, result.stderr
    assert bundle.state()["pid"] in json.loads(result.stdout)
