"""The sliders: what they compute here, and in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.report.calculator import Figures, Question, answer, figures, section
from lab.results import run_folder
from tests.lab.with_samples import with_samples

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
    kept = run.samples[run.samples["experiment"] != "density"]
    without = with_samples(run, kept)
    assert section(without) == ""


def test_the_section_shows_the_answers_without_a_script(run: Run) -> None:
    pattern = r'<tr data-target="([^"]+)">.*?<td class="number">(\d+)<'
    rows = dict(re.findall(pattern, section(run), re.DOTALL))
    assert rows == {each.target: str(answer(each, Question()).hosts) for each in figures(run)}


def test_a_name_with_markup_ends_no_script(run: Run) -> None:
    samples = run.samples.assign(
        target=run.samples["target"].replace("container", "</script><script>alert(1)")
    )
    shown = section(with_samples(run, samples))
    assert shown.count("<script") == shown.count("</script>") == 2
    assert "&lt;/script&gt;" in shown
