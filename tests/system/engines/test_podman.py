"""What podman alone asks of an OCI runtime: volumes and images by overlays, and hooks."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from lab.userland import root_tree
from tests.system.engines import engine as engines
from tests.system.engines.engine import IMAGE, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    runtime = engines.runtime_under_test()
    if not runtime:
        pytest.skip("tonnage-oci is not installed")
    if not shutil.which("podman"):
        pytest.skip("podman is not installed: apt-get install podman")
    image = tmp_path_factory.mktemp("image") / "image.tar"
    engines.pack_image(root_tree.build_tree(print), image)
    scratch = cache_directory() / f"e{os.getpid()}v"
    scratch.mkdir()
    try:
        with engines.podman(runtime, scratch, image) as engine:
            yield engine
    finally:
        shutil.rmtree(scratch)


def test_a_volume_whose_changes_are_not_kept(engine: Engine) -> None:
    """`--volume DIR:/v:O`"""
    volume = engine.scratch / "volume"
    volume.mkdir()
    (volume / "file").write_text("kept\n")
    said = engine.prints(f"--volume={volume}:/v:O", IMAGE, "sh", "-c",
                         "cat /v/file; echo new >/v/file; cat /v/file")  # fmt: skip
    assert said == "kept\nnew"
    assert (volume / "file").read_text() == "kept\n"


@pytest.mark.parametrize("writable", [False, True])
def test_an_image_as_a_volume(engine: Engine, *, writable: bool) -> None:
    """`--mount type=image`"""
    mount = f"--mount=type=image,source={IMAGE},destination=/im,rw={str(writable).lower()}"
    script = "ls -d /im/usr; touch /im/new 2>/dev/null && echo writable || echo read-only"
    said = engine.prints(mount, IMAGE, "sh", "-c", script)
    assert said.split() == ["/im/usr", "writable" if writable else "read-only"]


def test_a_root_file_system_that_is_not_changed(engine: Engine) -> None:
    """`--rootfs DIR:O`"""
    tree = root_tree.build_tree(print)
    words = engine.run_words("--rm", "--rootfs", f"{tree}:O", "sh", "-c", "touch /new && echo made")
    assert engine.said(*words) == "made"
    assert not (tree / "new").exists()


@pytest.mark.parametrize("verb", ["run", "exec"])
@pytest.mark.parametrize(("command", "code"), [("nothing", 127), ("/etc", 126)])
def test_a_command_that_is_not_there(engine: Engine, verb: str, command: str, code: int) -> None:
    """It is 127, and 126 if it can't be executed, whoever looks it up."""
    if verb == "run":
        assert engine.run(IMAGE, command).returncode == code
        return
    with engine.container(IMAGE, "sleep", "60") as name:
        assert engine("exec", name, command).returncode == code


def with_hook(engine: Engine, stage: str, script: str) -> Engine:
    """The same podman with a hook at a stage of every container."""
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
    """What it makes is there for the program, and not on the host."""
    hooked = with_hook(engine, "startContainer", "echo hooked >/hooked")
    assert hooked.prints(IMAGE, "cat", "/hooked") == "hooked"
