"""The questions of each notebook: for each student others, answerable, in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from lab.classroom import exercises
from lab.classroom.exercises.numbers import Number
from lab.errors import InvalidConfig, NotFound
from lab.results import run_folder
from tests.lab import lawful

if TYPE_CHECKING:
    from lab.results.run_folder import Run

RESULTS = Path(__file__).parents[4] / "results"
STUDENTS = ("2026-001", "2026-002", "张三", "o'neil/../x", "")
ODD: tuple[Any, ...] = (None, "", " ", True, float("nan"), [], {}, "x" * 9999, "A", "1 s", "4", b"")


@pytest.fixture(scope="module", params=["2026-11-29-vm", "2026-11-29-vm-full"])
def run(request: pytest.FixtureRequest) -> Run:
    return run_folder.load(RESULTS / request.param)


@pytest.mark.parametrize("notebook", exercises.NOTEBOOKS)
def test_every_question_has_an_answer_with_full_points(notebook: str, run: Run) -> None:
    for student in STUDENTS:
        questions = exercises.questions(notebook, run, student, "en")
        assert 4 <= len(questions) <= 6
        for number in questions.numbers:
            question = questions.question(number)
            result = questions.check(number, question.key.example())
            assert result.right, (student, question.name, result)
            assert result.name == question.name
            for answer in ODD:
                assert 0 <= questions.check(number, answer).points <= result.of


def test_students_get_other_questions_and_each_the_same_again(run: Run) -> None:
    shown = {
        student: exercises.questions("near-native", run, student)._repr_markdown_()
        for student in map(str, range(20))
    }
    assert len(set(shown.values())) >= 18
    assert shown["7"] == exercises.questions("near-native", run, "7")._repr_markdown_()
    assert shown["7"] == exercises.questions("near-native", run, " 7 ")._repr_markdown_()


@pytest.mark.parametrize("notebook", exercises.NOTEBOOKS)
def test_questions_are_shown_in_the_languages_asked_for(notebook: str, run: Run) -> None:
    english = exercises.questions(notebook, run, "1", "en")._repr_markdown_()
    chinese = exercises.questions(notebook, run, "1", "zh")._repr_markdown_()
    both = exercises.questions(notebook, run, "1", "both")._repr_markdown_()
    assert not re.search("[\u4e00-\u9fff]", english)
    assert "第 1 题" in chinese
    assert "Question" not in chinese
    assert not re.search("[\u4e00-\u9fff] [\u4e00-\u9fff]", chinese)
    assert "Question 1" in both
    assert "第 1 题" in both


@pytest.mark.parametrize("notebook", exercises.NOTEBOOKS)
def test_no_answer_is_shown_before_it_is_right(notebook: str, run: Run) -> None:
    questions = exercises.questions(notebook, run, "1", "en")
    shown = questions._repr_markdown_()
    for number in questions.numbers:
        key = questions.question(number).key
        if isinstance(key, Number) and len(key.example()) > 3 and notebook != "trust":
            assert key.example() not in shown  # trust asks for the median of the values it shows
            assert key.example() not in str(questions.check(number, "1e99"))


def test_no_answer_says_how_to_answer(run: Run) -> None:
    result = exercises.questions("how-many-fit", run, "1", "both").check(1)
    assert result.points == 0
    assert "Write a size with its unit" in result._repr_markdown_()
    assert "请写带单位的大小" in result._repr_markdown_()


def test_a_question_that_the_run_can_not_ask_has_no_points_and_a_reason(run: Run) -> None:
    questions = exercises.questions("images", run, "1", "en")
    result = questions.check(6, "1 MiB")
    assert (result.points, result.of, result.right) == (0, 0, True)
    assert "delivery" in result.reason
    assert "changed-layer" in questions._repr_markdown_()


def test_unknown_names_are_refused(run: Run) -> None:
    with pytest.raises(NotFound, match="no questions for the notebook 'nothing'"):
        exercises.questions("nothing", run)
    with pytest.raises(InvalidConfig, match="'de' is no language"):
        exercises.questions("trust", run, language="de")
    for number in (0, 7, -1, True, "1"):
        with pytest.raises(NotFound):
            exercises.questions("trust", run).check(number, "A")  # type: ignore[arg-type]


def test_the_environment_names_student_and_language(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_STUDENT", "2026-001")
    monkeypatch.setenv("TONNAGE_LANG", "zh")
    questions = exercises.questions("trust", run)
    assert questions.student == "2026-001"
    assert "第 1 题" in questions._repr_markdown_()


@given(lawful.runs())
@settings(max_examples=25, deadline=None)
def test_any_run_gives_questions_or_reasons(content: lawful.Lawful) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = content.write(Path(folder) / "run")
        for notebook in exercises.NOTEBOOKS:
            questions = exercises.questions(notebook, run, "1", "both")
            questions._repr_markdown_()
            questions.answers()
            for number in questions.numbers:
                assert questions.check(number, questions.question(number).key.example()).points > 0
