"""Questions of the notebook about how far figures can be trusted."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import series
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import decided_at_sight
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import LeftOut, Question
from lab.classroom.exercises.reading import quantities
from lab.classroom.exercises.sentences import Explanation, Part, ends, shown
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.analysis.summary import Measurement
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts


def median_of_rounds(facts: Facts, draw: Draw) -> Question:
    """Return the question for the median of several rounds, given their values."""
    target = draw.choice(facts.targets("startup", "ready"))
    rounds = series.one(facts.run, "startup", target, "ready").by_round()
    if len(rounds) < 3:
        raise LeftOut(Message("{target} has fewer than three rounds.", target=facts.label(target)))
    count = 7 if len(rounds) >= 7 else len(rounds) - 1 + len(rounds) % 2
    begin = draw.below(len(rounds) - count + 1)
    values = list(rounds.values())[begin : begin + count]
    middle = median(values)
    return Question(
        "median-of-rounds",
        Message(
            "{target} was ready after {values} in {count} rounds. What is the median?",
            target=facts.label(target),
            values=", ".join(units.quantity(value, "second") for value in values),
            count=count,
        ),
        Number.counted(middle, "second"),
        Message("It is the middle one in order: as many are below as above."),
    )


def width_of_interval(facts: Facts, draw: Draw) -> Question:
    """Return the question for the width of an interval relative to the median."""
    wide = [each for each in _sampled(facts) if abs(_shown_width(each) / _width(each) - 1) < 0.2]
    if not wide:
        raise LeftOut(Message("No interval of this run's starts is wide enough to ask."))
    figure = draw.choice(wide)
    width = _width(figure)
    return Question(
        "width-of-interval",
        Message(
            "The time until {target} is ready has a 95 % interval. How wide is it, from end to end,"
            " in per cent of the median?",
            target=facts.label(figure.target),
        ),
        Number.sampled(width, "share", width * 0.95, width * 1.05).allowing(_shown_width(figure)),
        telling.told(facts, figure),
    )


def _width(figure: Measurement) -> float:
    """Return the width of an interval relative to the median; the smallest number for none."""
    low, high, middle = figure.low or 0.0, figure.high or 0.0, figure.median or 1.0
    return max((high - low) / middle, sys.float_info.min)


def _shown_width(figure: Measurement) -> float:
    """Return the same from the figures that tables show, which have three digits."""
    shown = quantities(units.interval(figure.low, figure.high, "second"))
    low, high = (each.in_base("second") or 0.0 for each in shown) if len(shown) == 2 else (0.0, 0.0)
    return (high - low) / (telling.as_shown(figure.median or 0.0, "second") or 1.0)


def disturbed(facts: Facts, draw: Draw) -> Question:
    """Return the question for the number of disturbed rounds."""
    rounds = facts.run.rounds
    experiments = sorted({str(name) for name in rounds["experiment"]})
    if not experiments:
        raise LeftOut(Message("This run did not record its rounds."))
    count = int((rounds["disturbed"] != "").sum())
    offered = sorted({*(count + each for each in (1, 3, 8)), 0})
    others = [number for number in offered if number != count and number <= len(rounds)]
    return Question(
        "disturbed",
        Message(
            "How many rounds of this run, of {rounds} in all, were disturbed by other work on the"
            " host?",
            rounds=len(rounds),
        ),
        Choice.of(
            draw, telling.named(str(count)),
            *(telling.named(str(number)) for number in draw.some(others, 3)),
        ),
        Message("Times exclude them, where at least half of the rounds remain."),
    )  # fmt: skip


def what_decides(facts: Facts, draw: Draw) -> Question:
    """Return the question for what a ratio's interval lets one conclude."""
    ratio = draw.choice(decided_at_sight(facts.workloads("container")))
    low, high = ratio.low or 0.0, ratio.high or 0.0
    slower = Message("The container is slower: the whole interval is above 1 ×.")
    faster = Message("The container is faster: the whole interval is below 1 ×.")
    open_ = Message("This run does not decide it: the interval includes 1 ×.")
    same = Message("They are equally fast: the interval includes 1 ×.")
    right = slower if low > 1 else faster if high < 1 else open_
    wrong = [each for each in (slower, faster, open_) if each is not right]
    return Question(
        "what-decides",
        Message(
            "In {workload}, the ratio of container to native has the 95 % interval {interval}. What"
            " follows?",
            workload=tables.literal(ratio.metric),
            interval=units.interval(low, high, "ratio"),
        ),
        Choice.of(
            draw, right, *wrong,
            (same, Message("No evidence of a difference is no evidence of equality.")),
        ),
        telling.told_ratio(facts, ratio),
    )  # fmt: skip


def meaning_of_interval(facts: Facts, draw: Draw) -> Question:
    """Return the question for what an interval covers and what it does not."""
    figure = draw.choice(_sampled(facts))
    low, high = figure.low or 0.0, figure.high or 0.0
    return Question(
        "meaning-of-interval",
        Message(
            "Explain the 95 % interval of the time until {target} is ready: its ends, what lies in"
            " it, and whether a run on another day must lie in it.",
            target=facts.label(figure.target),
        ),
        Explanation(
            (
                *ends(low, high, "second"),
                Part(Message("Say what lies in the interval."), pattern="median|中位数"),
                Part(
                    Message("Say what other runs may do."),
                    pattern="(?:other|another) (?:run|day|time)|runs? (?:at|on)|next run|differ|"
                    "(?:其他|另一|别的|下一)[^。]*(?:运行|时间|天|次)|不同",
                ),
            ),
            Message(
                "This run's median lies between {low} and {high} with 95 % confidence; runs at"
                " another time may differ by more.",
                low=shown(low, "second"),
                high=shown(high, "second"),
            ),
        ),
        Message("Only several runs show how much runs differ."),
    )


def _sampled(facts: Facts) -> list[Measurement]:
    """Return the starts with an interval. Raise LeftOut without any."""
    found = [
        figure
        for target in facts.targets("startup", "ready")
        if (figure := facts.figure("startup", target, "ready")).low is not None
    ]
    if not found:
        raise LeftOut(Message("No start of this run has an interval."))
    return found


QUESTIONS = (median_of_rounds, width_of_interval, disturbed, what_decides, meaning_of_interval)
