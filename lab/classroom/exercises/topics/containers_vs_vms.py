"""Questions of the notebook that compares the claims with a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import ties, told_apart
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.question import LeftOut, Question
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts


def time_until_ready(facts: Facts, draw: Draw) -> Question:
    """Return the question for the time until a container answers."""
    target = draw.choice(facts.containers("startup", "ready"))
    figure = facts.figure("startup", target, "ready")
    return Question(
        "time-until-ready",
        Message(
            "How long does {target} take from the request until it is ready? Give the median.",
            target=facts.label(target),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def machine_and_container(facts: Facts, draw: Draw) -> Question:
    """Return the question for the ratio of a machine's start to a container's."""
    facts.figure("startup", "container", "ready")
    machine = draw.choice(facts.machines("startup", "ready")[:2])
    ratio = facts.ratio("startup", "ready", machine, "container")
    return Question(
        "machine-and-container",
        Message(
            "How many times as long as the container does {machine} take until it is ready?",
            machine=facts.label(machine),
        ),
        telling.ratio_key(ratio),
        telling.told_ratio(facts, ratio),
    )


def order_of_starts(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order in which targets are ready."""
    measured = facts.targets("startup", "ready", least=3)
    chosen = draw.some(measured, 5)
    kept = told_apart([(name, facts.median("startup", name, "ready")) for name in chosen])[:4]
    if len(kept) < 3:
        kept = told_apart([(name, facts.median("startup", name, "ready")) for name in measured])
        kept = kept[:4]
    if len(kept) < 3:
        raise LeftOut(Message("The targets of this run start too much alike to be put in order."))
    figures = [facts.figure("startup", name, "ready") for name, _ in kept]
    return Question(
        "order-of-starts",
        Message("Put these in the order in which they are ready, the fastest first."),
        telling.ordering(draw, [facts.label(name) for name, _ in kept], ties(figures)),
        telling.values_told([(facts.label(name), value) for name, value in kept], "second"),
    )


def size_on_disk(facts: Facts, draw: Draw) -> Question:
    """Return the question for the size of an image."""
    machines = facts.machines("footprint", "image-on-disk")
    containers = facts.containers("footprint", "image-on-disk")
    target = draw.choice([machines[0], containers[0]])
    metric = draw.choice(["image-on-disk", "image-compressed"])
    figure = facts.figure("footprint", target, metric)
    on_disk = Message("How much disk space does the image of {target} take, unpacked?",
                      target=facts.label(target))  # fmt: skip
    compressed = Message("How large is the image of {target}, compressed as it is shipped?",
                         target=facts.label(target))  # fmt: skip
    return Question(
        "size-on-disk",
        on_disk if metric == "image-on-disk" else compressed,
        telling.key(figure),
        telling.told(facts, figure),
    )


def instances_at_once(facts: Facts, draw: Draw) -> Question:
    """Return the question for the number of instances that ran at once."""
    target = draw.choice(facts.targets("density", "running"))
    figure = facts.figure("density", target, "running")
    return Question(
        "instances-at-once",
        Message("How many instances of {target} ran at once?", target=facts.label(target)),
        telling.key(figure),
        telling.told(facts, figure),
    )


def emulated_machines(facts: Facts, draw: Draw) -> Question:
    """Return the question for what this run says about machines under KVM."""
    machine = draw.choice(facts.machines("startup", "ready"))
    upper = Message("Only an upper bound: machines under KVM start faster than these.")
    nothing_less = Message("It is the time of a machine under KVM.")
    slower = Message("Only a lower bound: machines under KVM start more slowly than these.")
    shown = units.quantity(facts.median("startup", machine, "ready"), "second")
    text = Message(
        "{machine} is ready after {time} in this run. What does that say about a machine under"
        " KVM?",
        machine=facts.label(machine),
        time=shown,
    )
    if facts.emulated:
        return Question(
            "emulated-machines", text,
            Choice.of(
                draw, upper,
                (nothing_less, Message("Look at the label: were these machines under KVM?")),
                (slower, Message("Which is slower, emulation or KVM?")),
            ),
            Message("The machines of this run were emulated: TCG translated every instruction."),
        )  # fmt: skip
    return Question(
        "emulated-machines", text,
        Choice.of(draw, nothing_less, upper, slower),
        Message("The machines of this run ran under KVM."),
    )  # fmt: skip


QUESTIONS = (
    time_until_ready,
    machine_and_container,
    order_of_starts,
    size_on_disk,
    instances_at_once,
    emulated_machines,
)
