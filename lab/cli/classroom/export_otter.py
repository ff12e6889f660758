"""`tonnage class export-otter`: questions as tests of otter-grader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.classroom import class_options
from lab.cli.exit_codes import DONE
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "export-otter",
        _export,
        "write a student's notebook with tests that otter-grader runs",
        (common, shared_options.output_format()),
        "class export-otter",
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="a name, or the path of a .ipynb")
    parser.add_argument("--student", required=True, metavar="ID", help="the student")
    shared_options.add_languages(parser, "text and questions")
    class_options.add_run(parser)
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        default=Path("otter"),
        metavar="DIR",
        help="the folder to create, with NOTEBOOK.ipynb and tests/; default: otter",
    )


def _export(options: argparse.Namespace) -> int:
    from lab.classroom import notebook, otter_export, students

    path = notebook.find(options.notebook)
    source = notebook.read(path)
    written = otter_export.write(
        source,
        notebook.name_of(path, source),
        class_options.run(options),
        students.checked(options.student),
        options.out,
        options.lang,
    )
    if options.format == "json":
        print_json({"files": [str(file) for file in written]})
    else:
        print("\n".join(map(str, written)))
    return DONE
