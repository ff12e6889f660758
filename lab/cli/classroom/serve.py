"""`tonnage class serve`: JupyterLab for each student."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.classroom import class_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from lab.classroom.server import Server
    from lab.results.run_folder import Run

_POLL_SECONDS = 0.5


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "serve",
        _serve,
        "run JupyterLab with the notebooks, for each student, until Ctrl-C",
        (common, shared_options.output_format()),
        "class serve",
    )
    class_options.add_students(parser, "serve")
    shared_options.add_languages(parser, "text and questions")
    class_options.add_run(parser)
    parser.add_argument(
        "--folder",
        type=argument_types.folder,
        default=Path("class"),
        metavar="DIR",
        help="the class's folder: notebooks are made in DIR/ID, unless they are there; default:"
        " class",
    )
    parser.add_argument(
        "--port",
        type=argument_types.port,
        default=8888,
        metavar="N",
        help="the first student's port, the others have the next; 0: any free ones; default: 8888",
    )
    parser.add_argument(
        "--address", default="127.0.0.1", metavar="IP", help="listen here; default: 127.0.0.1"
    )
    parser.add_argument(
        "--reachable-from-network",
        action="store_true",
        help="allow an --address that other hosts can reach: over plain HTTP, and whoever has a"
        " token runs commands as this user",
    )


def _serve(options: argparse.Namespace) -> int:
    from lab.classroom import class_run, server
    from lab.errors import InvalidConfig
    from lab.language import choice

    students = class_options.students(options)
    if len(students) > server.MOST_STUDENTS:
        raise InvalidConfig(
            f"{len(students)} students are too many for one host: at most {server.MOST_STUDENTS}."
        )
    address = server.checked_address(options.address, reachable=options.reachable_from_network)
    ports = server.ports(address, options.port, len(students))
    run = class_options.run(options)
    folders = {student: class_options.folder_of(options.folder, student) for student in students}
    environment = {
        class_run.RUN_VARIABLE: str(run.path.resolve()),
        choice.VARIABLE: options.lang,
    }
    _make_missing(folders, run, options.lang)
    print(f"starting {len(students)} × JupyterLab", file=sys.stderr, flush=True)
    with server.serving(folders, address, ports, environment) as running:
        return _until_interrupted(running, options.format)


def _make_missing(folders: Mapping[str, Path], run: Run, language: str) -> None:
    """Make the notebooks that the students' folders lack. Raise NotFound without sources."""
    from lab.classroom import notebook
    from lab.errors import AlreadyExists, NotFound

    paths = [path for each in notebook.folders()[:1] for path in sorted(each.glob("*.ipynb"))]
    if not paths:
        raise NotFound("There is no folder notebooks/ here: run this in a checkout of tonnage.")
    missing = [
        (student, path, folder / path.name)
        for student, folder in folders.items()
        for path in paths
        if not (folder / path.name).exists()
    ]
    if missing:
        print(f"making notebooks: {len(missing)}", file=sys.stderr, flush=True)
    sources = {path: notebook.read(path) for path in {path for _, path, _ in missing}}
    for student, path, out in missing:
        source = sources[path]
        name = notebook.name_of(path, source)
        with suppress(AlreadyExists):  # by another `serve` of the same folder, just now
            notebook.write(notebook.version(source, name, run, student, language), out)


def _print(running: Sequence[Server], output_format: str) -> None:
    if output_format == "json":
        print_json(
            {
                "servers": [
                    {"student": each.student, "folder": str(each.folder), "url": each.url}
                    for each in running
                ]
            }
        )
    else:
        for each in running:
            print(f"{each.student}  {each.url}")
        print("Ctrl-C ends the servers; the folders stay.")
    sys.stdout.flush()


def _until_interrupted(running: Sequence[Server], output_format: str) -> int:
    """Print the servers, and wait for Ctrl-C, or until each has ended by itself."""
    left = list(running)
    try:
        _print(running, output_format)
        while left:
            time.sleep(_POLL_SECONDS)
            for ended in [each for each in left if each.process.poll() is not None]:
                left.remove(ended)
                others = f"; servers still running: {len(left)}" if left else ""
                print(f"{ended.ended()}{others}", file=sys.stderr, flush=True)
    except KeyboardInterrupt as interrupt:
        if type(interrupt) is not KeyboardInterrupt:
            raise  # another signal, whose exit code tells so
        return DONE
    return MEASUREMENT_FAILED
