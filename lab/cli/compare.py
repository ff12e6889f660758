"""`tonnage compare`: runs that are the same or different, and with what confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "compare",
        _compare,
        "compare runs: same or different, by how much, and with what confidence",
        (common, shared_options.output()),
    )
    parser.add_argument(
        "run",
        type=argument_types.folder,
        nargs="+",
        metavar="RUN",
        help="folders of two runs or more; each is compared with the first",
    )
    parser.add_argument(
        "--despite",
        type=argument_types.names,
        default=(),
        metavar="A,B",
        help="compare even if these conditions differ: host, accelerator, workloads, page-cache,"
        " image",
    )
    parser.add_argument(
        "--different", action="store_true", help="print only the figures that differ"
    )
    parser.add_argument(
        "--require",
        type=argument_types.share,
        metavar="P%",
        help="exit with code 1 unless at least this share of the ratios agrees, such as 90%%",
    )


def _compare(options: argparse.Namespace) -> int:
    from lab.analysis import comparison, comparison_text
    from lab.results import run_folder

    result = comparison.compare([run_folder.load(path) for path in options.run], options.despite)
    if options.format == "json":
        print_json(comparison_text.document(result), indent=2)
    elif options.format == "csv":
        print(comparison_text.csv_lines(result, only_different=options.different), end="")
    elif options.format == "markdown":
        text = comparison_text.markdown(
            result, only_different=options.different, language=options.lang
        )
        print(text, end="")
    else:
        comparison_text.show(result, only_different=options.different, language=options.lang)
    agreement = result.agreement()
    if options.require is None or (agreement is not None and agreement >= options.require):
        return DONE
    return MEASUREMENT_FAILED
