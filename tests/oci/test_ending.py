"""The end of containers: paused ones, shared PID namespaces, and `delete --force`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import cgroups_of, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oci.driver import Bundle

ENDS_FIRST = "sleep 60 </dev/null >/dev/null 2>&1 & exit 5"


def processes_of(bundle: Bundle) -> set[int]:
    """Return the pids in the container's cgroups."""
    return {
        int(pid)
        for cgroup in cgroups_of(bundle.identity)
        for pid in (cgroup / "cgroup.procs").read_text().split()
    }


def paused(bundle: Bundle) -> Bundle:
    result = bundle.runtime.tell("pause", bundle.identity)
    assert result, result.stderr
    assert bundle.state()["status"] == "paused"
    return bundle


def shares_pids(bundle: Bundle) -> Bundle:
    bundle.without_namespace("pid")
    return bundle


@pytest.mark.parametrize("words", [("KILL",), ("9",), ("KILL", "--all")])
@pytest.mark.parametrize("state", ["created", "running"])
@pytest.mark.parametrize("own", [True, False], ids=["own pids", "shared pids"])
def test_kill_ends_a_paused_container(
    bundle: Bundle, state: str, words: tuple[str, ...], own: bool
) -> None:
    """Version 1's freezer delivers SIGKILL only once it is thawed."""
    if not own:
        shares_pids(bundle)
    getattr(bundle, state)()
    paused(bundle)
    assert bundle.kill(*words)
    bundle.wait("stopped")
    assert bundle.delete()
    assert bundle.runtime.left(bundle.identity) == []


def test_another_signal_waits_until_a_paused_container_goes_on(bundle: Bundle) -> None:
    bundle.running("trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    waited_for(lambda: "ready" in bundle.output(), "the trap")
    paused(bundle)
    assert bundle.kill("TERM")
    assert bundle.state()["status"] == "paused"
    assert bundle.runtime.tell("resume", bundle.identity)
    bundle.wait("stopped")


def test_run_ends_when_its_paused_container_is_killed(bundle: Bundle) -> None:
    bundle.shell("sleep 60")
    bundle.write()
    words = [bundle.runtime.command, "--root", str(bundle.runtime.root)]
    words += ["run", "--bundle", str(bundle.path), bundle.identity]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        bundle.wait("running")
        paused(bundle)
        assert bundle.kill("KILL")
        assert process.wait(10) == 137
    assert bundle.runtime.left(bundle.identity) == []


def test_what_is_created_and_paused_goes_on_as_created(bundle: Bundle) -> None:
    bundle.shell("echo ran")
    bundle.created()
    paused(bundle)
    assert "paused" in bundle.start().stderr
    assert bundle.runtime.tell("resume", bundle.identity)
    assert bundle.state()["status"] == "created"
    assert bundle.start()
    bundle.wait("stopped")
    assert bundle.output() == "ran\n"


def test_run_ends_all_with_the_first_process(bundle: Bundle) -> None:
    """Without a PID namespace of its own, the kernel ends only the first process."""
    shares_pids(bundle).shell(ENDS_FIRST)
    assert bundle.run().exit_code == 5
    assert bundle.runtime.left(bundle.identity) == []


def test_run_in_anothers_pid_namespace_ends_all(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    bundle.running()
    other = another()
    other.namespace("pid", f"/proc/{bundle.state()['pid']}/ns/pid")
    other.shell(ENDS_FIRST)
    assert other.run().exit_code == 5
    assert other.runtime.left(other.identity) == []
    assert bundle.state()["status"] == "running"


def test_kill_ends_all_that_share_the_pid_namespace(bundle: Bundle) -> None:
    """Only KILL ends them all: other signals go to the first process."""
    shares_pids(bundle).running("sleep 60 & sleep 60 & wait")
    waited_for(lambda: len(processes_of(bundle)) >= 3, "its children")
    words = ("exec", "--detach", bundle.identity, "/bin/sleep", "60")
    assert bundle.runtime.run(*words, into=bundle.path) == 0
    assert bundle.kill("KILL")
    bundle.wait("stopped")
    waited_for(lambda: not processes_of(bundle), "all have ended")


def test_kill_ends_those_that_outlived_the_first(bundle: Bundle) -> None:
    shares_pids(bundle).running(ENDS_FIRST)
    bundle.wait("stopped")
    assert processes_of(bundle)
    assert not bundle.kill("TERM")
    assert bundle.kill("KILL")
    waited_for(lambda: not processes_of(bundle), "all have ended")
    assert not bundle.kill("KILL")


@pytest.mark.parametrize("words", [(), ("--force",)])
def test_delete_ends_those_that_outlived_the_first(bundle: Bundle, words: tuple[str, ...]) -> None:
    shares_pids(bundle).running(ENDS_FIRST)
    bundle.wait("stopped")
    left = processes_of(bundle)
    assert left
    assert bundle.delete(*words)
    assert bundle.runtime.left(bundle.identity) == []
    assert not [pid for pid in left if Path(f"/proc/{pid}/exe").exists()]


@pytest.mark.parametrize("state", ["created", "running", "stopped"])
@pytest.mark.parametrize("freeze", [False, True], ids=["", "paused"])
@pytest.mark.parametrize("own", [True, False], ids=["own pids", "shared pids"])
def test_delete_with_force_works_in_each_state(
    bundle: Bundle, state: str, freeze: bool, own: bool
) -> None:
    if not own:
        shares_pids(bundle)
    getattr(bundle, state)()
    if freeze and state != "stopped":
        paused(bundle)
    assert bundle.delete("--force")
    assert bundle.runtime.left(bundle.identity) == []


@pytest.mark.parametrize("own", [True, False], ids=["own pids", "shared pids"])
def test_delete_with_force_of_what_died_while_paused(bundle: Bundle, own: bool) -> None:
    """The first process of a frozen container was killed from outside, by no command."""
    if not own:
        shares_pids(bundle)
    bundle.running("sleep 60 & wait")
    waited_for(lambda: len(processes_of(bundle)) >= 2, "its child")
    paused(bundle)
    os.kill(bundle.state()["pid"], 9)
    assert bundle.delete("--force")
    assert bundle.runtime.left(bundle.identity) == []


def test_a_process_of_exec_ends_with_the_container(bundle: Bundle) -> None:
    bundle.running()
    words = [bundle.runtime.command, "--root", str(bundle.runtime.root)]
    words += ["exec", bundle.identity, "/bin/sh", "-c", "echo >/there; sleep 60"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        waited_for((bundle.rootfs / "there").exists, "the process")
        paused(bundle)
        assert bundle.kill("KILL")
        assert process.wait(10) == 137
    bundle.wait("stopped")
