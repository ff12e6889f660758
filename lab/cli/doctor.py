"""`tonnage doctor`: what this host can measure, and tuning for quieter measurements."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from lab import tables
from lab.cli import shared_options
from lab.cli.exit_codes import DONE
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "doctor",
        _doctor,
        "show what this host can measure, and the reasons for what it can't",
        (common, shared_options.accelerator(), shared_options.output()),
    )
    shared_options.add_runtime_binary(parser)
    parser.add_argument(
        "--tune", action="store_true", help="show settings that would make the host quieter"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--apply",
        action="store_true",
        help="change the settings that --tune shows, and store the old values for --undo",
    )
    change.add_argument(
        "--undo", action="store_true", help="restore the settings that --apply changed"
    )


def _doctor(options: argparse.Namespace) -> int:
    from lab import doctor
    from lab.measurement import host_record
    from lab.targets import runtime_binaries

    if options.tune or options.apply or options.undo:
        return _tune(options)
    runtimes = runtime_binaries.examine(options.runtime_binary)
    record = host_record.inspect(options.accel, lambda line: print(line, file=sys.stderr), runtimes)
    if options.format == "json":
        print_json(record.document(), indent=2)
    elif options.format == "csv":
        print(tables.records([asdict(fact) for fact in record.facts]), end="")
    elif options.format == "markdown":
        print(*doctor.markdown(record, options.lang), sep="\n")
    else:
        doctor.show(record, options.lang)
    return DONE


def _tune(options: argparse.Namespace) -> int:
    from lab.host import tuning

    changes = tuning.apply() if options.apply else tuning.undo() if options.undo else []
    for line in changes:
        print(line, file=sys.stderr)
    findings = tuning.look()
    if options.format == "json":
        print_json(tuning.document(findings), indent=2)
    elif options.format == "csv":
        print(tables.records(tuning.document(findings)), end="")
    elif options.format == "markdown":
        print(*tuning.markdown(findings, options.lang), sep="\n")
    else:
        tuning.show(findings, options.lang)
    return DONE
