"""The sliders: what they compute here, and in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.report.calculator import Figures, Question, answer, figures, section
from lab.results import run_folder

if TYPE_CHECKING:
    from lab.results.run_folder import Run

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"
MIB = 1 << 20
CONTAINER = Figures("container", "container", MIB, 0.9 * MIB, 1.2 * MIB, 0.004, 250.0)


@pytest.fixture(scope="module")
def run() -> Run:
    return run_folder.load(COMMITTED)


def test_instances_are_packed_by_memory() -> None:
    question = Question(instances=2049, host_gib=1, price=50, slower=0.5)
    # 1,024 fit on a host, 1,137 at the lower end of the memory, 853 at the upper one.
    given = answer(CONTAINER, question)
    assert (given.hosts, given.fewest_hosts, given.most_hosts, given.cost) == (3, 2, 3, 150)
    assert given.one_seconds == 0.006
    assert given.all_seconds == pytest.approx(683 / 250 * 1.5)


def test_one_instance_takes_its_own_start() -> None:
    assert answer(CONTAINER, Question(instances=1)).all_seconds == 0.004


def test_an_instance_larger_than_a_host_takes_one() -> None:
    large = Figures("vm", "vm", 8 << 30, None, None, 10.0, 0.1)
    given = answer(large, Question(instances=3, host_gib=4))
    assert (given.hosts, given.fewest_hosts, given.most_hosts) == (3, 3, 3)


def test_the_figures_are_those_of_the_run(run: Run) -> None:
    found = {each.target: each for each in figures(run)}
    assert set(found) == {"container", "microvm"}
    assert found["container"].memory_bytes == pytest.approx(779796.9364126285)
    assert found["container"].started_per_second == pytest.approx(327.5118377106791)
    assert found["microvm"].label == "microvm (emulated)"
    assert found["microvm"].started_per_second == pytest.approx(1 / found["microvm"].ready_seconds)


def test_a_run_without_density_has_no_sliders(run: Run) -> None:
    from dataclasses import replace

    without = replace(run, samples=run.samples[run.samples["experiment"] != "density"])
    assert section(without) == ""


def test_the_section_shows_the_answers_without_a_script(run: Run) -> None:
    rows = dict(re.findall(r'<tr data-target="([^"]+)">.*?data-value="(\d+)"', section(run)))
    assert rows == {each.target: str(answer(each, Question()).hosts) for each in figures(run)}


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize(
    "question",
    [Question(), Question(123_456, 16, 40, 1.0), Question(10, 1024, 1, 0.1)],
    ids=["as it opens", "many", "few"],
)  # fmt: skip
def test_a_browser_computes_the_same(run: Run, question: Question, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<!DOCTYPE html><meta charset="utf-8">{section(run)}', encoding="utf-8")
    address = (
        f"file://{page}#instances={question.instances}&host_gib={question.host_gib}"
        f"&price={question.price}&slower={question.slower * 100}"
    )
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=2000", "--dump-dom",
         address],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    shown = dict(re.findall(r'<tr data-target="([^"]+)">(.*?)</tr>', done.stdout))
    for each in figures(run):
        given = answer(each, question)
        assert f'data-value="{given.hosts}"' in shown[each.target]
        assert f"<td>{round(given.cost):,}</td>" in shown[each.target]
