"""`tonnage class make`: a student's version of a notebook, or the teacher's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        "make",
        _make,
        "write each student's version of a notebook, with questions of their own",
        (common, shared_options.output_format()),
        "class make",
    )
    parser.add_argument(
        "notebooks",
        nargs="+",
        metavar="NOTEBOOK",
        help="a name such as near-native, or the path of a file .ipynb",
    )
    class_options.add_students(parser, "make it for")
    shared_options.add_languages(parser, "text and questions")
    class_options.add_run(parser)
    parser.add_argument(
        "--teacher", action="store_true", help="write the teacher's version, with the answers"
    )
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        default=Path("class"),
        metavar="DIR",
        help="write DIR/ID/NOTEBOOK.ipynb; nothing is overwritten; default: class",
    )


def _make(options: argparse.Namespace) -> int:
    from lab.classroom import notebook
    from lab.errors import AlreadyExists

    run = class_options.run(options)
    students = class_options.students(options)
    sources = [(path, notebook.read(path)) for path in map(notebook.find, options.notebooks)]
    end = "-teacher.ipynb" if options.teacher else ".ipynb"
    made: dict[Path, Any] = {}
    for path, source in sources:
        name = notebook.name_of(path, source)
        for student in students:
            out = class_options.folder_of(options.out, student) / f"{path.stem}{end}"
            if out.exists():
                raise AlreadyExists(
                    f"{out} is there already, perhaps with answers: nothing was written. Move it"
                    " away, or choose another --out."
                )
            if out in made:
                raise AlreadyExists(f"Two of the notebooks would be {out}: nothing was written.")
            made[out] = notebook.version(
                source, name, run, student, options.lang, teacher=options.teacher
            )
    for out, version in made.items():
        notebook.write(version, out)
    if options.format == "json":
        print_json({"notebooks": [str(out) for out in made]})
    else:
        print("\n".join(map(str, made)))
    return DONE
