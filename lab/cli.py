"""The `tonnage` command: each verb is a few lines that call one function.

Exit codes: 0 done, 1 a measurement failed (the rest are kept) or what was required is not so,
2 bad usage or a host that can't.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab import vm_verbs
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, MEASUREMENT_FAILED, BAD_USAGE, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    options = _parser().parse_args(arguments)
    if options.debug:
        os.environ["TONNAGE_DEBUG"] = "1"
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        return verb(options)
    except LabError as error:
        if options.debug:
            raise
        print(f"tonnage: {error}", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:
        print("tonnage: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read, `head` perhaps, has gone: nor is there more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


def _doctor(options: argparse.Namespace) -> int:
    from lab import host

    if options.tune or options.apply or options.undo:
        return _tune(options)
    found = host.inspect(options.accel, lambda line: print(line, file=sys.stderr))
    if options.format == "json":
        print(json.dumps(found.document(), indent=2))
    else:
        host.show(found)
    return DONE


def _tune(options: argparse.Namespace) -> int:
    from lab import tuning

    done = tuning.apply() if options.apply else tuning.undo() if options.undo else []
    for line in done:
        print(line, file=sys.stderr)
    findings = tuning.look()
    if options.format == "json":
        print(json.dumps(tuning.document(findings), indent=2, ensure_ascii=False))
    else:
        tuning.show(findings)
    return DONE


def _calibrate(options: argparse.Namespace) -> int:
    from lab import calibrating, calibration

    path, found = calibrating.run(
        calibrating.Request(options.repetitions, options.seed, options.out, options.wait)
    )
    if options.format == "json":
        print(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        print(calibration.markdown(found.document()))
    print(path, file=sys.stderr)
    return MEASUREMENT_FAILED if found.missed() else DONE


def _compare(options: argparse.Namespace) -> int:
    from lab import comparison, results

    found = comparison.compare([results.load(path) for path in options.run], options.despite)
    if options.format == "json":
        print(json.dumps(comparison.document(found), indent=2, ensure_ascii=False))
    else:
        comparison.show(found)
    agreement = found.agreement()
    if options.require is None or (agreement is not None and agreement >= options.require):
        return DONE
    return MEASUREMENT_FAILED


def _table(options: argparse.Namespace) -> int:
    from lab import claims, report, results, run

    outcome = run.measure(
        run.Request(
            profile=options.profile,
            targets=options.targets,
            accelerator=options.accel,
            out=options.out,
            seed=options.seed,
            start_deadline_seconds=options.start_deadline,
            workloads=tuple(options.workloads),
            precision=options.precision,
            budget_minutes=options.budget,
            wait=options.wait,
            page_cache=options.page_cache,
        )
    )
    report.write(outcome.path)
    claims.show(results.load(outcome.path))
    print(f"\n{outcome.path}/report.html", file=sys.stderr)
    return outcome.exit_code()


def _run(options: argparse.Namespace) -> int:
    from lab import results, run, summary

    outcome = run.measure(
        run.Request(
            profile=options.profile,
            experiments=(options.experiment,),
            targets=options.targets,
            rounds=options.rounds,
            accelerator=options.accel,
            out=options.out,
            seed=options.seed,
            start_deadline_seconds=options.start_deadline,
            workloads=tuple(options.workloads),
            precision=options.precision,
            budget_minutes=options.budget,
            wait=options.wait,
            page_cache=options.page_cache,
        )
    )
    measured = results.load(outcome.path)
    if options.format == "json":
        print(json.dumps(summary.document(measured), ensure_ascii=False))
    else:
        summary.show(measured)
    return outcome.exit_code()


def _report(options: argparse.Namespace) -> int:
    from lab import report

    for path in report.write(options.run):
        print(path)
    return DONE


def _clean(options: argparse.Namespace) -> int:
    from lab import clean

    for line in clean.everything(images=options.images) or ["nothing of ours was left"]:
        print(line)
    return DONE


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _share(text: str) -> float:
    number = float(text.removesuffix("%")) / 100
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError("must be more than 0 and less than 100 %")
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tonnage", description="What containers and virtual machines cost, measured."
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    accelerator = argparse.ArgumentParser(add_help=False)
    accelerator.add_argument(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="the machines' accelerator; auto: kvm where it is proved to work, else tcg (emulated)",
    )
    measuring = argparse.ArgumentParser(add_help=False, parents=[accelerator])
    measuring.add_argument("--profile", default="quick", help="quick (5 minutes) or full")
    measuring.add_argument(
        "--targets", type=_names, metavar="A,B", help="default: all that are there"
    )
    measuring.add_argument(
        "--out", type=Path, metavar="DIR", help="the run folder; default: a new one in results/"
    )
    measuring.add_argument("--seed", type=int, help="of the order within rounds; default: random")
    measuring.add_argument(
        "--start-deadline",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="a start that takes longer is given up, and counted as one that failed",
    )
    measuring.add_argument(
        "--workloads",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a TOML file of your own workloads, run in every target (may be given again)",
    )
    measuring.add_argument(
        "--precision",
        type=_share,
        metavar="P%",
        help="as many rounds as bring the interval of each ratio to this width; default: the"
        " profile's rounds",
    )
    measuring.add_argument(
        "--budget",
        type=_minutes,
        metavar="MINUTES",
        help="begin no round that would end later; default with --precision: 5 (quick), 60 (full)",
    )
    measuring.add_argument(
        "--wait", action="store_true", help="wait until the host is free to be measured"
    )
    measuring.add_argument(
        "--page-cache",
        choices=("cold", "warm", "as-is", "dropped"),
        default="warm",
        help="each target's image before its turn: out of the cache, read into it, or as it is;"
        " dropped: the whole host's caches, everybody's",
    )
    formats = argparse.ArgumentParser(add_help=False)
    formats.add_argument("--format", choices=("text", "json"), default="text")

    verb = verbs.add_parser(
        "doctor", parents=[accelerator, formats], help="what this host can measure, and why not"
    )
    verb.add_argument("--tune", action="store_true", help="what would make the host quieter")
    verb.add_argument("--apply", action="store_true", help="set what --tune shows, and remember")
    verb.add_argument("--undo", action="store_true", help="set back what --apply has set")
    verb.set_defaults(verb=_doctor)
    verb = verbs.add_parser(
        "table", parents=[measuring], help="measure everything; print the containers-vs-VMs table"
    )
    verb.set_defaults(verb=_table)
    verb = verbs.add_parser("run", parents=[measuring, formats], help="one experiment")
    verb.add_argument(
        "experiment",
        metavar="EXPERIMENT",
        help="startup, burst, footprint, density, performance or isolation",
    )
    verb.add_argument("--rounds", type=_count, metavar="N")
    verb.set_defaults(verb=_run)
    verb = verbs.add_parser("report", help="table, notebook and page of a run that was measured")
    verb.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    verb.set_defaults(verb=_report)
    verb = verbs.add_parser(
        "calibrate", parents=[formats], help="how far the lab can be trusted on this host"
    )
    verb.add_argument(
        "--repetitions", type=_count, default=200, metavar="N", help="of each trial; default: 200"
    )
    verb.add_argument("--seed", type=int, help="of the order within rounds; default: random")
    verb.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder; default: a new one in results/"
    )
    verb.add_argument(
        "--wait", action="store_true", help="wait until the host is free to be measured"
    )
    verb.set_defaults(verb=_calibrate)
    verb = verbs.add_parser(
        "compare", parents=[formats], help="runs: the same or different, and how sure that is"
    )
    verb.add_argument("run", type=Path, nargs="+", metavar="RUN", help="the first, and the others")
    verb.add_argument(
        "--despite",
        type=_names,
        default=(),
        metavar="A,B",
        help="compare although these differ: host, accelerator, workloads, page-cache",
    )
    verb.add_argument(
        "--require",
        type=_share,
        metavar="P%",
        help="exit with 1 if fewer ratios than this agree",
    )
    verb.set_defaults(verb=_compare)
    vm_verbs.register(verbs)
    verb = verbs.add_parser("clean", help="remove everything of ours that is left on the host")
    verb.add_argument("--images", action="store_true", help="the cache of built images too")
    verb.set_defaults(verb=_clean)
    return parser


if __name__ == "__main__":
    sys.exit(main())
