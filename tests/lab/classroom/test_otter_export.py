"""The export to otter-grader: its files, and what their cases give for answers."""

from __future__ import annotations

import doctest
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from lab.classroom import exercises, otter_export
from lab.errors import AlreadyExists
from lab.results import run_folder

if TYPE_CHECKING:
    from lab.results.run_folder import Run

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"
NAME, STUDENT = "how-many-fit", "2026-017"


@pytest.fixture(scope="module")
def run() -> Run:
    return run_folder.load(COMMITTED)


def export(run: Run, out: Path) -> list[Path]:
    source = new_notebook(cells=[new_code_cell("1 + 1", id="c")])
    return otter_export.write(source, NAME, run, STUDENT, out, "both")


def points(file: Path, questions: Any, number: int, answer: object) -> int:
    """Return the points of a test file's cases that pass, each run as otter runs it: a doctest."""
    document = runpy.run_path(str(file))
    assert document["OK_FORMAT"]
    (suite,) = document["test"]["suites"]
    got = 0
    for case in suite["cases"]:
        names = {"questions": questions, f"answer_{number}": answer}
        test = doctest.DocTestParser().get_doctest(case["code"], names, file.stem, None, 0)
        if doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 0:
            got += case["points"]
    return got


def test_cases_give_the_points_of_an_answer(run: Run, tmp_path: Path) -> None:
    first, *files = export(run, tmp_path / "out")
    questions = exercises.questions(NAME, run, STUDENT)
    assert len(files) == len(questions) > 0
    for number, file in zip(questions.numbers, files, strict=True):
        question = questions.question(number)
        assert points(file, questions, number, question.key.example()) == question.points
        assert points(file, questions, number, None) == 0
    sources = [cell.source for cell in nbformat.read(first, as_version=4).cells]
    for number in questions.numbers:
        assert f"answer_{number} = None\nquestions.check({number}, answer_{number})" in sources
        assert f'grader.check("q{number}")' in sources


def test_a_folder_that_is_there_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(AlreadyExists, match="choose another --out"):
        export(run, tmp_path / "out")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]
