"""`tonnage calibrate`: how accurate the lab is on this host."""

from __future__ import annotations

import sys
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
        "calibrate",
        _calibrate,
        "measure how accurate the lab is on this host",
        (common, shared_options.output()),
    )
    parser.add_argument(
        "--repetitions",
        type=argument_types.count,
        default=200,
        metavar="N",
        help="repetitions of each trial; default: 200",
    )
    shared_options.add_folder_seed_and_wait(parser)


def _calibrate(options: argparse.Namespace) -> int:
    from lab.calibration import model, text
    from lab.calibration import run as calibration_run

    path, calibration = calibration_run.run(
        calibration_run.CalibrationRequest(
            options.repetitions, options.seed, options.out, options.wait
        )
    )
    document = calibration.document()
    if options.format == "json":
        print_json(document, indent=2)
    elif options.format == "csv":
        print(text.csv_lines(document), end="")
    else:  # its text is Markdown, as in the calibration's folder
        print(text.markdown(document, options.lang))
    if calibration.undecided():
        print(
            f"tonnage: {options.repetitions} repetitions are too few for a verdict: use"
            f" --repetitions {model.FEWEST_REPETITIONS} or more. Reports of this host's runs do"
            " not use this calibration.",
            file=sys.stderr,
        )
    print(path, file=sys.stderr)
    return MEASUREMENT_FAILED if calibration.missed() else DONE
