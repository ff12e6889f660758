"""Questions of the notebook that boots a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises import telling
from lab.classroom.exercises.facts import same_moments
from lab.classroom.exercises.letters import Choice
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.question import Question, sentences
from lab.language.message import Message

if TYPE_CHECKING:
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts

_RESTORED = ("vm-restore", "microvm-restore")  # their images hold the state of a running machine


def order_of_boot(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of a machine's boot."""
    machine = draw.choice(facts.with_steps(facts.machines("startup", "ready"), 4)[:2])
    steps = facts.steps(machine, least=4)
    chosen = sorted(draw.some(steps, 5), key=lambda step: steps[step][0])
    close = same_moments([steps[step][0] for step in chosen])
    return Question(
        "order-of-boot",
        Message(
            "Put these steps of a start of {machine} in the order in which they begin.",
            machine=facts.label(machine),
        ),
        telling.ordering(draw, [telling.step(step) for step in chosen], close),
        telling.values_told([(telling.step(step), steps[step][0]) for step in chosen], "second"),
    )


def time_of_step(facts: Facts, draw: Draw) -> Question:
    """Return the question for the length of one step of a boot."""
    machine = facts.with_steps(facts.machines("startup", "ready"), 3)[0]
    step = draw.choice(list(facts.steps(machine, least=3)))
    figure = facts.figure("startup", machine, f"step: {step}")
    return Question(
        "time-of-step",
        Message(
            "How long does the step '{step}' take in a start of {machine}?",
            step=telling.step(step),
            machine=facts.label(machine),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def milestone(facts: Facts, draw: Draw) -> Question:
    """Return the question for a milestone of a machine's start."""
    machine = draw.choice(facts.machines("startup", "first-instruction"))
    figure = facts.figure("startup", machine, "first-instruction")
    return Question(
        "milestone",
        Message(
            "When does the workload in {machine} run its first instruction, counted from the"
            " request?",
            machine=facts.label(machine),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def what_comes_on_top(facts: Facts, draw: Draw) -> Question:
    """Return the question for what a machine's disk has more than a container's image."""
    machine = draw.choice(facts.machines("footprint", "image-on-disk"))
    own = facts.median("footprint", machine, "image-on-disk")
    less = facts.median("footprint", "container", "image-on-disk")
    return Question(
        "what-comes-on-top",
        Message(
            "Container and {machine} have the same files. By how much is the machine's disk larger"
            " (or smaller, with a minus sign) than the container's image, unpacked?",
            machine=facts.label(machine),
        ),
        Number(own - less, "byte", *_around(own - less), signed=True).allowing(
            telling.as_shown(own, "byte") - telling.as_shown(less, "byte")
        ),
        sentences(
            Message(
                "The run has {machine} and {container}.",
                machine=units.quantity(own, "byte"),
                container=units.quantity(less, "byte"),
            ),
            _difference(machine, own - less),
        ),
    )


def _difference(machine: str, difference: float) -> Message:
    """Return what a machine's disk has more than a container's image."""
    if difference < 0:
        return Message("The machine's file system stores the same files in less space.")
    if machine in _RESTORED:
        return Message(
            "The difference is a kernel, what a file system needs for itself, and the saved state"
            " of the machine, its memory above all."
        )
    return Message("The difference is a kernel and what a file system needs for itself.")


def who_runs_instructions(facts: Facts, draw: Draw) -> Question:
    """Return the question for what executes a guest's instructions in this run."""
    facts.machines("startup", "ready")
    translated = Message("QEMU translates each of them to instructions of the host (TCG).")
    directly = Message("The processor runs them directly, in a mode for guests (KVM).")
    kernel = Message("The host's kernel runs them as system calls of a process.")
    right, wrong = (translated, directly) if facts.emulated else (directly, translated)
    return Question(
        "who-runs-instructions",
        Message("What ran the instructions of the machines in this run?"),
        Choice.of(
            draw, right,
            (wrong, Message("Look at the line below the run's name: accelerator.")),
            (kernel, Message("That is a container: a machine has a kernel of its own.")),
        ),
        Message("The run's accelerator is '{name}'.",
                name="tcg" if facts.emulated else "kvm"),
    )  # fmt: skip


def _around(value: float) -> tuple[float, float]:
    """Return a range that allows for two figures with three digits each."""
    around = max(abs(value) * 0.03, 1.5 * (1 << 20))
    return value - around, value + around


QUESTIONS = (order_of_boot, time_of_step, milestone, what_comes_on_top, who_runs_instructions)
