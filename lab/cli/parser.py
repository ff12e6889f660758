"""The words that `tonnage` takes: verbs, options, and what each may be."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lab.cli import argument_types
from lab.cli.vm import parser as vm_verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


_DEBUG = "show tracebacks"


class _Version(argparse.Action):
    """Prints the version; it is looked up only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lab import version

        print(version.line())
        parser.exit()


class _Names(argparse.Action):
    """Lists what there is to be measured, with a line on each kind."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lab.cli import catalogue

        print(catalogue.text())
        parser.exit()


def build() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    A parsed verb is in `verb` by its name; the machines' verbs are functions (lab.cli.vm.parser).
    """
    parser = argparse.ArgumentParser(
        prog="tonnage", description="What containers and virtual machines cost, measured."
    )
    parser.add_argument("--debug", action="store_true", help=_DEBUG)
    common = argparse.ArgumentParser(add_help=False)
    # Without a default: a verb's parser must not set back what was said before the verb.
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=_DEBUG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and exit")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    formats = argparse.ArgumentParser(add_help=False)
    formats.add_argument("--format", choices=("text", "json"), default="text")
    accelerator = _accelerator()
    _add_doctor(verbs, [common, accelerator, formats])
    _add_measuring(verbs, [common, accelerator, formats, _measuring()])
    _add_reading(verbs, common, formats)
    _add_calibrate(verbs, [common, formats])
    vm_verbs.register(verbs)
    verb = verbs.add_parser(
        "clean", parents=[common], help="remove everything of ours that is left on the host"
    )
    verb.add_argument("--images", action="store_true", help="the cache of built images too")
    verb.set_defaults(verb="clean")
    return parser


def _accelerator() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="the machines' accelerator; auto: kvm where it is proved to work, else tcg (emulated)",
    )
    return parser


def _measuring() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--profile", default="quick", help="quick (5 minutes) or full")
    parser.add_argument(
        "--targets",
        type=argument_types.names,
        metavar="A,B",
        help="default: all that are there; --list names them",
    )
    parser.add_argument(
        "--rounds", type=argument_types.count, metavar="N", help="of each experiment"
    )
    parser.add_argument(
        "--list", action=_Names, nargs=0, help="name the experiments, targets and workloads"
    )
    parser.add_argument(
        "--start-deadline",
        type=argument_types.deadline_seconds,
        default=120.0,
        metavar="SECONDS",
        help="a start that takes longer is given up, and counted as one that failed; default: 120",
    )
    parser.add_argument(
        "--workloads",
        type=argument_types.folder,
        action="append",
        default=[],
        metavar="FILE",
        help="a TOML file of your own workloads, run in every target (may be given again)",
    )
    parser.add_argument(
        "--precision",
        type=argument_types.share,
        metavar="P%",
        help="as many rounds as bring the interval of each ratio to this width; default: the"
        " profile's rounds",
    )
    parser.add_argument(
        "--budget",
        type=argument_types.budget_minutes,
        metavar="MINUTES",
        help="begin no round that would end later; default with --precision: 5 (quick), 60 (full)",
    )
    _add_folder_seed_and_wait(parser)
    parser.add_argument(
        "--page-cache",
        choices=("cold", "warm", "as-is", "dropped"),
        default="warm",
        help="each target's image before its turn: out of the cache, read into it, or as it is;"
        " dropped: the whole host's caches, everybody's",
    )
    return parser


def _add_folder_seed_and_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        metavar="DIR",
        help="the folder to be made; default: a new one in results/",
    )
    parser.add_argument(
        "--seed", type=argument_types.seed, help="of the order within rounds; default: random"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait until the host is free to be measured"
    )


def _add_doctor(verbs: Verbs, parents: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser(
        "doctor", parents=parents, help="what this host can measure, and why not"
    )
    verb.add_argument("--tune", action="store_true", help="what would make the host quieter")
    verb.add_argument("--apply", action="store_true", help="set what --tune shows, and remember")
    verb.add_argument("--undo", action="store_true", help="set back what --apply has set")
    verb.set_defaults(verb="doctor")


def _add_measuring(verbs: Verbs, parents: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser(
        "table", parents=parents, help="measure everything; print the containers-vs-VMs table"
    )
    verb.set_defaults(verb="table")
    verb = verbs.add_parser("run", parents=parents, help="some experiments, or the rest of a run")
    verb.add_argument(
        "experiments",
        nargs="*",
        metavar="EXPERIMENT",
        help="startup, burst, footprint, density, performance or isolation; several in a row",
    )
    verb.add_argument(
        "--resume",
        type=argument_types.folder,
        metavar="RUN",
        help="measure the rounds that an interrupted run still lacks, as it was asked for",
    )
    verb.set_defaults(verb="run", refuse=verb.error)


def _add_reading(
    verbs: Verbs, common: argparse.ArgumentParser, formats: argparse.ArgumentParser
) -> None:
    verb = verbs.add_parser(
        "show", parents=[common, formats], help="the figures of a run that was measured"
    )
    _add_run(verb)
    verb.set_defaults(verb="show")
    verb = verbs.add_parser(
        "report", parents=[common], help="table, notebook and page of a run that was measured"
    )
    _add_run(verb)
    verb.add_argument(
        "--out", type=argument_types.folder, metavar="DIR", help="write them there; default: RUN"
    )
    verb.set_defaults(verb="report")
    verb = verbs.add_parser(
        "compare", parents=[common, formats], help="runs: the same or different, and how sure"
    )
    verb.add_argument(
        "run",
        type=argument_types.folder,
        nargs="+",
        metavar="RUN",
        help="the first, and the others",
    )
    verb.add_argument(
        "--despite",
        type=argument_types.names,
        default=(),
        metavar="A,B",
        help="compare although these differ: host, accelerator, workloads, page-cache",
    )
    verb.add_argument(
        "--different", action="store_true", help="leave out what is the same or can't be told"
    )
    verb.add_argument(
        "--require",
        type=argument_types.share,
        metavar="P%",
        help="exit with 1 if fewer ratios than this agree",
    )
    verb.set_defaults(verb="compare")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=argument_types.folder, metavar="RUN", help="the run folder")


def _add_calibrate(verbs: Verbs, parents: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser(
        "calibrate", parents=parents, help="how far the lab can be trusted on this host"
    )
    verb.add_argument(
        "--repetitions",
        type=argument_types.count,
        default=200,
        metavar="N",
        help="of each trial; default: 200",
    )
    _add_folder_seed_and_wait(verb)
    verb.set_defaults(verb="calibrate")
