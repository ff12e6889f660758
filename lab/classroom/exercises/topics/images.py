"""Questions of the notebook about images and disks."""

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


def image_size(facts: Facts, draw: Draw) -> Question:
    """Return the question for the size of an image, unpacked."""
    target = draw.choice(facts.targets("footprint", "image-on-disk"))
    figure = facts.figure("footprint", target, "image-on-disk")
    return Question(
        "image-size",
        Message(
            "How much disk space does the unpacked image of {target} take?",
            target=facts.label(target),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def compression(facts: Facts, draw: Draw) -> Question:
    """Return the question for the share that is left after compression."""
    target = draw.choice(facts.targets("footprint", "image-compressed"))
    small = facts.median("footprint", target, "image-compressed")
    whole = facts.median("footprint", target, "image-on-disk")
    if not whole:
        raise LeftOut(Message("The image of {target} takes no space.", target=facts.label(target)))
    return Question(
        "compression",
        Message(
            "What percentage of its unpacked size does the image of {target} have when it is"
            " compressed?",
            target=facts.label(target),
        ),
        Number.sampled(small / whole, "share", small / whole * 0.98, small / whole * 1.02),
        Message(
            "{small} of {whole} are {share}.",
            small=units.quantity(small, "byte"),
            whole=units.quantity(whole, "byte"),
            share=units.share(small / whole),
        ),
    )


def one_more_instance(facts: Facts, draw: Draw) -> Question:
    """Return the question for the disk space of one more instance."""
    target = draw.choice(facts.targets("footprint", "instance-disk"))
    figure = facts.figure("footprint", target, "instance-disk")
    return Question(
        "one-more-instance",
        Message(
            "How much disk space does one more instance of {target} take, when the image is there?",
            target=facts.label(target),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


def what_is_shared(facts: Facts, draw: Draw) -> Question:
    """Return the question for why one more instance is small."""
    containers = facts.containers("footprint", "instance-disk")
    machines = facts.machines("footprint", "instance-disk")
    is_machine = bool(draw.below(2))
    target = machines[0] if is_machine else containers[0]
    overlay = Message(
        "An overlay: the image's files stay shared, changes go into a layer of its own."
    )
    clone = Message("A thin clone: the disk holds only the blocks that differ from the image.")
    copied = Message("Its files are copied, but compressed.")
    none = Message("It has no disk: everything is in memory.")
    right, other = (clone, overlay) if is_machine else (overlay, clone)
    return Question(
        "what-is-shared",
        Message(
            "Why does one more instance of {target} take so little disk space?",
            target=facts.label(target),
        ),
        Choice.of(
            draw, right,
            (other, Message("That is how the other of the two, machine or container, shares.")),
            (copied, Message("Compare the size with that of the compressed image.")),
            none,
        ),
        telling.told(facts, facts.figure("footprint", target, "instance-disk")),
    )  # fmt: skip


def order_of_disks(facts: Facts, draw: Draw) -> Question:
    """Return the question for the order of targets by the disk space of one more instance."""
    measured = facts.targets("footprint", "instance-disk", least=3)
    kept = told_apart(
        [(name, facts.median("footprint", name, "instance-disk")) for name in measured]
    )
    apart = kept[:1]
    for each in kept[1:]:
        if each[1] > 1.5 * apart[-1][1]:
            apart.append(each)
    if len(apart) < 3:
        raise LeftOut(Message("The instances of this run take too similar disk space."))
    names = {name for name, _ in draw.some(apart, 4)}
    apart = [each for each in apart if each[0] in names]
    return Question(
        "order-of-disks",
        Message("Put these in order by the disk space of one more instance, the least first."),
        telling.ordering(draw, [facts.label(name) for name, _ in apart]),
        telling.values_told([(facts.label(name), value) for name, value in apart], "byte"),
    )


def changed_layer(facts: Facts, draw: Draw) -> Question:
    """Return the question for what crosses the wire when one layer has changed."""
    target = draw.choice(facts.targets("delivery", "wire-changed"))
    figure = facts.figure("delivery", target, "wire-changed")
    return Question(
        "changed-layer",
        Message(
            "{target} has pulled an image, of which one layer then changes. How many bytes does the"
            " next pull fetch?",
            target=facts.label(target),
        ),
        telling.key(figure),
        telling.told(facts, figure),
    )


QUESTIONS = (
    image_size,
    compression,
    one_more_instance,
    what_is_shared,
    order_of_disks,
    changed_layer,
)
