"""Features of podman that docker lacks: volumes and images by overlays, and hooks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.userland import root_tree
from tests.system.engines.engine import IMAGE, Engine

pytestmark = [pytest.mark.root, pytest.mark.parametrize("engine", ["podman"], indirect=True)]


def test_a_volume_by_an_overlay_is_not_changed(engine: Engine) -> None:
    """`--volume DIR:/v:O`"""
    volume = engine.scratch / "volume"
    volume.mkdir()
    (volume / "file").write_text("kept\n")
    output = engine.prints(f"--volume={volume}:/v:O", IMAGE, "sh", "-c",
                         "cat /v/file; echo new >/v/file; cat /v/file")  # fmt: skip
    assert output == "kept\nnew"
    assert (volume / "file").read_text() == "kept\n"


@pytest.mark.parametrize("writable", [False, True])
def test_an_image_as_a_volume(engine: Engine, *, writable: bool) -> None:
    """`--mount type=image`"""
    mount = f"--mount=type=image,source={IMAGE},destination=/im,rw={str(writable).lower()}"
    script = "ls -d /im/usr; touch /im/new 2>/dev/null && echo writable || echo read-only"
    output = engine.prints(mount, IMAGE, "sh", "-c", script)
    assert output.split() == ["/im/usr", "writable" if writable else "read-only"]


def test_a_root_file_system_by_an_overlay_is_not_changed(engine: Engine) -> None:
    """`--rootfs DIR:O`"""
    tree = root_tree.build_tree(print)
    words = engine.run_words("--rm", "--rootfs", f"{tree}:O", "sh", "-c", "touch /new && echo made")
    assert engine.output(*words) == "made"
    assert not (tree / "new").exists()


@pytest.mark.parametrize("verb", ["run", "exec"])
@pytest.mark.parametrize(("command", "code"), [("nothing", 127), ("/etc", 126)])
def test_exit_code_of_a_missing_command(engine: Engine, verb: str, command: str, code: int) -> None:
    """The exit code is 127 for a missing program, 126 for one that can't be executed."""
    if verb == "run":
        assert engine.run(IMAGE, command).returncode == code
        return
    with engine.container(IMAGE, "sleep", "60") as name:
        assert engine("exec", name, command).returncode == code


def with_hook(engine: Engine, stage: str, script: str) -> Engine:
    """Return the same podman with a hook at one stage of every container."""
    place = engine.scratch / f"{stage}.d"
    place.mkdir()
    hook = {"path": "/usr/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}
    (place / "hook.json").write_text(json.dumps(
        {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": [stage]}
    ))  # fmt: skip
    return replace(engine, command=(*engine.command, f"--hooks-dir={place}"))


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer", "poststart",
                                   "poststop"])  # fmt: skip
def test_a_hook_on_the_host(engine: Engine, stage: str) -> None:
    log = engine.scratch / f"{stage}.log"
    hooked = with_hook(engine, stage, f"cat >{log}")
    assert hooked.prints(IMAGE, "echo", "ran") == "ran"
    assert json.loads(log.read_text())["id"]


def test_a_hook_in_the_container(engine: Engine) -> None:
    """A startContainer hook's file is in the container and not on the host."""
    hooked = with_hook(engine, "startContainer", "echo hooked >/hooked")
    assert hooked.prints(IMAGE, "cat", "/hooked") == "hooked"
