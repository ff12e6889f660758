"""Questions of the notebook about the steps of a start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import told_apart
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import LeftOut, Question
from lab.classroom.exercises.sentences import Explanation, Part, ends, shown
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts


def share_of_step(facts: Facts, draw: Draw) -> Question:
    """Return the question for a step's share of the time until ready."""
    target = draw.choice(facts.with_steps(facts.targets("startup", "ready"), 3))
    steps = facts.steps(target, least=3)
    ready = facts.median("startup", target, "ready")
    large = [
        step
        for step, (begin, length) in steps.items()
        if 0.03 * ready <= length and begin + length <= 1.02 * ready
    ]
    if not large:
        raise LeftOut(
            Message("No step of {target} takes 3 % of its start.", target=facts.label(target))
        )
    step = draw.choice(large)
    part = steps[step][1] / ready
    return Question(
        "share-of-step",
        Message(
            "What percentage of the time until {target} is ready does the step '{step}' take?"
            " Divide the medians.",
            target=facts.label(target),
            step=telling.step(step),
        ),
        Number.sampled(part, "share", part * 0.95, part * 1.05),
        Message(
            "{step} of {ready} are {share}.",
            step=units.quantity(steps[step][1], "second"),
            ready=units.quantity(ready, "second"),
            share=units.share(part),
        ),
    )


def longest_of_target(facts: Facts, draw: Draw) -> Question:
    """Return the question for the longest step of a target."""
    target = draw.choice(facts.with_steps(facts.targets("startup", "ready"), 3))
    steps = facts.steps(target, least=3)
    order = sorted(steps, key=lambda step: -steps[step][1])
    if steps[order[0]][1] < 1.1 * steps[order[1]][1]:
        raise LeftOut(
            Message("The two longest steps of {target} take the same.", target=facts.label(target))
        )
    chosen = [order[0], *draw.some(order[1:], 3)]
    return Question(
        "longest-of-target",
        Message("Which step of a start of {target} takes longest?", target=facts.label(target)),
        Choice.of(draw, *(telling.step(step) for step in chosen)),
        telling.values_told([(telling.step(step), steps[step][1]) for step in chosen], "second"),
    )


def order_of_lengths(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of steps by their lengths."""
    target = draw.choice(facts.with_steps(facts.targets("startup", "ready"), 4))
    steps = facts.steps(target, least=4)
    kept = told_apart([(step, steps[step][1]) for step in draw.some(steps, 8)])
    kept = [each for each in kept if each[1] > 0]
    apart = kept[-1:]
    for each in reversed(kept[:-1]):
        if each[1] * 1.3 < apart[-1][1]:
            apart.append(each)
    if len(apart) < 3:
        raise LeftOut(
            Message("The steps of {target} take too much alike.", target=facts.label(target))
        )
    apart = apart[:4]
    return Question(
        "order-of-lengths",
        Message(
            "Put these steps of a start of {target} in order, the longest first.",
            target=facts.label(target),
        ),
        telling.ordering(draw, [telling.step(step) for step, _ in apart]),
        telling.values_told([(telling.step(step), value) for step, value in apart], "second"),
    )


def what_an_engine_adds(facts: Facts, draw: Draw) -> Question:
    """Return the question for the difference between two targets' medians."""
    others = [name for name in facts.containers("startup", "ready") if name != "container"]
    base = facts.median("startup", "container", "ready")
    slower = [name for name in others if facts.median("startup", name, "ready") > 1.2 * base]
    if not slower:
        raise LeftOut(Message("No other container of this run starts more slowly."))
    target = draw.choice(slower)
    whole = facts.median("startup", target, "ready")
    return Question(
        "what-an-engine-adds",
        Message(
            "How much later than our container is {target} ready? Subtract the medians.",
            target=facts.label(target),
        ),
        Number.sampled(
            whole - base, "second", (whole - base) * 0.97, (whole - base) * 1.03
        ).allowing(telling.as_shown(whole, "second") - telling.as_shown(base, "second")),
        Message(
            "{whole} less {base}.",
            whole=units.quantity(whole, "second"),
            base=units.quantity(base, "second"),
        ),
    )


def interval_of_start(facts: Facts, draw: Draw) -> Question:
    """Return the question for what the interval of a start says."""
    sampled = [
        name
        for name in facts.targets("startup", "ready")
        if facts.figure("startup", name, "ready").low is not None
    ]
    if not sampled:
        raise LeftOut(Message("No start of this run has an interval."))
    target = draw.choice(sampled)
    figure = facts.figure("startup", target, "ready")
    low, high = figure.low or 0.0, figure.high or 0.0
    return Question(
        "interval-of-start",
        Message(
            "State the 95 % interval of the time until {target} is ready. Is it an interval of"
            " single starts, or of this run's median?",
            target=facts.label(target),
        ),
        Explanation(
            (
                *ends(low, high, "second"),
                Part(
                    Message("Say what lies in the interval: the median, or single starts?"),
                    pattern="median|中位数",
                ),
            ),
            Message(
                "The median of this run lies between {low} and {high} with 95 % confidence; single"
                " starts may lie outside.",
                low=shown(low, "second"),
                high=shown(high, "second"),
            ),
        ),
        Message("Single starts may lie outside, and runs at other times differ by more."),
    )


QUESTIONS = (
    share_of_step,
    longest_of_target,
    order_of_lengths,
    what_an_engine_adds,
    interval_of_start,
)
