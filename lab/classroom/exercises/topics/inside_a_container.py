"""Questions of the notebook that makes a container by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import one_above, same_moments
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import LeftOut, Question
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts

# What the kernel isolates, and the namespace that does it. (namespaces(7))
_SEEN = (
    ("pid", Message("A process in the container has the number 1.")),
    ("uts", Message("The container has a host name of its own.")),
    ("mnt", Message("A file system that is mounted in the container is not seen on the host.")),
    ("net", Message("The container has a loopback device of its own.")),
    ("ipc", Message("Shared memory of the host's processes is not seen in the container.")),
    ("user", Message("Root in the container is an ordinary user on the host.")),
)
# The parts of a start, in the order of every container runtime.
_STAGES = ("clone", "overlay", "pivot", "exec")


def own_namespace(facts: Facts, draw: Draw) -> Question:
    """Return the question for the namespace that isolates something."""
    facts.containers("startup", "ready")
    chosen = draw.some(_SEEN, 4)
    name, seen = chosen[0]
    return Question(
        "own-namespace",
        Message("{seen} Which namespace does that?", seen=seen),
        Choice.of(draw, telling.named(name), *(telling.named(other) for other, _ in chosen[1:])),
        Message("namespaces(7): it is the namespace '{name}'.", name=name),
    )


def order_of_steps(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of the steps of a start."""
    steps = facts.steps("container", least=4)
    named = [step for step in steps if step in _STAGES]
    others = [step for step in steps if step not in named]
    chosen = named if len(named) >= 3 else draw.some(others, 4)
    extra = draw.some([step for step in others if step not in chosen], 1)
    chosen = sorted({*chosen, *extra}, key=lambda step: steps[step][0])
    begins = [steps[step][0] for step in chosen]
    return Question(
        "order-of-steps",
        Message("Put these steps of a container's start in the order in which they begin."),
        telling.ordering(draw, [telling.step(step) for step in chosen], same_moments(begins)),
        telling.values_told([(telling.step(step), steps[step][0]) for step in chosen], "second"),
    )


def longest_step(facts: Facts, draw: Draw) -> Question:
    """Return the question for the step that takes longest, of four."""
    steps = facts.steps("container", least=4)
    chosen = one_above(draw, {step: length for step, (_, length) in steps.items()}, 1.1)
    return Question(
        "longest-step",
        Message("Which of these steps of a container's start takes longest?"),
        Choice.of(draw, *(telling.step(step) for step in chosen)),
        telling.values_told([(telling.step(step), steps[step][1]) for step in chosen], "second"),
    )


def own_kernel(facts: Facts, draw: Draw) -> Question:
    """Return the question for whose kernel a container runs on."""
    target = draw.choice(
        [
            name
            for name in facts.containers("footprint", "image-on-disk")
            if facts.has("footprint", name, "own-kernel")
        ]
        or ["container"]
    )
    own = facts.figure("footprint", target, "own-kernel").median
    host = Message("The host's kernel.")
    if own:
        raise LeftOut(
            Message("In this run even {target} has its own kernel.", target=facts.label(target))
        )
    return Question(
        "own-kernel",
        Message("On which kernel do the processes in {target} run?", target=facts.label(target)),
        Choice.of(
            draw, host,
            (Message("A kernel of their own, which the image brings."),
             Message("Compare `uname -r` inside and outside.")),
            (Message("A kernel that the container runtime emulates."),
             Message("A container's system calls go straight into the kernel.")),
        ),
        Message("The run found no kernel of its own in it: a container is a process of the host."),
    )  # fmt: skip


def granted(facts: Facts, draw: Draw) -> Question:
    """Return the question for what a limited container got."""
    kinds = [
        metric
        for metric in ("memory-granted", "cpus-granted", "processes-granted")
        if facts.has("isolation", "container", metric)
    ]
    if not kinds:
        facts.figure("isolation", "container", "memory-granted")
    figure = facts.figure("isolation", "container", draw.choice(kinds))
    texts = {
        "memory-granted": Message(
            "A container had a memory limit and used as much as it could. How much did it get?"
        ),
        "cpus-granted": Message(
            "A container was limited to half a CPU and always busy. How many CPUs did it get?"
        ),
        "processes-granted": Message(
            "A container had a limit on processes and made as many as it could. How many did it"
            " get?"
        ),
    }
    value = figure.median or 0.0
    return Question(
        "granted",
        texts[figure.metric],
        Number.sampled(value, figure.unit, figure.low, figure.high),
        Message(
            "The cgroup held it to {value} (median, n = {n}).",
            value=units.quantity(value, figure.unit),
            n=figure.n,
        ),
    )


QUESTIONS = (own_namespace, own_kernel, order_of_steps, longest_step, granted)
