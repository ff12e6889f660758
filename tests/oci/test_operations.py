"""runtime.md, "Operations" and "Errors": create, start, kill, delete."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import cgroups_of, mounts_of_host, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oci.driver import Bundle, Runtime

BAD_IDS = ["", ".", "..", "a/b", "../escape", "a b", "a\nb", "x;y"]


@pytest.mark.parametrize("verb", ["create", "start", "kill", "delete"])
def test_an_operation_without_an_id_is_an_error(runtime: Runtime, verb: str) -> None:
    """Create, Start, Kill, Delete: each is an error if it is not given the container's id."""
    assert not runtime.tell(verb)


@pytest.mark.parametrize("identity", BAD_IDS)
def test_an_id_that_is_not_valid_makes_nothing(bundle: Bundle, identity: str) -> None:
    """Create: an invalid id is an error, and no container is created."""
    bundle.write()
    before = set(bundle.runtime.scratch.rglob("*"))
    result = bundle.runtime.run("create", "--bundle", str(bundle.path), identity, into=bundle.path)
    assert result != 0
    new = {
        path for path in set(bundle.runtime.scratch.rglob("*")) - before
        if path.parent not in {bundle.path, bundle.runtime.scratch}
    }  # fmt: skip
    assert new == set()


def test_a_bundle_without_config_is_an_error(bundle: Bundle) -> None:
    """Create: the path of a bundle is needed."""
    result = bundle.create(write=False)
    assert not result
    assert bundle.runtime.left(bundle.identity) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"ociVersion": 1}'])
def test_what_is_no_configuration_is_an_error(bundle: Bundle, text: str) -> None:
    """Create: an invalid configuration is an error, and no container is created."""
    (bundle.path / "config.json").write_text(text)
    result = bundle.create(write=False)
    assert not result
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr
    assert bundle.runtime.left(bundle.identity) == []


def test_create_does_not_run_the_program(bundle: Bundle) -> None:
    """Lifecycle step 2, Create: process.args is not applied until start."""
    bundle.shell("echo ran >/ran")
    bundle.created()
    assert not (bundle.rootfs / "ran").exists()
    assert bundle.start()
    waited_for((bundle.rootfs / "ran").exists, "the program ran")


def test_what_is_changed_in_config_after_create_has_no_effect(bundle: Bundle) -> None:
    """Lifecycle step 2, Create: later changes of config.json have no effect."""
    bundle.shell("echo first; hostname")
    bundle.created()
    changed = json.loads(json.dumps(bundle.config))
    changed["hostname"] = "changed"
    changed["process"]["args"] = ["/bin/sh", "-c", "echo second"]
    (bundle.path / "config.json").write_text(json.dumps(changed))
    assert bundle.start()
    bundle.wait("stopped")
    assert bundle.output().split() == ["first", "conformance"]


def test_a_config_that_is_gone_after_create_has_no_effect(bundle: Bundle) -> None:
    """Lifecycle step 2: the container does not need its config.json any more."""
    bundle.shell("echo ran")
    bundle.created()
    (bundle.path / "config.json").unlink()
    assert bundle.start()
    bundle.wait("stopped")
    assert bundle.output() == "ran\n"
    assert bundle.delete()


def test_start_runs_the_program(bundle: Bundle) -> None:
    """Start, Lifecycle step 8: it runs the program that `process` names."""
    bundle.running("echo hello; exec sleep 60")
    waited_for(lambda: bundle.output() == "hello\n", "its output")


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_start_of_what_is_not_created_is_an_error(bundle: Bundle, state: str) -> None:
    """Start: an error that has no effect, unless the container is `created`."""
    getattr(bundle, state)()
    before = bundle.state()
    result = bundle.start()
    assert not result
    assert result.stderr.strip()
    assert bundle.state() == before


def test_start_of_what_does_not_exist_is_an_error(runtime: Runtime) -> None:
    """Start: an error unless the container is `created`."""
    assert not runtime.tell("start", "tonnage-oci-none")


def test_start_without_a_process_is_an_error(bundle: Bundle) -> None:
    """Start: an error if `process` was not set (create may refuse it as well)."""
    del bundle.config["process"]
    assert not (bundle.create() and bundle.start())


def test_a_program_that_is_not_there_is_an_error(bundle: Bundle) -> None:
    """Create, Start: a configuration that can't be applied is an error."""
    bundle.process["args"] = ["/no/such/program"]
    result = bundle.run()
    assert not result
    assert "/no/such/program" in result.stderr
    assert bundle.runtime.left(bundle.identity) == []


@pytest.mark.parametrize("name", ["TERM", "SIGUSR1", "12", "KILL"])
def test_kill_sends_that_signal_to_the_container_process(bundle: Bundle, name: str) -> None:
    """Kill: signals in either spelling, or as a number."""
    numbers = {"TERM": 15, "SIGUSR1": 10, "12": 12}
    traps = "; ".join(f"trap 'echo got {number}; exit 0' {number}" for number in numbers.values())
    bundle.running(f"{traps}; echo ready; while :; do sleep 0.02; done")
    waited_for(lambda: "ready" in bundle.output(), "the traps")
    assert bundle.kill(name)
    bundle.wait("stopped")
    expected = f"ready\ngot {numbers[name]}\n" if name in numbers else "ready\n"
    assert bundle.output() == expected


def test_kill_reaches_a_created_container(bundle: Bundle) -> None:
    """Kill: `created` and `running` containers take signals."""
    bundle.created()
    assert bundle.kill("KILL")
    bundle.wait("stopped")


def test_kill_of_what_is_stopped_is_an_error(bundle: Bundle) -> None:
    """Kill: an error that has no effect, unless the container is created or running."""
    bundle.stopped()
    result = bundle.kill("TERM")
    assert not result
    assert result.stderr.strip()
    assert bundle.state()["status"] == "stopped"


def test_kill_of_what_does_not_exist_is_an_error(runtime: Runtime) -> None:
    """Kill: an error for a container that does not exist."""
    assert not runtime.tell("kill", "tonnage-oci-none", "KILL")


def test_an_unknown_signal_is_an_error(bundle: Bundle) -> None:
    """Valid values: an invalid signal is an error, and the container continues."""
    bundle.running()
    assert not bundle.kill("NOSUCHSIGNAL")
    assert bundle.state()["status"] == "running"


def test_kill_all_reaches_every_process(bundle: Bundle) -> None:
    """`--all`: every process, also in a shared PID namespace."""
    bundle.without_namespace("pid")
    bundle.running("sleep 70 & sleep 70 & wait")
    pids = [cgroup / "cgroup.procs" for cgroup in cgroups_of(bundle.identity)]
    waited_for(lambda: any(len(path.read_text().split()) >= 3 for path in pids), "its children")
    assert bundle.kill("KILL", "--all")
    waited_for(
        lambda: not any(path.read_text().split() for path in pids), "every process has ended"
    )


@pytest.mark.parametrize("state", ["created", "running"])
def test_delete_of_what_is_not_stopped_is_an_error(bundle: Bundle, state: str) -> None:
    """Delete: an error that has no effect, unless the container is `stopped`."""
    getattr(bundle, state)()
    before = bundle.state()
    result = bundle.delete()
    assert not result
    assert result.stderr.strip()
    assert bundle.state() == before


def test_delete_of_what_does_not_exist_is_an_error(runtime: Runtime) -> None:
    """Delete: an error for a container that does not exist."""
    assert not runtime.tell("delete", "tonnage-oci-none")


def test_delete_removes_what_create_made(bundle: Bundle) -> None:
    """Delete, Lifecycle step 12: the resources of create are removed, and the id is free."""
    before = mounts_of_host()
    bundle.stopped()
    assert cgroups_of(bundle.identity) != []
    assert bundle.delete()
    assert bundle.runtime.left(bundle.identity) == []
    assert bundle.state() == {}
    assert mounts_of_host() == before
    assert bundle.create()


def test_delete_with_force_ends_a_running_container(bundle: Bundle) -> None:
    """`--force`: kill and delete in one command."""
    bundle.running("sleep 60 & sleep 60")
    assert bundle.delete("--force")
    assert bundle.runtime.left(bundle.identity) == []


def test_delete_leaves_what_it_did_not_make(bundle: Bundle, another: Callable[[], Bundle]) -> None:
    """Delete: resources that create did not make are not removed."""
    beside = Path("/sys/fs/cgroup/pids") / f"{bundle.identity}-beside"
    if not beside.parent.is_dir():
        beside = Path("/sys/fs/cgroup") / beside.name
    beside.mkdir()
    try:
        bundle.stopped()
        assert bundle.delete()
        assert beside.is_dir()
        assert (bundle.rootfs / "bin/sh").exists()
        assert (bundle.path / "config.json").exists()
    finally:
        beside.rmdir()


def test_delete_removes_parents_that_create_made(bundle: Bundle) -> None:
    """Delete: parents of the cgroup that were made for the container are removed."""
    bundle.linux["cgroupsPath"] = f"/{bundle.identity}/inner/most"
    bundle.stopped()
    assert bundle.delete()
    assert cgroups_of(bundle.identity) == []


def test_an_error_leaves_things_as_they_were(bundle: Bundle) -> None:
    """Errors: a failed operation leaves the environment as if it had not been tried."""
    before = mounts_of_host()
    bundle.mount("/data", "no-such-file-system", "none")
    bundle.refused()
    assert mounts_of_host() == before
    bundle.config["mounts"].pop()
    assert bundle.create()


def test_run_ends_as_its_program_ends(bundle: Bundle) -> None:
    """`run`: the program's exit code, and nothing left."""
    bundle.shell("exit 7")
    assert bundle.run().exit_code == 7
    assert bundle.runtime.left(bundle.identity) == []


def test_run_tells_the_signal_that_ended_it(bundle: Bundle) -> None:
    """`run`: 128 + n if signal n ended the program."""
    bundle.process["args"] = ["/usr/bin/python3", "-c", "import os; os.abort()"]
    bundle.linux["namespaces"] = [
        each
        for each in bundle.linux["namespaces"]
        if each["type"] != "pid"
        # The kernel does not deliver fatal signals that the first process of a PID namespace sends
        # itself.
    ]
    assert bundle.run().exit_code == 128 + signal.SIGABRT


def test_run_detached_returns_while_it_runs(bundle: Bundle) -> None:
    """`run --detach`, and `--pid-file`."""
    bundle.shell("sleep 60")
    pid_file = bundle.path / "pid"
    assert bundle.run("--detach", "--pid-file", str(pid_file))
    state = bundle.state()
    assert state["status"] == "running"
    assert int(pid_file.read_text()) == state["pid"]
