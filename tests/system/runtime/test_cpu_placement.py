"""A child avoids its parent's CPU while others idle, and its affinity is restored."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.launcher import cpu_placement
from runtime.spec.config import Cpu, Resources
from tests.system.runtime.containers import SECONDS, run

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED = os.sched_getaffinity(0)
EVERYWHERE = len(ALLOWED) > 1 and cpu_placement._possible_cpus() == ALLOWED
needs_every_cpu = pytest.mark.skipif(
    not EVERYWHERE, reason="this process may not use all CPUs, or there is only one"
)


@pytest.fixture
def _idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all other threads of the host."""
    monkeypatch.setattr(cpu_placement, "_other_threads", lambda: 0)


@pytest.fixture
def _busy() -> Iterator[None]:
    """Keep more processes running than there are CPUs."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(2 * (os.cpu_count() or 1))]
    deadline = time.monotonic() + SECONDS
    while cpu_placement._other_threads() < len(others) and time.monotonic() < deadline:
        time.sleep(0.01)  # until all have reached their loop
    yield
    for each in others:
        each.kill()
        each.wait()


@needs_every_cpu
@pytest.mark.usefixtures("_idle")
def test_the_parents_cpu_is_avoided() -> None:
    assert cpu_placement.avoided() in os.sched_getaffinity(0)


@pytest.mark.usefixtures("_busy")
def test_no_cpu_is_avoided_on_a_busy_host() -> None:
    assert cpu_placement.avoided() is None


@pytest.mark.usefixtures("_idle")
def test_no_cpu_is_avoided_if_not_all_are_allowed() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cpu_placement.avoided() is None
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.root
@pytest.mark.usefixtures("_idle")
def test_a_container_may_run_on_all_cpus(tree: Path, root: Path) -> None:
    said = run(tree, root, "grep Cpus_allowed_list /proc/self/status")
    assert said.text.strip() in Path("/proc/self/status").read_text().splitlines()


@pytest.mark.root
@needs_every_cpu
@pytest.mark.usefixtures("_idle")
def test_a_cpuset_may_be_the_parents_cpu_alone(tree: Path, root: Path) -> None:
    own = cpu_placement.avoided()
    said = run(
        tree, root, "grep Cpus_allowed_list /proc/self/status", Resources(cpu=Cpu(cpus=str(own)))
    )
    assert said.text.split() == ["Cpus_allowed_list:", str(own)]
