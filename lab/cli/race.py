"""`tonnage race`: a container, two engines and a machine start at the same moment."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from lab import units
from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import COMMA
from lab.language.text_width import width

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from lab.classroom.race import Lap, Race

_TIME, _NAME = 9, 17  # the longest step and target with its time fit into 60 columns


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "race",
        _race,
        "start a container, two engines and a machine at the same moment, and watch",
        (common, shared_options.output()),
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
        help="how many times as long as the first the last takes; asked for on a terminal",
    )
    parser.add_argument(
        "--json", action="store_const", dest="format", const="json", help="as --format json"
    )
    shared_options.add_wait(parser)


def _race(options: argparse.Namespace) -> int:
    from lab.classroom import race_text
    from lab.classroom.race import outcome

    race = _replay(options) if options.replay else _live(options)
    predicted: float | None = options.predict
    if options.format == "json":
        print_json(race.document(predicted))
    elif options.format == "csv":
        print(race_text.csv_lines(race), end="")
    elif options.format == "markdown":
        print(race_text.markdown(race, predicted, options.lang))
    else:
        print()
        for line in outcome(race, predicted):
            _say(options, line)
    return MEASUREMENT_FAILED if race.failed() else DONE


def _replay(options: argparse.Namespace) -> Race:
    from lab.analysis import provenance
    from lab.classroom.replayed_race import replayed
    from lab.results import run_folder

    path: Path = options.replay
    run = run_folder.load(path)
    race, laps = replayed(run, options.targets)
    if _is_live(options):
        _say(options, Message("A round of {run}: {targets}", run=path, targets=_named(race)))
        _say(options, provenance.line(run))
        _ask(options)
        print()
    _show(race, _in_time(laps, options.speed) if _is_live(options) else laps, options)
    return race


def _live(options: argparse.Namespace) -> Race:
    from lab.analysis import labels
    from lab.analysis.step_names import step_name
    from lab.classroom import live_race
    from lab.classroom.race import Lap, Race
    from lab.targets.registry import MACHINES

    names = live_race.present(options.targets)
    if _is_live(options):
        shown = joined(COMMA, [labels.target_name(name) for name in names])
        _say(options, Message("At the start: {targets}", targets=shown))
        _ask(options)  # before the host's lock is taken: people take their time
    with live_race.prepared(names, wait=options.wait) as (runners, emulated):

        def label(name: str) -> str:
            named = labels.target_name(name)
            is_emulated = emulated and name in MACHINES
            return Message("{target} (emulated)", target=named) if is_emulated else named

        race = Race(tuple(label(name) for name in runners.names))
        if _is_live(options):
            print()
        for event in runners.race(label):
            if isinstance(event, Lap):
                _show(race, [event], options)
            else:
                name, spans = event
                race.steps[name] = {
                    step_name(span.step): (span.end_ns - span.begin_ns) / 1e9 for span in spans
                }
    return race


def _is_live(options: argparse.Namespace) -> bool:
    """Return True if each lap is printed when it happens, and not a document at the end."""
    return bool(options.format == "text")


def _ask(options: argparse.Namespace) -> None:
    """Ask for a prediction on a terminal, unless it was given."""
    if options.predict is not None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    import argparse

    question = Message(
        "How many times as long as the first one does the last one take? (Enter: no prediction)"
    )
    words = f"{translated(question, options.lang)} "
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


def _show(race: Race, laps: Iterable[Lap], options: argparse.Namespace) -> None:
    """Add laps to the race, and print a line for each."""
    from lab.analysis import labels
    from lab.classroom.race import FINISH

    language: Language = options.lang
    widest = max(width(translated(target, language)) for target in race.targets)
    for lap in laps:
        race.laps.append(lap)
        if not _is_live(options):
            continue
        name = translated(labels.metric(lap.name), language)
        time_shown, place = units.quantity(lap.seconds, "second"), ""
        if lap.failed:
            time_shown, place = "", translated(Message("out"), language)
        elif lap.name == FINISH:
            number = sum(each.name == FINISH and not each.failed for each in race.laps)
            place = translated(Message("place {number}", number=number), language)
        target = translated(lap.target, language)
        target += " " * (widest - width(target))
        name += " " * (_NAME - width(name))
        print(f"{time_shown:>{_TIME}}  {target}  {name}  {place}".rstrip())
        sys.stdout.flush()


def _say(options: argparse.Namespace, text: Message) -> None:
    """Print a text, broken between words on a terminal."""
    words = translated(text, options.lang)
    if sys.stdout.isatty() and options.lang is Language.ENGLISH:
        words = textwrap.fill(words, shutil.get_terminal_size().columns)
    print(words)


def _named(race: Race) -> Message:
    return joined(COMMA, race.targets)
