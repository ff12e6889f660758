"""runtime.md, "State" and "Query State"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.oci.driver import namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oci.driver import Bundle, Runtime


def test_state_has_every_required_property(bundle: Bundle) -> None:
    """State: ociVersion, id, status, pid, bundle and the configured annotations."""
    bundle.config["annotations"] = {"com.example.key": "a value"}
    state = bundle.created().state()
    assert state["ociVersion"].split(".")[0] == "1"
    assert state["id"] == bundle.identity
    assert state["status"] == "created"
    assert state["bundle"] == str(bundle.path)
    assert state["annotations"] == {"com.example.key": "a value"}


def test_pid_is_that_of_the_container_process(bundle: Bundle) -> None:
    """State: `pid` is required when created or running, as the runtime sees it."""
    created = bundle.running().state()["pid"]
    assert namespace_of(created, "mnt") != namespace_of("self", "mnt")
    assert bundle.identity in open(f"/proc/{created}/cgroup").read()  # noqa: PTH123, SIM115


def test_status_follows_the_life_of_the_container(bundle: Bundle) -> None:
    """State: created until the program runs, running until it exits, then stopped."""
    bundle.shell("while [ ! -e /end ]; do sleep 0.02; done")
    bundle.created()
    assert bundle.state()["status"] == "created"
    assert bundle.start()
    assert bundle.state()["status"] == "running"
    (bundle.rootfs / "end").touch()
    bundle.wait("stopped")


def test_an_id_is_taken_once(bundle: Bundle, another: Callable[[], Bundle]) -> None:
    """State, Create: the id is unique; a second container with it is an error."""
    bundle.running()
    pid = bundle.state()["pid"]
    second = another()
    result = second.runtime.run(
        "create", "--bundle", str(second.path), bundle.identity, into=second.path
    )
    assert result != 0
    assert bundle.state()["pid"] == pid
    assert bundle.state()["status"] == "running"


def test_state_without_an_id_is_an_error(runtime: Runtime) -> None:
    """Query State: an error if no id is given."""
    result = runtime.tell("state")
    assert not result
    assert result.stderr or result.stdout


def test_state_of_what_does_not_exist_is_an_error(runtime: Runtime) -> None:
    """Query State: an error for a container that does not exist."""
    result = runtime.tell("state", "tonnage-oci-none")
    assert not result
    assert result.stderr.strip()


def test_list_tells_every_container_and_its_status(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    """Scope of a Container: its creator can use every operation on it."""
    import json

    bundle.created()
    second = another().running()
    listed = json.loads(bundle.runtime.tell("list", "--format", "json").stdout)
    assert {each["id"]: each["status"] for each in listed} == {
        bundle.identity: "created",
        second.identity: "running",
    }
