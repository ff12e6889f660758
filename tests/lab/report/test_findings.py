"""Findings: titles claim differences only where intervals allow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.claims.evidence import Figure
from lab.language.message import Language, translated
from lab.report import findings
from lab.results import run_folder
from tests.lab.plausible import write
from tests.lab.with_samples import with_samples


def figure(low: float | None, high: float | None, centre: float = 2.0) -> Figure:
    return Figure("a / b", centre, low, high, "ratio", "3 rounds")


@pytest.mark.parametrize(
    ("low", "high", "differs"), [(1.5, 3, True), (0.5, 3, False), (1, 3, False), (None, None, None)]
)
def test_figures_differ_if_the_interval_of_their_ratio_excludes_one(
    low: float | None, high: float | None, differs: bool | None
) -> None:
    assert findings.differ(figure(low, high)) is differs


def test_an_interval_has_the_unit_of_its_figure() -> None:
    each = Figure("memory", 1010 * 1024.0, 0.76 * (1 << 20), 1.3 * (1 << 20), "byte", "26 points")
    assert findings.size(each) == "0.99 MiB (0.76 – 1.30 MiB)"
    assert findings.size(Figure("counted", 4096.0, 4096.0, 4096.0, "byte", "3")) == "4 KiB"


def test_a_title_states_the_finding_in_two_languages(tmp_path: Path) -> None:
    found = findings.starts(run_folder.load(write(tmp_path / "run")))
    assert found.startswith("A container is ready 1,900 times sooner than an emulated machine (")
    assert translated(found, Language.CHINESE).startswith("容器就绪比模拟的虚拟机快 1,900 倍")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.004, "1.00"), (1.03, "1.03"), (2.44, "2.4"), (1912, "1,900")],
)
def test_a_factor_near_1_does_not_round_to_it(ratio: float, text: str) -> None:
    assert findings._round(ratio) == text


@pytest.mark.parametrize(
    ("targets", "first"),
    [(("native", "crun", "container", "podman"), "A container is ready in "),
     (("native", "microvm", "vm"), "An emulated machine is ready in "),
     (("native",), "native is ready in ")],
)  # fmt: skip
def test_the_target_that_stands_for_all_is_in_the_title(
    targets: tuple[str, ...], first: str, tmp_path: Path
) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("startup",)))
    run = with_samples(run, run.samples[run.samples["target"].isin(targets)])
    assert findings.starts(run).startswith(first)


def test_without_a_machine_a_title_compares_nothing(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("footprint",)))
    assert findings.starts(run) == "Start times"
    assert findings.memory(run) == "Memory per instance"
    assert findings.speed(run) == "Time relative to native"
