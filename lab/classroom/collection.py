"""Submitted notebooks of a class, checked again on the teacher's machine.

The points shown in a submission are not looked at: its answers are read and checked with the
teacher's run. Students are found by the notebook's metadata, else by its first cell, else by the
name of the folder it is in.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.classroom import answers, students
from lab.classroom.exercises import NOTEBOOKS, questions, wording
from lab.errors import InvalidConfig, LabError, NotFound, ReportFailed
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lab.classroom.answers import Submission
    from lab.classroom.exercises import Result
    from lab.results.run_folder import Run

HEADINGS = ("student", "notebook", "number", "question", "points", "of", "answer", "reason", "file")
_LONGEST_ANSWER = 500
_NO_FILE = "It is a link or a special file: put a copy of the notebook there."


@dataclass(frozen=True, slots=True)
class Checked:
    """A student's answers to the questions of a notebook, with the file that counts."""

    notebook: str
    file: str
    results: tuple[Result, ...]
    given: dict[int, object]
    remarks: tuple[Message, ...] = ()

    @property
    def points(self) -> float:
        """The points of all answers."""
        return sum(result.points for result in self.results)

    @property
    def most(self) -> int:
        """The points that all questions have."""
        return sum(result.of for result in self.results)


@dataclass(slots=True)
class Report:
    """One student's notebooks."""

    student: str
    notebooks: dict[str, Checked] = field(default_factory=dict)
    remarks: list[Message] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "student": self.student,
            "points": sum(each.points for each in self.notebooks.values()),
            "of": sum(each.most for each in self.notebooks.values()),
            "remarks": self.remarks,
            "notebooks": [
                {
                    "notebook": each.notebook,
                    "file": each.file,
                    "points": each.points,
                    "of": each.most,
                    "remarks": list(each.remarks),
                    "questions": [
                        {
                            **result.document(),
                            "reason": _reason(result),
                            "answer": _shown(each.given.get(result.number)),
                        }
                        for result in each.results
                    ],
                }
                for each in self.notebooks.values()
            ],
        }


@dataclass(slots=True)
class Collection:
    """The reports of a class, by student, and the files that could not be used, with reasons."""

    reports: dict[str, Report] = field(default_factory=dict)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield a row of HEADINGS for each question of each student."""
        for report in self.reports.values():
            for each in report.notebooks.values():
                for result in each.results:
                    yield (
                        _cell(report.student),
                        each.notebook,
                        result.number,
                        result.name,
                        result.points,
                        result.of,
                        _cell(_shown(each.given.get(result.number))),
                        _reason(result),
                        _cell(each.file),
                    )

    def document(self) -> dict[str, Any]:
        """Return the collection as JSON data."""
        return {
            "students": [report.document() for report in self.reports.values()],
            "unusable": [{"file": file, "reason": reason} for file, reason in self.unusable],
            "missing": [
                {"student": student, "notebook": notebook} for student, notebook in self.missing
            ],
        }


def collect(
    folder: Path, run: Run, expected: Sequence[str] = (), language: str = "en"
) -> Collection:
    """Return the reports of all notebooks below a folder.

    `expected` are the students who should have submitted each notebook that anyone submitted.
    Raise NotFound if there is no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder: name the one that holds the submissions.")
    collection = Collection()
    files = sorted(_notebooks(folder, collection))
    if not files and not collection.unusable:
        raise NotFound(f"{folder} holds no notebook: submissions are files .ipynb.")
    for path in files:
        name = str(path.relative_to(folder))
        try:
            submission = answers.read(path)
            if not submission.is_teachers:
                _add(collection, _completed(submission, folder), run, name, language)
        except LabError as error:
            collection.unusable.append((name, str(error)))
    collection.reports = dict(sorted(collection.reports.items()))
    _note_missing(collection, expected)
    return collection


def write(collection: Collection, out: Path) -> list[Path]:
    """Write points.csv, and a file .json for each student; replace those of an earlier time.

    Raise ReportFailed.
    """
    texts = {
        f"{students.folder_name(report.student)}.json": json.dumps(
            report.document(), indent=2, ensure_ascii=False
        )
        + "\n"
        for report in collection.reports.values()
    }
    texts["points.csv"] = tables.marked(tables.csv_lines(HEADINGS, collection.rows()))
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            aside = out / f".{os.getpid()}.new"
            aside.write_text(text, encoding="utf-8", errors="backslashreplace")
            aside.rename(out / name)
            written.append(out / name)
    except OSError as error:
        raise ReportFailed(f"Can't write the results to {out}: {error.strerror}.") from error
    return written


def _notebooks(folder: Path, collection: Collection) -> Iterator[Path]:
    """Yield the notebooks below a folder, without those in hidden folders (checkpoints).

    Links are not followed: one may lead to another student's work, or out of the folder. They, and
    what can't be looked at, are noted as unusable: a student's work may be there.
    """

    def note(error: OSError) -> None:
        name = os.path.relpath(os.fsdecode(error.filename), folder)
        collection.unusable.append((name, f"Can't read {name}: {error.strerror}."))

    for root, directories, files in os.walk(folder, onerror=note):
        directories[:] = [each for each in directories if not each.startswith(".")]
        found = [each for each in files if each.lower().endswith(".ipynb") and each[0] != "."]
        for name in (*directories, *found):
            path = type(folder)(root) / name
            try:
                mode = path.lstat().st_mode
            except OSError as error:
                note(error)
                continue
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                shown = str(path.relative_to(folder))
                collection.unusable.append((shown, _NO_FILE))


def _completed(submission: Submission, folder: Path) -> Submission:
    """Return the submission with student and notebook, from its path where it lacks them."""
    path = submission.path
    parents = path.relative_to(folder).parts[:-1]
    if not submission.student and parents:
        submission.student = parents[0]
        submission.remarks.append(Message("the student is known by the folder's name alone"))
    if not submission.student:
        raise InvalidConfig("It does not say whose it is: put it into a folder with the ID.")
    submission.student = students.checked(submission.student)
    if parents and students.folder_name(submission.student) != parents[0] != submission.student:
        submission.remarks.append(
            Message("it is in the folder {folder}, but names another student", folder=parents[0])
        )
    if submission.notebook not in NOTEBOOKS:
        named = [name for name in NOTEBOOKS if path.stem.lower().startswith(name)]
        if not named:
            raise InvalidConfig("It does not say which notebook it is, nor does its file's name.")
        submission.notebook = max(named, key=len)
        submission.remarks.append(Message("the notebook is known by the file's name alone"))
    return submission


def _add(
    collection: Collection, submission: Submission, run: Run, name: str, language: str
) -> None:
    """Check a submission, and keep it unless another one of the student has as many points."""
    if submission.run and submission.run != run.path.resolve().name:
        submission.remarks.append(Message("it was made for another run, {run}", run=submission.run))
    asked = questions(submission.notebook, run, submission.student, language)
    results = [asked.check(number, submission.answers.get(number)) for number in asked.numbers]
    unknown = sorted(set(submission.answers) - set(asked.numbers) - set(asked.left_out))
    if unknown:
        numbers = ", ".join(map(str, unknown))
        submission.remarks.append(Message("there is no question {numbers}", numbers=numbers))
    checked = Checked(
        submission.notebook, name, tuple(results), submission.answers, tuple(submission.remarks)
    )
    report = collection.reports.setdefault(submission.student, Report(submission.student))
    other = report.notebooks.get(submission.notebook)
    if other is None:
        report.notebooks[submission.notebook] = checked
        return
    better = max(other, checked, key=lambda each: each.points)
    worse = checked if better is other else other
    report.notebooks[submission.notebook] = better
    report.remarks.append(
        Message(
            "{notebook} was submitted twice: {better} counts, {worse} does not",
            notebook=submission.notebook,
            better=better.file,
            worse=worse.file,
        )
    )


def _note_missing(collection: Collection, expected: Iterable[str]) -> None:
    """Note which expected student lacks which notebook."""
    names = {name for each in collection.reports.values() for name in each.notebooks}
    submitted = [name for name in NOTEBOOKS if name in names]
    for student in expected:
        report = collection.reports.get(students.checked(student))
        collection.missing += [
            (student, name) for name in submitted if report is None or name not in report.notebooks
        ]


def _reason(result: Result) -> str:
    return wording.in_languages(result.reason, result.languages)


def _shown(answer: object) -> str:
    text = answer if isinstance(answer, str) else "" if answer is None else repr(answer)
    return text[:_LONGEST_ANSWER]


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
