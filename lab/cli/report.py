"""`tonnage report`: the table, the notebook and the page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "report",
        _report,
        "write the report of a run: table.md, overview.png, report.ipynb and report.html",
        (common,),
    )
    shared_options.add_run_folder(parser)
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        metavar="DIR",
        help="write the files to this folder; default: RUN",
    )
    shared_options.add_languages(
        parser, "report.html and report.ipynb; both puts a switch on the page"
    )


def _report(options: argparse.Namespace) -> int:
    from lab.language.message import Language
    from lab.report import report

    languages = tuple(Language) if options.lang == "both" else (Language(options.lang),)
    for path in report.write(options.run, options.out, languages):
        print(path)
    return DONE
