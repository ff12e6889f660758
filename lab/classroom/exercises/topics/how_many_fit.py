"""Questions of the notebook that fills a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import told_apart
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import LeftOut, Question
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts

_METRIC = "memory-per-instance-available"


def memory_of_one_more(facts: Facts, draw: Draw) -> Question:
    """Return the question for the memory of one more instance."""
    target = draw.choice(facts.targets("density", _METRIC))
    figure = facts.figure("density", target, _METRIC)
    return Question(
        "memory-of-one-more",
        Message(
            "By how much does one more instance of {target} lower the host's available memory?",
            target=facts.label(target),
        ),
        Number.sampled(figure.median or 0.0, "byte", figure.low, figure.high),
        telling.told(facts, figure),
    )


def fit_in_memory(facts: Facts, draw: Draw) -> Question:
    """Return the question for how many instances fit into an amount of memory."""
    target = draw.choice(facts.targets("density", _METRIC))
    each = facts.median("density", target, _METRIC)
    gib = draw.choice((8, 16, 24, 32, 48, 64))
    count = gib * 2.0**30 / each
    if count < 3:
        raise LeftOut(
            Message("An instance of {target} takes too much memory.", target=facts.label(target))
        )
    slack = max(1.0, count * 0.02)
    return Question(
        "fit-in-memory",
        Message(
            "How many idle instances of {target} fit into {gib} GiB, if memory alone limits them?",
            target=facts.label(target),
            gib=gib,
        ),
        Number(float(int(count)), "integer", count - slack, count + slack),
        Message("{gib} GiB divided by {each}.", gib=gib, each=units.quantity(each, "byte")),
    )


def ran_at_once(facts: Facts, draw: Draw) -> Question:
    """Return the question for the number of instances that answered."""
    target = draw.choice(facts.targets("density", "answering"))
    figure = facts.figure("density", target, "answering")
    return Question(
        "ran-at-once",
        Message(
            "How many instances of {target} ran and answered when this run had filled the host?",
            target=facts.label(target),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def order_by_memory(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of targets by memory for each instance."""
    measured = facts.targets("density", _METRIC, least=2)
    pairs = [(name, facts.median("density", name, _METRIC)) for name in measured]
    kept = told_apart(pairs)
    if len(kept) < 2:
        raise LeftOut(Message("The targets of this run take the same memory."))
    chosen = {kept[0][0], kept[-1][0], *draw.some([name for name, _ in kept[1:-1]], 2)}
    kept = [each for each in kept if each[0] in chosen]
    return Question(
        "order-by-memory",
        Message("Put these in order by the memory of one more instance, the least first."),
        telling.ordering(draw, [facts.label(name) for name, _ in kept]),
        telling.values_told([(facts.label(name), value) for name, value in kept], "byte"),
    )


def two_measures(facts: Facts, draw: Draw) -> Question:
    """Return the question for why two measures of memory differ."""
    facts.figure("density", "container", "memory-per-instance-pss")
    available = facts.median("density", "container", _METRIC)
    pss = facts.median("density", "container", "memory-per-instance-pss")
    if pss <= 0:
        raise LeftOut(Message("Memory of one more container was not measurable in this run."))
    if available < 1.5 * pss:
        raise LeftOut(Message("Both measures of memory agree in this run."))
    return Question(
        "two-measures",
        Message(
            "A container lowers the available memory by {times} times the PSS of its processes."
            " What is the rest?",
            times=units.quantity(available / pss, "integer"),
        ),
        Choice.of(
            draw,
            Message("Memory of the kernel: cgroups, namespaces, mounts, stacks."),
            (Message("Pages that containers share with each other."),
             Message("PSS has its part of shared pages already.")),
            (Message("The image, which each container loads into memory anew."),
             Message("Containers of one image share its files in the page cache.")),
        ),
        Message("PSS counts pages of processes; the kernel's own structures belong to no process."),
    )  # fmt: skip


def machine_for_containers(facts: Facts, draw: Draw) -> Question:
    """Return the question for how many containers take the memory of one machine."""
    machine = draw.choice(facts.machines("density", _METRIC))
    own = facts.median("density", machine, _METRIC)
    each = facts.median("density", "container", _METRIC)
    if each <= 0:
        raise LeftOut(Message("Memory of one more container was not measurable in this run."))
    ratio = own / each
    return Question(
        "machine-for-containers",
        Message(
            "How many times the memory of a container does an instance of {machine} take?",
            machine=facts.label(machine),
        ),
        Number.sampled(ratio, "ratio", ratio * 0.97, ratio * 1.03),
        telling.values_told(
            [(facts.label(machine), own), (facts.label("container"), each)], "byte"
        ),
    )


QUESTIONS = (
    memory_of_one_more,
    fit_in_memory,
    ran_at_once,
    order_by_memory,
    two_measures,
    machine_for_containers,
)
