"""`tonnage table` and `tonnage run`: measure everything, or chosen experiments."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.show import print_figures
from lab.cli.standard_streams import print_json
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.measurement.request import RunRequest


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add both verbs."""
    parents = (
        common,
        shared_options.accelerator(),
        shared_options.output(),
        _measuring_options(),
    )
    shared_options.add_verb(
        verbs,
        "table",
        _table,
        "measure everything, print the containers-vs-VMs table and write the report",
        parents,
    )
    parser = shared_options.add_verb(
        verbs, "run", _run, "measure chosen experiments, or finish an interrupted run", parents
    )
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="EXPERIMENT",
        help="one or more of startup, burst, footprint, performance, delivery, isolation, density",
    )
    parser.add_argument(
        "--resume",
        type=argument_types.folder,
        metavar="RUN",
        help="measure the missing rounds of an interrupted run, with its own options",
    )
    parser.set_defaults(refuse=parser.error)


def _measuring_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--profile",
        default="quick",
        help="how much to measure: quick (about 5 minutes, the default) or full",
    )
    parser.add_argument(
        "--targets",
        type=argument_types.names,
        metavar="A,B",
        help="targets to measure, separated by commas; default: all that are installed",
    )
    parser.add_argument(
        "--rounds",
        type=argument_types.count,
        metavar="N",
        help="number of rounds of each experiment; default: the profile's",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        dest="lists",
        help="print the profiles, experiments, targets and workloads, and exit",
    )
    parser.add_argument(
        "--start-deadline",
        type=argument_types.deadline_seconds,
        default=120.0,
        metavar="SECONDS",
        help="abandon a start after this time and count it as failed; default: 120",
    )
    parser.add_argument(
        "--image",
        type=argument_types.image_reference,
        metavar="REF",
        help="measure this image instead of the common user land: a name in the store of tonnage"
        " image or of a registry, oci:DIR, oci-archive:FILE or docker-archive:FILE",
    )
    parser.add_argument(
        "--ready-timeout",
        type=argument_types.deadline_seconds,
        default=60.0,
        metavar="SECONDS",
        help="count a start as failed if the image is not ready after this time; default: 60",
    )
    parser.add_argument(
        "--workloads",
        type=argument_types.folder,
        action="append",
        default=[],
        metavar="FILE",
        help="a TOML file with workloads of your own, which run in every target; repeatable",
    )
    parser.add_argument(
        "--precision",
        type=argument_types.share,
        metavar="P%",
        help="run rounds until the 95%% interval of each ratio is this narrow, such as 5%%;"
        " default: the profile's number of rounds",
    )
    parser.add_argument(
        "--budget",
        type=argument_types.budget_minutes,
        metavar="MINUTES",
        help="start no round that would end after this time; default with --precision: 5 (quick)"
        " or 60 (full), else none",
    )
    shared_options.add_runtime_binary(parser)
    shared_options.add_folder_seed_and_wait(parser)
    parser.add_argument(
        "--page-cache",
        choices=("cold", "warm", "as-is", "dropped"),
        default="warm",
        help="state of each target's image before its turn: cold (removed from the page cache),"
        " warm (read into it, the default), as-is, or dropped (drop the caches of the whole host,"
        " which slows down everything on it)",
    )
    return parser


def _list(options: argparse.Namespace) -> None:
    """Print the names and exit, if --list asks for it; after all options are read, for --lang."""
    if options.lists:
        from lab.cli import catalogue

        print(catalogue.text(options.lang))
        sys.exit(DONE)


def _table(options: argparse.Namespace) -> int:
    _list(options)
    from lab.claims import table
    from lab.measurement import run
    from lab.report import report
    from lab.results import run_folder

    outcome = run.measure(_request(options, _measurable(options.image)))
    measured = run_folder.load(outcome.path)
    if options.format == "json":
        print_json(table.document(measured), indent=2)
    elif options.format == "markdown":
        print(table.markdown(measured, options.lang), end="")
    elif options.format == "csv":
        print(table.csv_lines(measured), end="")
    else:
        table.show(measured, language=options.lang)
    sys.stdout.flush()
    try:
        report.write(outcome.path)
    except LabError as error:
        print(f"tonnage: {error}\nThe measurements are in {outcome.path}.", file=sys.stderr)
        return MEASUREMENT_FAILED
    print(f"\n{outcome.path}/report.html", file=sys.stderr)
    return outcome.exit_code()


def _run(options: argparse.Namespace) -> int:
    _list(options)
    from lab.measurement import resumption, run

    if not options.resume and not options.experiments:
        options.refuse("give an experiment, or --resume RUN; --list prints the experiments")
    if options.resume:
        request = resumption.request(options.resume, options.experiments, options.workloads)
        outcome = run.measure(dataclasses.replace(request, wait=options.wait))
    else:
        outcome = run.measure(_request(options, tuple(options.experiments)))
    print_figures(outcome.path, options.format, options.lang)
    print(f"\n{outcome.path}", file=sys.stderr)
    return outcome.exit_code()


def _measurable(image: str | None) -> tuple[str, ...]:
    """Return every experiment, or those that can measure an image."""
    from lab import experiments

    names = experiments.EXPERIMENTS
    return tuple(name for name in names if not image or not experiments.image_refusal(name))


def _request(options: argparse.Namespace, chosen: tuple[str, ...]) -> RunRequest:
    """Return the request that the options describe."""
    from lab.measurement.request import RunRequest

    return RunRequest(
        profile=options.profile,
        experiments=chosen,
        targets=options.targets,
        rounds=options.rounds,
        accelerator=options.accel,
        out=options.out,
        seed=options.seed,
        start_deadline_seconds=options.start_deadline,
        image=options.image,
        ready_timeout_seconds=options.ready_timeout,
        workloads=tuple(options.workloads),
        precision=options.precision,
        budget_minutes=options.budget,
        wait=options.wait,
        page_cache=options.page_cache,
        runtime_binaries=tuple(options.runtime_binary),
    )
