"""Options that the verbs of `tonnage class` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import argument_types

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from lab.results.run_folder import Run


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add --run, the run that the questions are about."""
    parser.add_argument(
        "--run",
        type=argument_types.folder,
        metavar="RUN",
        help="the run that the questions are about; default: $TONNAGE_RUN, else the newest full run"
        " in results/",
    )


def add_students(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --student and --students; `what` is done for each of them."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--student",
        action="append",
        metavar="ID",
        help=f"{what} this student; repeatable",
    )
    chosen.add_argument(
        "--students",
        type=argument_types.folder,
        metavar="FILE",
        help=f"{what} the students in this file: an ID a line, or the first column of a CSV",
    )


def students(options: argparse.Namespace) -> list[str]:
    """Return the checked IDs, of which each occurs once. Raise InvalidConfig without any."""
    from lab.classroom import students as ids
    from lab.errors import AlreadyExists, InvalidConfig

    if options.students is not None:
        return ids.read(options.students)
    chosen = [ids.checked(student) for student in options.student or ()]
    if not chosen:
        raise InvalidConfig("Whose is it? Name a --student ID, or --students FILE.")
    for number, student in enumerate(chosen):
        if student in chosen[:number]:
            raise AlreadyExists(f"--student {student} is given twice.")
    return chosen


def run(options: argparse.Namespace) -> Run:
    """Return the run that was named, or the one at hand."""
    from lab.classroom import class_run

    return class_run.load(options.run)


def folder_of(out: Path, student: str) -> Path:
    """Return the folder of a student."""
    from lab.classroom import students as ids

    return out / ids.folder_name(student)
