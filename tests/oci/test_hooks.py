"""config.md, "POSIX-platform Hooks", and the hooks in the steps of runtime.md, "Lifecycle"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import namespace_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oci.driver import Bundle

AT_CREATE = ["prestart", "createRuntime", "createContainer"]
AT_START = ["startContainer", "poststart"]
EVERY = [*AT_CREATE, *AT_START, "poststop"]
IN_CONTAINER = {"createContainer", "startContainer"}
STATUS = {"prestart": {"creating", "created"}, "createRuntime": {"creating", "created"},
          "createContainer": {"creating", "created"}, "startContainer": {"created"},
          "poststart": {"running"}, "poststop": {"stopped"}}  # fmt: skip


def hook(name: str, into: str, script: str = "", **more: object) -> dict[str, object]:
    """Return a hook that appends a line with `name`, then its standard input, to a file."""
    code = f"echo {name} >>{into}/order; cat >{into}/{name}.json; {script}"
    return {"path": "/bin/sh", "args": ["sh", "-c", code], **more}


def with_hooks(bundle: Bundle, **scripts: str) -> Path:
    """Add all hooks, each with its script, which writes below /hooks inside and outside."""
    log = bundle.path / "hooks"
    log.mkdir()
    bundle.mount("/hooks", "none", str(log), "bind", "rw")
    bundle.config["hooks"] = {
        name: [
            hook(name, "/hooks" if name == "startContainer" else str(log), scripts.get(name, ""))
        ]
        for name in EVERY
    }  # fmt: skip
    return log


def test_hooks_are_called_in_their_order_and_time(bundle: Bundle) -> None:
    """Lifecycle 3 to 13: create's hooks before it returns, then those of start, poststop last.

    prestart MUST be called before createRuntime, createContainer after it; startContainer before
    the program is executed, poststart after it and before start returns; poststop after the
    container is deleted and before delete returns.
    """
    log = with_hooks(bundle)
    bundle.shell("echo program >>/hooks/order; sleep 60")
    bundle.created()
    assert (log / "order").read_text().split() == AT_CREATE
    assert bundle.start()
    order = (log / "order").read_text().split()
    assert order[:4] == [*AT_CREATE, "startContainer"]
    assert "poststart" in order
    assert "poststop" not in order
    assert bundle.kill()
    bundle.wait("stopped")
    assert bundle.delete()
    assert (log / "order").read_text().split()[-1] == "poststop"


def test_hooks_of_one_kind_are_called_in_the_listed_order(bundle: Bundle) -> None:
    """Hooks: MUST be called in the listed order."""
    log = bundle.path / "hooks"
    log.mkdir()
    bundle.config["hooks"] = {
        "createRuntime": [hook(name, str(log)) for name in ("first", "second", "third")]
    }
    bundle.created()
    assert (log / "order").read_text().split() == ["first", "second", "third"]


def test_hooks_are_given_the_state(bundle: Bundle) -> None:
    """Hooks: the state MUST be passed over stdin; State: `pid` as the hook's namespace sees it."""
    log = with_hooks(bundle)
    bundle.config["annotations"] = {"com.example.key": "a value"}
    bundle.shell("exit 0")
    bundle.created()
    pid = bundle.state()["pid"]
    assert bundle.start()
    bundle.wait("stopped")
    assert bundle.delete()
    for name in EVERY:
        state = json.loads((log / f"{name}.json").read_text())
        assert state["id"] == bundle.identity, name
        assert state["bundle"] == str(bundle.path), name
        assert state["annotations"] == {"com.example.key": "a value"}, name
        assert state["ociVersion"], name
        if name in {"prestart", "createRuntime"}:
            assert state["pid"] == pid, name


@pytest.mark.parametrize("name", EVERY)
def test_the_state_that_a_hook_is_given_has_its_status(bundle: Bundle, name: str) -> None:
    """State: creating, created, running or stopped, by the hook's step of the lifecycle."""
    log = with_hooks(bundle)
    bundle.shell("sleep 60" if name != "poststop" else "exit 0")
    bundle.created()
    assert bundle.start()
    if name == "poststop":
        bundle.wait("stopped")
        assert bundle.delete()
    assert json.loads((log / f"{name}.json").read_text())["status"] in STATUS[name]


def test_hooks_run_in_their_namespace(bundle: Bundle) -> None:
    """Summary: createContainer and startContainer in the container, others in the runtime."""
    log = with_hooks(
        bundle,
        **{
            name: f"readlink /proc/self/ns/mnt >{{}}/{name}.ns".format(
                "/hooks" if name == "startContainer" else bundle.path / "hooks"
            )
            for name in EVERY
        },
    )
    bundle.shell("sleep 60")
    bundle.created()
    inside = namespace_of(bundle.state()["pid"], "mnt")
    assert bundle.start()
    assert bundle.kill()
    bundle.wait("stopped")
    assert bundle.delete()
    for name in EVERY:
        observed = (log / f"{name}.ns").read_text().strip()
        assert (observed == inside) == (name in IN_CONTAINER), name


def test_hooks_at_create_are_called_before_the_root_is_pivoted(bundle: Bundle) -> None:
    """Prestart, CreateRuntime, CreateContainer: before pivot_root, by the runtime's paths."""
    log = with_hooks(
        bundle, **{name: f"test -d {bundle.path} && echo >{bundle.path}/hooks/{name}.saw"
                   for name in AT_CREATE}
    )  # fmt: skip
    bundle.created()
    assert {path.stem for path in log.glob("*.saw")} == set(AT_CREATE)


def test_the_mounts_are_there_when_create_container_is_called(bundle: Bundle) -> None:
    """CreateContainer Hooks: the mount namespace and the mounts have been set up."""
    bundle.mount("/made", "tmpfs", "tmpfs")
    log = with_hooks(
        bundle, createContainer=f"cat /proc/self/mountinfo >{bundle.path}/hooks/mounts"
    )
    bundle.created()
    assert f"{bundle.rootfs}/made" in (log / "mounts").read_text()


def test_hooks_get_their_arguments_and_environment(bundle: Bundle) -> None:
    """Hooks: args and env have the semantics of execv and environ."""
    log = bundle.path / "said"
    code = f'echo "$0 $1 $NAME $(env | grep -c ^NAME=)" >{log}'
    bundle.config["hooks"] = {
        "createRuntime": [
            {"path": "/bin/sh", "args": ["sh", "-c", code, "zero", "one"],
             "env": ["NAME=value", "PATH=/usr/bin:/bin"]}
        ]
    }  # fmt: skip
    bundle.created()
    assert log.read_text() == "zero one value 1\n"


@pytest.mark.parametrize("name", AT_CREATE)
def test_a_failed_hook_at_create_makes_no_container(bundle: Bundle, name: str) -> None:
    """Lifecycle 3 to 5: an error; the container is stopped, destroyed, and poststop is called."""
    log = with_hooks(bundle, **{name: "exit 3"})
    result = bundle.create()
    assert not result
    assert result.stderr.strip()
    assert bundle.runtime.left(bundle.identity) == []
    assert (log / "order").read_text().split()[-1] == "poststop"


@pytest.mark.parametrize("name", AT_START)
def test_a_failed_hook_at_start_ends_the_container(bundle: Bundle, name: str) -> None:
    """Lifecycle 7 and 9: an error; the container is stopped, and destroyed."""
    with_hooks(bundle, **{name: "exit 3"})
    bundle.shell("echo program; sleep 60")
    bundle.created()
    result = bundle.start()
    assert not result
    assert result.stderr.strip()
    assert bundle.state().get("status", "stopped") == "stopped"
    if name == "startContainer":
        assert bundle.output() == ""


def test_a_failed_poststop_hook_is_a_warning(bundle: Bundle) -> None:
    """Lifecycle 13: MUST log a warning; the remaining hooks and the lifecycle continue."""
    log = bundle.path / "hooks"
    log.mkdir()
    bundle.config["hooks"] = {
        "poststop": [hook("first", str(log), "exit 3"), hook("second", str(log))]
    }
    bundle.stopped()
    assert bundle.delete()
    assert (log / "order").read_text().split() == ["first", "second"]
    assert bundle.state() == {}


def test_a_hook_past_its_timeout_is_ended(bundle: Bundle) -> None:
    """Hooks: timeout is the number of seconds before aborting the hook."""
    bundle.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "20"], "timeout": 1}]
    }
    bundle.refused()
