"""`tonnage show`: the figures of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import shared_options
from lab.cli.exit_codes import DONE
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from lab.language.message import Language


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "show",
        _show,
        "print the figures of a run",
        (common, shared_options.output()),
    )
    shared_options.add_run_folder(parser)


def _show(options: argparse.Namespace) -> int:
    print_figures(options.run, options.format, options.lang)
    return DONE


def print_figures(path: Path, output_format: str, language: Language) -> None:
    """Print the figures of the run in the folder as text, JSON, Markdown or CSV."""
    from lab.analysis import summary_text
    from lab.results import run_folder

    run = run_folder.load(path)
    if output_format == "json":
        print_json(summary_text.document(run))
    elif output_format == "markdown":
        print(summary_text.markdown(run, language))
    elif output_format == "csv":
        print(summary_text.csv_lines(run), end="")
    else:
        summary_text.show(run, language=language)
