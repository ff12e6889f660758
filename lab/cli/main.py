"""The `tonnage` command: each verb is a few lines that call one function.

Exit codes: 0 done, 1 a measurement failed (the rest are kept), what was required is not so, or the
output can't be written, 2 bad usage or a host that can't, 128 + n ended by signal n.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import signals
from lab.cli import parser, standard_streams
from lab.cli.standard_streams import OutputError, ReaderGone, print_json
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lab.measurement.request import RunRequest

DONE, MEASUREMENT_FAILED, OUTPUT_FAILED, BAD_USAGE = 0, 1, 1, 2
INTERRUPTED, UNREAD = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    standard_streams.prepare()
    try:
        return _flushed(arguments)
    except ReaderGone:
        standard_streams.discard_output()
        return UNREAD
    except OutputError as error:
        standard_streams.discard_output()
        print(f"tonnage: {error}", file=sys.stderr)
        return OUTPUT_FAILED


def _flushed(arguments: Sequence[str] | None) -> int:
    """Run one verb and write all that it printed, `--help` too."""
    try:
        options = parser.build().parse_args(arguments)
    except SystemExit:
        sys.stdout.flush()
        raise
    with _debugging(options.debug):
        code = _run_verb(options)
    sys.stdout.flush()
    return code


@contextmanager
def _debugging(asked: bool) -> Iterator[None]:
    """Have this process and its workers show tracebacks, if that is asked for."""
    before = os.environ.get("TONNAGE_DEBUG")
    if asked:
        os.environ["TONNAGE_DEBUG"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("TONNAGE_DEBUG", None)
        else:
            os.environ["TONNAGE_DEBUG"] = before


def _run_verb(options: argparse.Namespace) -> int:
    verb: Callable[[argparse.Namespace], int] = (
        _VERBS[options.verb] if isinstance(options.verb, str) else options.verb
    )
    try:
        with signals.interrupting():
            return verb(options)
    except OutputError:
        raise
    except LabError as error:
        if options.debug:
            raise
        print(f"tonnage: {error}", file=sys.stderr)
        return BAD_USAGE
    except signals.Interrupted as ended:
        print(f"tonnage: ended by {signal.Signals(ended.number).name}", file=sys.stderr)
        return 128 + ended.number
    except KeyboardInterrupt:
        print("tonnage: interrupted", file=sys.stderr)
        return INTERRUPTED


def _doctor(options: argparse.Namespace) -> int:
    from lab import doctor
    from lab.measurement import host_record

    if options.tune or options.apply or options.undo:
        return _tune(options)
    found = host_record.inspect(options.accel, lambda line: print(line, file=sys.stderr))
    if options.format == "json":
        print_json(found.document(), indent=2)
    else:
        doctor.show(found)
    return DONE


def _tune(options: argparse.Namespace) -> int:
    from lab.host import tuning

    done = tuning.apply() if options.apply else tuning.undo() if options.undo else []
    for line in done:
        print(line, file=sys.stderr)
    findings = tuning.look()
    if options.format == "json":
        print_json(tuning.document(findings), indent=2)
    else:
        tuning.show(findings)
    return DONE


def _calibrate(options: argparse.Namespace) -> int:
    from lab.calibration import model, text
    from lab.calibration import run as calibration_run

    path, found = calibration_run.run(
        calibration_run.CalibrationRequest(
            options.repetitions, options.seed, options.out, options.wait
        )
    )
    if options.format == "json":
        print_json(found.document(), indent=2)
    else:
        print(text.markdown(found.document()))
    if found.undecided():
        print(
            f"tonnage: {options.repetitions} repetitions are too few to hold the lab to its"
            f" bounds: {model.FEWEST_REPETITIONS} or more would tell; reports of this"
            " host's runs don't use this calibration.",
            file=sys.stderr,
        )
    print(path, file=sys.stderr)
    return MEASUREMENT_FAILED if found.missed() else DONE


def _compare(options: argparse.Namespace) -> int:
    from lab.analysis import comparison, comparison_text
    from lab.results import run_folder

    found = comparison.compare([run_folder.load(path) for path in options.run], options.despite)
    if options.format == "json":
        print_json(comparison_text.document(found), indent=2)
    else:
        comparison_text.show(found, only_different=options.different)
    agreement = found.agreement()
    if options.require is None or (agreement is not None and agreement >= options.require):
        return DONE
    return MEASUREMENT_FAILED


def _table(options: argparse.Namespace) -> int:
    from lab.claims import table
    from lab.measurement import run
    from lab.report import report
    from lab.results import run_folder

    outcome = run.measure(_request(options))
    measured = run_folder.load(outcome.path)
    if options.format == "json":
        print_json(table.document(measured), indent=2)
    else:
        table.show(measured)
    sys.stdout.flush()
    try:
        report.write(outcome.path)
    except LabError as error:
        print(f"tonnage: {error}\nWhat was measured is in {outcome.path}.", file=sys.stderr)
        return MEASUREMENT_FAILED
    print(f"\n{outcome.path}/report.html", file=sys.stderr)
    return outcome.exit_code()


def _run(options: argparse.Namespace) -> int:
    from lab.measurement import resumption, run

    if not options.resume and not options.experiments:
        options.refuse("name an experiment, or a run with --resume; --list names what there is")
    if options.resume:
        request = resumption.request(options.resume, options.experiments, options.workloads)
        outcome = run.measure(dataclasses.replace(request, wait=options.wait))
    else:
        outcome = run.measure(_request(options, tuple(options.experiments)))
    _show_figures(outcome.path, options)
    print(f"\n{outcome.path}", file=sys.stderr)
    return outcome.exit_code()


def _request(options: argparse.Namespace, chosen: tuple[str, ...] | None = None) -> RunRequest:
    """Return what the measuring options ask for; every experiment where none is chosen."""
    from lab import experiments
    from lab.measurement.request import RunRequest

    return RunRequest(
        profile=options.profile,
        experiments=chosen or experiments.EXPERIMENTS,
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


def _show(options: argparse.Namespace) -> int:
    _show_figures(options.run, options)
    return DONE


def _show_figures(path: Path, options: argparse.Namespace) -> None:
    """Print the figures of a run as text or as JSON."""
    from lab.analysis import summary_text
    from lab.results import run_folder

    measured = run_folder.load(path)
    if options.format == "json":
        print_json(summary_text.document(measured))
    else:
        summary_text.show(measured)


def _report(options: argparse.Namespace) -> int:
    from lab.report import report

    for path in report.write(options.run, options.out):
        print(path)
    return DONE


def _clean(options: argparse.Namespace) -> int:
    from lab.cli import clean

    for line in clean.everything(images=options.images) or ["nothing of ours was left"]:
        print(line)
    return DONE


_VERBS = {
    "doctor": _doctor,
    "table": _table,
    "run": _run,
    "show": _show,
    "report": _report,
    "compare": _compare,
    "calibrate": _calibrate,
    "clean": _clean,
}


if __name__ == "__main__":
    sys.exit(main())
