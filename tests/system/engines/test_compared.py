"""Equality of podman's and docker's results over our runtime and over runc, by command."""

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

from runtime.linux import capabilities
from tests.system.engines import engine as engines
from tests.system.engines.cases import CASES, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.engines.engine import Engine

pytestmark = pytest.mark.root

TERMINAL_SECONDS = 30.0
NEED_ALL, SYS_RESOURCE = {"all capabilities", "privileged", "exec with all capabilities"}, 24


@dataclass(frozen=True)
class Pair:
    """An engine over our runtime and over runc; `shared` has a directory of the host for each."""

    ours: Engine
    runc: Engine
    shared: Path


@pytest.fixture(scope="module", params=("podman", "docker"))
def pair(request: pytest.FixtureRequest, image: Path) -> Iterator[Pair]:
    """Start an engine over our runtime, which is also called with runc in its place."""
    runc = shutil.which("runc")
    if not runc:
        pytest.skip("runc is not installed: apt-get install runc")
    with engines.started(request.param, image, "c") as engine:
        scratch = engine.scratch
        for side in ("a", "b"):
            (scratch / side).mkdir()
            (scratch / side / "given").write_text("by the host\n")
        if request.param == "podman":
            words = [f"--runtime={runc}" if word.startswith("--runtime=") else word
                     for word in engine.command]  # fmt: skip
            other = replace(engine, command=tuple(words))
        else:
            other = replace(engine, run_options=(*engine.run_options, "--runtime=runc"))
        yield Pair(engine, other, scratch)


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
    """Return the exit code and the normalized output of each step."""
    results: list[object] = []
    try:
        for step in steps:
            words = [w.replace("NAME", name).replace("SHARED", str(shared)) for w in step.words]
            if words[0] in {"run", "create"} and engine.name not in words:
                words[1:1] = engine.run_options
            code, output = (
                in_terminal(engine, words) if step.terminal else plain(engine, words, step)
            )
            results.append((step.words, code, normalized(step, output, name, shared)))
    finally:
        engine("rm", "--force", *engine.at_once, name)
        if any("NAME:/" in word for step in steps for word in step.words):
            engine("volume", "rm", name)
        if ("commit", "NAME", "NAME") in [step.words for step in steps]:
            engine("rmi", name)
    return results


def plain(engine: Engine, words: list[str], step: Step) -> tuple[int, str]:
    """Return the exit code and stdout of a command, and stderr too if it succeeds.

    Error messages are left out: each runtime has its own.
    """
    result = engine(*words, stdin=step.stdin)
    return result.returncode, result.stdout + (result.stderr if result.returncode == 0 else "")


def in_terminal(engine: Engine, words: list[str]) -> tuple[int, str]:
    """Return the exit code and output of a command that has a terminal."""
    primary, secondary = pty.openpty()
    try:
        with subprocess.Popen(
            [*engine.command, *words], stdin=secondary, stdout=secondary, stderr=secondary,
            start_new_session=True,
        ) as process:  # fmt: skip
            os.close(secondary)
            output, deadline = b"", time.monotonic() + TERMINAL_SECONDS
            while select.select([primary], [], [], max(0.0, deadline - time.monotonic()))[0]:
                try:
                    output += os.read(primary, 4096)
                except OSError:  # EIO: every process has closed the other end
                    break
            process.kill()
            return process.wait(), output.decode()
    finally:
        os.close(primary)


def normalized(step: Step, output: str, name: str, shared: Path) -> str:
    """Return the output without ids, names, paths, ports and times, which differ each time."""
    output = output.replace(str(shared), "SHARED").replace(name, "NAME")
    output = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "ID", output)
    output = re.sub(r":[0-9]{5}\b", ":PORT", output)
    output = re.sub(r'time="[^"]*"', "TIME", output)
    # The runtime's own error message follows.
    output = re.sub("^OCI runtime exec failed: .*", "OCI runtime exec failed", output)
    if step.words[-1] == "env":  # podman prints it in another order each time
        output = "\n".join(sorted(output.splitlines()))
    if step.words[0] == "top":
        output = re.sub(r"(?:[0-9.]+[a-zµ]+)+|[0-9.:,]+", "#", output)
        output = re.sub(" +", " ", output)  # columns are as wide as the longest time
    return output
