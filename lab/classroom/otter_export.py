"""Export to otter-grader: a notebook, and a test file for each question, in otter's OK format.

A test runs the same check as the notebook. Each quarter of a question's points is a case of its
own, so otter gives a part of the points for an answer that is right in part. The environment that
grades needs this package and the run.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.classroom import notebook
from lab.classroom.exercises import questions
from lab.errors import AlreadyExists, InvalidConfig, ReportFailed

if TYPE_CHECKING:
    from lab.classroom.exercises import Questions
    from lab.results.run_folder import Run


def write(source: Any, name: str, run: Run, student: str, out: Path, language: str) -> list[Path]:
    """Write NAME.ipynb and tests/qN.py into a new folder; return the files.

    Raise AlreadyExists if the folder is there, InvalidConfig for a notebook without questions.
    """
    asked = questions(name, run, student, language)
    if not len(asked):
        raise InvalidConfig(f"{run.path} has no figures for the questions of {name}.")
    made = _with_grader(notebook.version(source, name, run, student, language), asked)
    if out.exists():
        raise AlreadyExists(f"{out} is there already: choose another --out.")
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        (aside / "tests").mkdir(parents=True)
        notebook.write(made, aside / f"{name}.ipynb")
        for number in asked.numbers:
            question = asked.question(number)
            text = test_file(number, question.points)
            (aside / "tests" / f"q{number}.py").write_text(text, encoding="utf-8")
        aside.rename(out)
    except OSError as error:
        raise ReportFailed(f"Can't write {out}: {error.strerror}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [out / f"{name}.ipynb", *(out / "tests" / f"q{number}.py" for number in asked.numbers)]


def test_file(number: int, points: int) -> str:
    """Return the OK-format test of a question, whose answer is in `answer_N`."""
    cases = "".join(
        f"""                {{
                    "code": (
                        ">>> bool(questions.check({number}, answer_{number}).points >= {step})\\n"
                        "True"
                    ),
                    "hidden": False,
                    "locked": False,
                    "points": 1,
                }},
"""
        for step in range(1, points + 1)
    )
    return f"""OK_FORMAT = True

test = {{
    "name": "q{number}",
    "points": None,
    "suites": [
        {{
            "cases": [
{cases}            ],
            "scored": True,
            "setup": "",
            "teardown": "",
            "type": "doctest",
        }}
    ],
}}
"""


def _with_grader(made: Any, asked: Questions) -> Any:
    """Return the notebook with a variable for each answer, and otter's check after it."""
    from nbformat.v4 import new_code_cell

    kept = [cell for cell in made.cells if not notebook.only_checks(cell)]
    made.cells = [
        *kept,
        new_code_cell('import otter\n\ngrader = otter.Notebook(tests_dir="tests")', id="grader"),
    ]
    for number in asked.numbers:
        made.cells += [
            new_code_cell(
                f"answer_{number} = None\nquestions.check({number}, answer_{number})",
                id=f"answer-{number}",
                metadata={"tags": ["answer"]},
            ),
            new_code_cell(f'grader.check("q{number}")', id=f"grade-{number}"),
        ]
    return made
