"""`tonnage race`: a container, two engines and a machine start at the same moment."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lab import units
from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from lab.classroom.race import Lap, Race

_WIDTHS = (10, 22, 22)  # time, target, lap: with the place they fit 80 columns


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "race",
        _race,
        "start a container, two engines and a machine at the same moment, and watch",
        (common,),
    )
    parser.add_argument(
        "targets",
        nargs="?",
        type=argument_types.names,
        metavar="A,B",
        help="targets, separated by commas; default: container,podman,docker,vm, as far as there",
    )
    parser.add_argument(
        "--replay",
        type=argument_types.folder,
        metavar="RUN",
        help="show a round of this run again, in its own time, instead of starting anything",
    )
    parser.add_argument(
        "--speed",
        type=argument_types.factor,
        default=1.0,
        metavar="X",
        help="replay this many times faster; default: 1",
    )
    parser.add_argument(
        "--predict",
        type=argument_types.factor,
        metavar="TIMES",
        help="how many times longer the last takes than the first; asked for on a terminal",
    )
    parser.add_argument("--json", action="store_true", help="print the race as a JSON document")
    shared_options.add_wait(parser)


def _race(options: argparse.Namespace) -> int:
    race = _replay(options) if options.replay else _live(options)
    predicted: float | None = options.predict
    if options.json:
        print_json(race.document(predicted))
    else:
        from lab.classroom.race import outcome

        print()
        for line in outcome(race, predicted):
            print(line)
    return MEASUREMENT_FAILED if race.failed() else DONE


def _replay(options: argparse.Namespace) -> Race:
    from lab.analysis import provenance
    from lab.classroom.replayed_race import replayed
    from lab.results import run_folder

    path: Path = options.replay
    run = run_folder.load(path)
    race, laps = replayed(run, options.targets)
    if not options.json:
        print(f"A round of {path}: {', '.join(race.targets)}")
        print(provenance.line(run))
        _ask(options)
        print()
    _show(race, _in_time(laps, options.speed) if not options.json else laps, quiet=options.json)
    return race


def _live(options: argparse.Namespace) -> Race:
    from lab.classroom import live_race
    from lab.classroom.race import Lap, Race
    from lab.targets.registry import MACHINES

    with live_race.prepared(options.targets, wait=options.wait) as (runners, emulated):

        def label(name: str) -> str:
            return f"{name} (emulated)" if emulated and name in MACHINES else name

        race = Race(tuple(label(name) for name in runners.names))
        if not options.json:
            print(f"At the start: {', '.join(race.targets)}")
            _ask(options)
            print()
        for event in runners.race(label):
            if isinstance(event, Lap):
                _show(race, [event], quiet=options.json)
            else:
                name, spans = event
                race.steps[name] = {
                    span.step: (span.end_ns - span.begin_ns) / 1e9 for span in spans
                }
    return race


def _ask(options: argparse.Namespace) -> None:
    """Ask for a prediction on a terminal, unless it was given."""
    if options.predict is not None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    import argparse

    words = "How many times longer does the last one take than the first? (Enter: no prediction) "
    while options.predict is None:
        try:
            answer = input(words).strip()
        except EOFError:
            return
        if not answer:
            return
        try:
            options.predict = argument_types.factor(answer)
        except argparse.ArgumentTypeError as error:
            print(error)


def _in_time(laps: Iterable[Lap], speed: float) -> Iterable[Lap]:
    """Yield each lap at its time."""
    begin = time.monotonic()
    for lap in laps:
        time.sleep(max(0.0, lap.seconds / speed - (time.monotonic() - begin)))
        yield lap


def _show(race: Race, laps: Iterable[Lap], *, quiet: bool) -> None:
    """Add laps to the race, and print a line for each."""
    from lab.classroom.race import FINISH

    for lap in laps:
        race.laps.append(lap)
        if quiet:
            continue
        place = ""
        if lap.failed:
            place = "out"
        elif lap.name == FINISH:
            place = f"place {sum(each.name == FINISH and not each.failed for each in race.laps)}"
        at, target, name = _WIDTHS
        shown = units.quantity(lap.seconds, "second") if not lap.failed else ""
        print(f"{shown:>{at}}  {lap.target:<{target}} {lap.name:<{name}} {place}".rstrip())
        sys.stdout.flush()
