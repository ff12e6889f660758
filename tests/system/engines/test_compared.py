"""What podman and docker give over our runtime is what they give over runc, command by command."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from lab.userland import root_tree
from runtime.linux import capabilities
from tests.system.engines import engine as engines
from tests.system.engines.cases import CASES, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.engines.engine import Engine

pytestmark = pytest.mark.root

START = {"podman": engines.podman, "docker": engines.docker}
PACKAGE = {"podman": ("podman", "podman"), "docker": ("dockerd", "docker.io")}
TERMINAL_SECONDS = 30.0
NEED_ALL, SYS_RESOURCE = {"all capabilities", "privileged", "exec with all capabilities"}, 24


@dataclass(frozen=True)
class Pair:
    """An engine over our runtime and over runc, with a directory of the host's for each."""

    ours: Engine
    runc: Engine
    shared: Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target: Path = tmp_path_factory.mktemp("image") / "image.tar"
    engines.pack_image(root_tree.build_tree(print), target)
    return target


@pytest.fixture(scope="module", params=START)
def pair(request: pytest.FixtureRequest, image: Path) -> Iterator[Pair]:
    name: str = request.param
    program, package = PACKAGE[name]
    runtime, runc = engines.runtime_under_test(), shutil.which("runc")
    if not runtime:
        pytest.skip("tonnage-oci is not installed")
    if not runc:
        pytest.skip("runc is not installed: apt-get install runc")
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    scratch = cache_directory() / f"c{os.getpid()}{name[0]}"
    scratch.mkdir()
    try:
        with START[name](runtime, scratch, image) as engine:
            for side in ("a", "b"):
                (scratch / side).mkdir()
                (scratch / side / "given").write_text("by the host\n")
            if name == "podman":
                words = [f"--runtime={runc}" if word.startswith("--runtime=") else word
                         for word in engine.command]  # fmt: skip
                other = replace(engine, command=tuple(words))
            else:
                other = replace(engine, run_options=(*engine.run_options, "--runtime=runc"))
            yield Pair(engine, other, scratch)
    finally:
        shutil.rmtree(scratch)


@pytest.mark.parametrize("case", CASES)
def test_a_command_gives_what_it_gives_over_runc(pair: Pair, case: str) -> None:
    if case in NEED_ALL and not capabilities.own_permitted() >> SYS_RESOURCE & 1:
        pytest.skip("runc gives no capability that it does not have: CAP_SYS_RESOURCE")
    name = re.sub(r"\W+", "-", case)
    with ThreadPoolExecutor(2) as both:
        ours = both.submit(carry_out, pair.ours, CASES[case], f"{name}-a", pair.shared / "a")
        runc = both.submit(carry_out, pair.runc, CASES[case], f"{name}-b", pair.shared / "b")
    assert ours.result() == runc.result()


def carry_out(engine: Engine, steps: tuple[Step, ...], name: str, shared: Path) -> list[object]:
    """What each step ends with and says, in words that are the same for any container."""
    found: list[object] = []
    try:
        for step in steps:
            words = [w.replace("NAME", name).replace("SHARED", str(shared)) for w in step.words]
            if words[0] in {"run", "create"} and engine.name not in words:
                words[1:1] = engine.run_options
            code, said = in_terminal(engine, words) if step.terminal else plain(engine, words, step)
            found.append((step.words, code, alike(step, said, name, shared)))
    finally:
        engine("rm", "--force", *engine.at_once, name)
        if any("NAME:/" in word for step in steps for word in step.words):
            engine("volume", "rm", name)
        if ("commit", "NAME", "NAME") in [step.words for step in steps]:
            engine("rmi", name)
    return found


def plain(engine: Engine, words: list[str], step: Step) -> tuple[int, str]:
    """The exit code and stdout of a command, and stderr of one that succeeds.

    What is said of a failure is each runtime's own.
    """
    done = engine(*words, stdin=step.stdin)
    return done.returncode, done.stdout + (done.stderr if done.returncode == 0 else "")


def in_terminal(engine: Engine, words: list[str]) -> tuple[int, str]:
    primary, secondary = pty.openpty()
    try:
        with subprocess.Popen(
            [*engine.command, *words], stdin=secondary, stdout=secondary, stderr=secondary,
            start_new_session=True,
        ) as process:  # fmt: skip
            os.close(secondary)
            said, deadline = b"", time.monotonic() + TERMINAL_SECONDS
            while select.select([primary], [], [], max(0.0, deadline - time.monotonic()))[0]:
                try:
                    said += os.read(primary, 4096)
                except OSError:  # the other end is closed by all who had it
                    break
            process.kill()
            return process.wait(), said.decode()
    finally:
        os.close(primary)


def alike(step: Step, said: str, name: str, shared: Path) -> str:
    """What was said, but for ids, names, paths, ports and moments."""
    said = said.replace(str(shared), "SHARED").replace(name, "NAME")
    said = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "ID", said)
    said = re.sub(r":[0-9]{5}\b", ":PORT", said)
    said = re.sub(r'time="[^"]*"', "TIME", said)
    said = re.sub("^OCI runtime exec failed: .*", "OCI runtime exec failed", said)  # in its words
    if step.words[-1] == "env":  # podman has it in another order each time
        said = "\n".join(sorted(said.splitlines()))
    if step.words[0] == "top":
        said = re.sub(r"(?:[0-9.]+[a-zµ]+)+|[0-9.:,]+", "#", said)
        said = re.sub(" +", " ", said)  # columns are as wide as the longest time
    return said
