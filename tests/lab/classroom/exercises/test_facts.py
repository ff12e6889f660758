"""Figures that questions ask about: what can be told apart, and what can't be seen."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from lab.analysis import summary
from lab.analysis.summary import Ratio
from lab.classroom import exercises
from lab.classroom.exercises import facts
from lab.classroom.exercises.draw import Draw
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.question import LeftOut
from lab.results import run_folder
from lab.statistics.estimates import Estimate

RESULTS = Path(__file__).parents[4] / "results"
NONE = Estimate(1.0, None, None, 1)
STUDENTS = [str(number) for number in range(120)]


def test_the_largest_of_a_choice_is_the_only_one() -> None:
    values = {"a": 1.0, "b": 1.01, "c": 1.02, "d": 1.03, "e": 0.5, "f": 0.4}
    for student in STUDENTS:
        first, *others = facts.one_above(Draw(student), values, 1.05)
        assert 2 <= len(others) <= 3
        assert all(values[name] * 1.05 <= values[first] for name in others)


def test_values_that_are_all_alike_give_no_choice() -> None:
    with pytest.raises(LeftOut, match="too much alike"):
        facts.one_above(Draw("x"), {"a": 1.0, "b": 1.01, "c": 1.02}, 1.05)


def ratio(value: float, low: float | None, high: float | None) -> Ratio:
    return Ratio("performance", "hash", "vm", "native", value, low, high, 3, NONE, None)


def test_what_tables_show_alike_is_a_tie() -> None:
    apart = [ratio(14.68, 14.6, 14.7), ratio(14.73, 14.72, 14.8), ratio(16.0, 15.9, 16.1)]
    assert facts.ties(apart) == [(0, 1)]
    assert facts.ties([ratio(14.68, None, None), ratio(14.73, None, None)]) == [(0, 1)]


def test_all_pairs_of_the_same_moment_are_ties() -> None:
    assert facts.same_moments([0.001, 0.001005, 0.00101, 0.5]) == [(0, 1), (0, 2), (1, 2)]
    assert facts.same_moments([10.001, 10.002]) == [(0, 1)]


def test_an_interval_that_seems_to_end_at_1_is_not_asked_about() -> None:
    clear = [ratio(1.1, 1.05, 1.2), ratio(1.0, 0.9, 1.1), ratio(0.8, 0.7, 0.99)]
    assert facts.decided_at_sight([*clear, ratio(1.01, 1.001, 1.02), ratio(1, 0.9, 0.999)]) == clear
    with pytest.raises(LeftOut, match="end at 1"):
        facts.decided_at_sight([ratio(1.01, 1.001, 1.02)])


@pytest.mark.parametrize("name", ["2026-11-26-vm-full-2", "2026-11-29-vm-full"])
def test_no_student_has_two_workloads_to_choose_from_that_are_shown_alike(name: str) -> None:
    run = run_folder.load(RESULTS / name)
    measured = {each.metric: each.ratio for each in facts.of(run).workloads("container")}
    for student in STUDENTS:
        question = exercises.questions("near-native", run, student, "en").question(3)
        key = question.key
        assert isinstance(key, Choice)
        shown = [measured[str(text)] for text in key.options.texts]
        right = shown[key.right]
        assert [each for each in shown if each * 1.02 > right] == [right]


@pytest.mark.parametrize("name", ["2026-11-26-vm-full-2", "2026-11-29-vm-full"])
def test_a_width_that_is_reckoned_from_the_shown_interval_is_right(name: str) -> None:
    run = run_folder.load(RESULTS / name)
    figures = {str(facts.of(run).label(each.target)): each for each in summary.measurements(run)
               if (each.experiment, each.metric) == ("startup", "ready")}  # fmt: skip
    for student in STUDENTS:
        question = exercises.questions("trust", run, student, "en").question(2)
        figure = figures[str(question.text.fields["target"])]
        low, high, middle = (
            float(f"{value:.3g}")
            for value in (figure.low or 0, figure.high or 0, figure.median or 1)
        )
        assert question.check(f"{100 * (high - low) / middle:.3g} %").share == 1, student


def test_of_a_restored_machine_the_saved_state_is_named() -> None:
    run = run_folder.load(RESULTS / "2026-11-29-vm-full")
    seen = set()
    for student in STUDENTS:
        question = exercises.questions("inside-a-machine", run, student, "en").question(4)
        restored = "restore" in question.text
        assert ("saved state" in question.why) is restored
        seen.add(restored)
    assert seen == {True, False}


def test_no_choice_of_disturbed_rounds_exceeds_the_rounds() -> None:
    run = run_folder.load(RESULTS / "2026-11-29-vm")
    for student in STUDENTS:
        key = exercises.questions("trust", run, student, "en").question(3).key
        assert isinstance(key, Choice)
        numbers = [int(text) for text in key.options.texts]
        assert max(numbers) <= len(run.rounds)
        assert all(one != other for one, other in combinations(numbers, 2))
