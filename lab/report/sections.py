"""The findings of the page: for each a question, its text, its figures and its tables.

The notebook of the report shows the same figures by the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.analysis import provenance
from lab.language.message import Message
from lab.report import delivery, isolation_and_density, measurement_tables, overview, startup

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.report.data_table import Table
    from lab.report.picture import Picture
    from lab.results.run_folder import Run

_STARTS = ("first-instruction", "ready", "userspace", "gone")
_BURST = ("latency-p50", "latency-p95", "started-per-second")
_SIZES = ("image-compressed", "image-on-disk", "instance-disk")
_IDLE = ("pss", "cgroup-memory", "page-cache-again", "idle-cpu", "idle-wake-ups")
_FILLED = ("memory-per-instance-available", "memory-per-instance-pss", "running", "answering",
           "start-latency", "teardown")  # fmt: skip
_LOADED = ("loaded-answers", "loaded-answer-p50", "loaded-answer-p99")
_DELIVERY = ("pull-cold", "ready", "pull-changed", "pull-warm", "build-cold", "build-changed",
             "build-cached", "push", "save", "load", "disk-copy", "disk-convert", "wire-cold",
             "wire-changed", "wire-push", "stored")  # fmt: skip
_NOISES = ("cpu", "memory", "forks", "disk", "network")
_ISOLATION = tuple(f"beside-{noise}{limited}" for noise in _NOISES for limited in ("", "-limited"))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a section: its text, with a figure and a table where it has them.

    A figure is drawn for a width in inches.
    """

    text: tuple[Message, ...] = ()
    picture: Callable[[Run, float], Picture] | None = None
    table: Callable[[Run], Table | None] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page on an experiment. The anchor is the same in every language."""

    anchor: str
    title: Message
    experiment: str
    parts: tuple[Part, ...]
    has_calculator: bool = field(default=False)


def measured(run: Run) -> list[Section]:
    """Return the sections on experiments that the run has figures of."""
    known = provenance.measured(run)
    return [section for section in SECTIONS if section.experiment in known]


SECTIONS = (
    Section(
        "starting",
        Message("How fast does one start?"),
        "startup",
        (
            Part(
                (
                    Message(
                        "A start is [requested](#term-request) at time zero, by the host's"
                        " monotonic clock. At the [first instruction](#term-first-instruction) the"
                        " program inside runs; it is [ready](#term-ready) when a server inside has"
                        " answered a request; a machine is at [userspace](#term-userspace) when"
                        " its init has reached the default target."
                    ),
                    Message(
                        "A container is a process that the kernel starts with its own view of the"
                        " system. A machine first runs firmware or a loader, then a kernel, then"
                        " an init. The scale is logarithmic: each grid line is ten times the one"
                        " before."
                    ),
                ),
                overview.startup,
                lambda run: measurement_tables.medians(run, "startup", _STARTS),
            ),
            Part(
                (
                    Message(
                        "**Where the time goes.** For a container the steps are system calls. For"
                        " a machine they come from the logs of its kernel and of systemd,"
                        " converted to the host's clock. Each chart has its own scale."
                    ),
                ),
                startup.waterfall,
            ),
        ),
    ),
    Section(
        "burst",
        Message("How fast do many start?"),
        "burst",
        (
            Part(
                (
                    Message(
                        "1, 2, 4, … instances are requested one after the other, as fast as the"
                        " target accepts them. Times count from the first request to the first"
                        " instruction of half of the instances (line) and of 95 % of them (shade)."
                    ),
                ),
                startup.burst,
                lambda run: measurement_tables.curve(
                    run, "burst", _BURST, Message("requested at once")
                ),
            ),
        ),
    ),
    Section(
        "disk",
        Message("What does it take on disk?"),
        "footprint",
        (
            Part(
                (
                    Message(
                        "Bytes are allocated bytes, not the apparent sizes of files. A machine"
                        " ships the same content as a container, plus a kernel and the structures"
                        " of its file system."
                    ),
                    Message(
                        "One more instance shares all of that with the first: a container by an"
                        " [overlay](#term-overlay), a machine by a [thin clone](#term-thin-clone)."
                        " Only new data takes space."
                    ),
                ),
                overview.footprint,
                lambda run: measurement_tables.medians(run, "footprint", _SIZES),
            ),
        ),
    ),
    Section(
        "idle",
        Message("What does an idle instance take?"),
        "footprint",
        (
            Part(
                (
                    Message(
                        "[PSS](#term-pss) counts every process that runs for the instance: the"
                        " program and its helpers, up to a whole virtual machine monitor. The"
                        " figure of the [cgroup](#term-cgroup) adds memory that the kernel uses"
                        " for it."
                    ),
                    Message(
                        "Two instances read the same files. Page cache that the second one does"
                        " not share with the first is memory that it adds."
                    ),
                ),
                isolation_and_density.idle,
                lambda run: measurement_tables.medians(run, "footprint", _IDLE),
            ),
        ),
    ),
    Section(
        "density",
        Message("How many fit on a host?"),
        "density",
        (
            Part(
                (
                    Message(
                        "Instances are started one after the other until the planned number runs"
                        " or the host ends it. The upper chart shows how long each start took: a"
                        " rising line means that the host gets slower as it fills."
                    ),
                    Message(
                        "The lower chart shows by how much the host's available memory decreased."
                        " Its slope is the memory of one more instance, and includes everything:"
                        " the program, structures of the kernel, and the whole guest of a machine."
                    ),
                ),
                overview.density,
                lambda run: measurement_tables.medians(run, "density", _FILLED),
            ),
            Part(
                (
                    Message(
                        "**Do they still answer?** As the host fills, up to fifty of the running"
                        " instances are asked for an answer at every step. At the end, all of them"
                        " are asked continuously."
                    ),
                ),
                isolation_and_density.answers,
                lambda run: measurement_tables.medians(run, "density", _LOADED),
            ),
        ),
        has_calculator=True,
    ),
    Section(
        "performance",
        Message("How close to native does it run?"),
        "performance",
        (
            Part(
                (
                    Message(
                        "Each workload is the same program on the same files, timed inside. A rate"
                        " counts as the cost of a unit of work, so right is slower for all"
                        " workloads. 1 × is a plain process on the host."
                    ),
                    Message(
                        "A container adds work on the way into the kernel, so work that stays in"
                        " user space should not be slower. A machine under KVM runs such work"
                        " directly on the processor, and is slower where it leaves the guest:"
                        " interrupts, page tables, disk and network. In an"
                        " [emulated](#term-emulated) machine every instruction is translated,"
                        " which says nothing about KVM."
                    ),
                ),
                overview.near_native,
                lambda run: measurement_tables.ratios_to(run, "performance", "native"),
            ),
        ),
    ),
    Section(
        "delivery",
        Message("How fast is an image delivered?"),
        "delivery",
        (
            Part(
                (
                    Message(
                        "Images are pulled from a registry on loopback into empty storage, again,"
                        " and with one layer changed; built from a Dockerfile; pushed to a"
                        " registry that lacks them; saved and loaded."
                    ),
                    Message(
                        "`container` is our own tool, `runc` stands for skopeo with umoci, which"
                        " make its bundles. A machine is fetched from the same registry as its"
                        " disk, kernel and initramfs."
                    ),
                ),
                delivery.operations,
                lambda run: measurement_tables.medians(run, "delivery", _DELIVERY),
            ),
        ),
    ),
    Section(
        "neighbours",
        Message("What does a noisy neighbour cost?"),
        "isolation",
        (
            Part(
                (
                    Message(
                        "A victim does fixed work alone, and then beside a neighbour of the same"
                        " kind that makes noise of one sort. A limit on the neighbour protects the"
                        " victim where both need the same resource. A machine's neighbour is"
                        " always limited, by its size."
                    ),
                ),
                isolation_and_density.isolation,
                lambda run: measurement_tables.medians(run, "isolation", _ISOLATION),
            ),
        ),
    ),
)
