"""`tonnage scale`: what a peak does to a service, by simulation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "scale",
        _scale,
        "simulate what a peak of requests does to containers and machines behind an autoscaler",
        (common, shared_options.output()),
    )
    parser.add_argument(
        "scenario",
        type=argument_types.folder,
        metavar="SCENARIO.toml",
        help="the scenario, such as examples/scale.toml; docs/scaling.md describes its keys",
    )
    parser.add_argument(
        "--picture",
        type=argument_types.folder,
        metavar="FILE",
        help="also draw the variants side by side, to a file .svg, .png or .pdf",
    )
    parser.add_argument(
        "--replications",
        type=argument_types.count,
        metavar="N",
        help="replications, over which the intervals are; default: the scenario's",
    )
    parser.add_argument(
        "--seed",
        type=argument_types.seed,
        metavar="N",
        help="seed of the random numbers; default: the scenario's",
    )


def _scale(options: argparse.Namespace) -> int:
    from lab.scaling import document, replications, scenario, text

    if options.picture:
        from lab.report import picture

        picture.check_path(options.picture)
    loaded = scenario.load(options.scenario)
    table = loaded.table
    seed = table.seed if options.seed is None else options.seed
    result = replications.run(loaded, options.replications or table.replications, seed)
    if options.picture:
        from lab.report import peak

        peak.draw(result).write(options.picture, options.lang)
    if options.format == "json":
        print_json(document.document(result))
    elif options.format == "csv":
        print(document.csv_text(result), end="")
    elif options.format == "markdown":
        print("\n".join(text.markdown(result, options.lang)))
    elif sys.stdout.isatty():
        from rich.console import Console

        text.show(result, Console(), options.lang)
    else:
        print("\n".join(text.lines(result, options.lang)))
    return DONE
