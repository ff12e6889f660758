"""`tonnage class collect`: submitted notebooks, checked again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.classroom import class_options
from lab.cli.exit_codes import DONE, SOME_FAILED
from lab.cli.standard_streams import print_json
from lab.language.message import Message, translated

if TYPE_CHECKING:
    import argparse

    from lab.classroom.collection import Collection
    from lab.language.message import Language


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "collect",
        _collect,
        "check submitted notebooks again, and write each student's points",
        (common, shared_options.output_format(tables=True)),
        "class collect",
    )
    parser.add_argument(
        "folder",
        type=argument_types.folder,
        metavar="FOLDER",
        help="the folder of the submissions; the answers in them are read, nothing in them is run",
    )
    class_options.add_run(parser)
    parser.add_argument(
        "--students",
        type=argument_types.folder,
        metavar="FILE",
        help="the class, an ID a line: who of them has submitted nothing is listed",
    )
    shared_options.add_language(parser)
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        default=Path("class-results"),
        metavar="DIR",
        help="write DIR/points.csv and DIR/ID.json; default: class-results",
    )


def _collect(options: argparse.Namespace) -> int:
    from lab import tables
    from lab.classroom import collection, students

    expected = students.read(options.students) if options.students else []
    collected = collection.collect(
        options.folder, class_options.run(options), expected, options.lang
    )
    collection.write(collected, options.out)
    headings = [translated(heading, options.lang) for heading in _HEADINGS]
    if options.format == "json":
        print_json(collected.document())
    elif options.format == "csv":
        print(tables.csv_lines(collection.HEADINGS, collected.rows()), end="")
    elif options.format == "markdown":
        print("\n".join(tables.markdown(headings, _totals(collected))))
    else:
        print("\n".join(tables.columns(headings, _totals(collected))))
        where = Message("{file} has each answer.", file=options.out / "points.csv")
        print(f"\n{translated(where, options.lang)}")
    for remark in _remarks(collected, options.lang):
        print(remark, file=sys.stderr)
    return SOME_FAILED if collected.unusable else DONE


_HEADINGS = (Message("student"), Message("notebook"), Message("points"), Message("out of"))


def _totals(collected: Collection) -> list[tuple[str, ...]]:
    """Return a row for each notebook of each student."""
    from lab import tables

    return [
        (tables.plain(report.student), each.notebook, f"{each.points:g}", str(each.most))
        for report in collected.reports.values()
        for each in report.notebooks.values()
    ]


def _remarks(collected: Collection, language: Language) -> list[str]:
    """Return a line for each thing that the teacher should look at."""
    from lab import tables

    lines = [
        Message("{file}: not used: {reason}", file=file, reason=reason)
        for file, reason in collected.unusable
    ]
    for report in collected.reports.values():
        lines += [_about(report.student, remark) for remark in report.remarks]
        for each in report.notebooks.values():
            lines += [_about(each.file, remark) for remark in each.remarks]
    lines += [
        Message("{student}: {notebook} is missing", student=student, notebook=notebook)
        for student, notebook in collected.missing
    ]
    return [tables.plain(translated(line, language)) for line in lines]


def _about(subject: str, remark: Message) -> Message:
    return Message("{subject}: {remark}", subject=subject, remark=remark)
