"""Questions of the notebook about workloads in containers and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import decided_at_sight, one_above, ties
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import LeftOut, Question
from lab.classroom.exercises.sentences import Explanation, Part, ends, shown
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.analysis.summary import Ratio
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts

_NARROW = 1.6  # an interval whose ends are a larger factor apart supports no question about a value


def ratio_to_native(facts: Facts, draw: Draw) -> Question:
    """Return the question for a workload's ratio to native."""
    ratio = draw.choice(_narrow(facts))
    return Question(
        "ratio-to-native",
        Message(
            "How many times as long does the workload {workload} take in a container as native?",
            workload=tables.literal(ratio.metric),
        ),
        telling.ratio_key(ratio),
        telling.told_ratio(facts, ratio),
    )


def per_cent_slower(facts: Facts, draw: Draw) -> Question:
    """Return the question for a difference in per cent, with its sign."""
    ratio = draw.choice(_narrow(facts))
    more, around = ratio.ratio - 1, max(0.01, abs(ratio.ratio - 1) * 0.1)
    return Question(
        "per-cent-slower",
        Message(
            "By how many per cent is the workload {workload} slower in a container than native? A"
            " minus sign means faster.",
            workload=tables.literal(ratio.metric),
        ),
        Number(more, "share", more - around, more + around, signed=True),
        telling.told_ratio(facts, ratio),
    )


def slowest_workload(facts: Facts, draw: Draw) -> Question:
    """Return the question for the workload that a container slows most, of four."""
    measured = {ratio.metric: ratio.ratio for ratio in facts.workloads("container", least=4)}
    chosen = one_above(draw, measured, 1.02)
    return Question(
        "slowest-workload",
        Message("Which of these workloads has the largest ratio of container to native?"),
        Choice.of(draw, *(telling.named(tables.literal(name)) for name in chosen)),
        telling.values_told([(tables.literal(name), measured[name]) for name in chosen], "ratio"),
    )


def order_of_targets(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of targets by one workload's ratio to native."""
    every: list[Ratio] = []
    workload = ""
    for workload in draw.shuffled(sorted(facts.run.workload_results)):
        every = [
            ratio for ratio in facts.ratios("performance", workload) if ratio.baseline == "native"
        ]
        every.sort(key=lambda ratio: ratio.ratio)
        if len(every) >= 3 and every[-1].ratio > 1.3 * every[0].ratio:
            break
    else:
        raise LeftOut(Message("No workload of this run tells three targets apart."))
    chosen = sorted(
        [every[0], every[-1], *draw.some(every[1:-1], 2)], key=lambda ratio: ratio.ratio
    )
    return Question(
        "order-of-targets",
        Message(
            "Put these in order by their ratio to native in the workload {workload}, the fastest"
            " first. Where intervals overlap, either order is right.",
            workload=tables.literal(workload),
        ),
        telling.ordering(draw, [facts.label(ratio.target) for ratio in chosen], ties(chosen)),
        telling.values_told(
            [(facts.label(ratio.target), ratio.ratio) for ratio in chosen], "ratio"
        ),
    )


def slower_or_not(facts: Facts, draw: Draw) -> Question:
    """Return the question for what an interval says about a difference."""
    ratio = draw.choice(decided_at_sight(facts.workloads("container")))
    low, high = ratio.low or 0.0, ratio.high or 0.0
    undecided = low <= 1 <= high
    if undecided:
        part = Part(
            Message("Say whether the interval includes 1 ×, and what follows."),
            pattern=r"include|contain|not certain|uncertain|no(t a)? difference|inconclusive|"
                    "not (?:be )?(?:sure|decid)|can't|cannot|包含|包括|不能|无法|不确定|没有.*差",
            against=r"does not (?:include|contain)|doesn't (?:include|contain)|不包含|不包括",
        )  # fmt: skip
        sample = Message(
            "The interval from {low} to {high} includes 1 ×: this run can't tell whether the"
            " container is slower or faster.",
            low=shown(low, "ratio"),
            high=shown(high, "ratio"),
        )
    else:
        part = Part(
            Message("Say whether the interval includes 1 ×, and what follows."),
            pattern=r"slower|faster|above 1|below 1|not (?:include|contain)|exclude|慢|快|"
                    "不包含|不包括|大于|小于|高于|低于",
            against=r"can't tell|cannot tell|no difference|不能判断|无法判断",
        )  # fmt: skip
        sample = Message(
            "The interval from {low} to {high} does not include 1 ×: in this run the container is"
            " {word}.",
            low=shown(low, "ratio"),
            high=shown(high, "ratio"),
            word=Message("slower") if low > 1 else Message("faster"),
        )
    return Question(
        "slower-or-not",
        Message(
            "Is the workload {workload} slower in a container than native? Answer with both ends of"
            " the ratio's interval, and say whether they decide it.",
            workload=tables.literal(ratio.metric),
        ),
        Explanation((*ends(low, high, "ratio"), part), sample),
        sample,
    )


def _narrow(facts: Facts) -> list[Ratio]:
    """Return the container's workloads whose intervals are narrow. Raise LeftOut without any."""
    found = [
        ratio
        for ratio in facts.workloads("container")
        if ratio.low and ratio.high and ratio.high / ratio.low <= _NARROW
    ]
    if not found:
        raise LeftOut(Message("All intervals of this run's workloads are too wide to ask."))
    return found


def added_time(facts: Facts, draw: Draw) -> Question:
    """Return the question for what a ratio means for a job of some length."""
    ratio = draw.choice(_narrow(facts))
    minutes = draw.choice((20, 30, 40, 50))
    seconds = 60 * minutes * ratio.ratio
    return Question(
        "added-time",
        Message(
            "A job like {workload} takes {minutes} min native. How long does it take in a"
            " container, by this run's ratio?",
            workload=tables.literal(ratio.metric),
            minutes=minutes,
        ),
        Number.sampled(seconds, "second", seconds * 0.98, seconds * 1.02),
        Message(
            "{minutes} min × {ratio} are {time}.",
            minutes=minutes,
            ratio=f"{ratio.ratio:.3g}",
            time=units.quantity(seconds, "second"),
        ),
    )


QUESTIONS = (
    ratio_to_native,
    per_cent_slower,
    slowest_workload,
    order_of_targets,
    slower_or_not,
    added_time,
)
