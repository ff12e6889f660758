"""The containers-vs-VMs table that people are taught, each claim against what was measured.

The claims are those of an introductory text on containers of 2022: the four rows of its table, and
the numbered statements around it. Each is bound to a measure and to a judge.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.analysis import provenance, summary
from lab.calibration import text
from lab.claims import finding as judging
from lab.claims.evidence import Evidence
from lab.claims.finding import COLOURS
from lab.claims.judges import density as many
from lab.claims.judges import isolation as within
from lab.claims.judges import startup
from lab.claims.judges.startup import NEAR
from lab.units import UNKNOWN, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from lab.claims.finding import Verdict
    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said, where in the text (`source`: row or number), how it is measured, who judges."""

    source: str
    text: str
    measure: str
    judge: judging.Judge


@dataclass(frozen=True, slots=True)
class Row:
    """A claim beside what was measured. `measured`, `interval` and `n` have a line a figure."""

    source: str
    claim: str
    measure: str
    measured: tuple[str, ...]
    interval: tuple[str, ...]
    n: tuple[str, ...]
    verdict: Verdict
    reason: str


_NONE = "none in this run"
TABLE = (
    Claim(
        "startup",
        "container: seconds",
        "request → ready, each engine that is here; 1 s to 60 s",
        startup.container_starts(1, 60),
    ),
    Claim(
        "startup",
        "virtual machine: minutes",
        "request → default target of `vm`; 60 s to 1 h",
        startup.machine_boots(60, 3600),
    ),
    Claim(
        "disk",
        "container: usually MB",
        "allocated bytes of the image of `container`; 1 MB to 1 GB",
        startup.image_takes("container", 1e6, 1e9),
    ),
    Claim(
        "disk",
        "virtual machine: usually GB",
        "allocated bytes of disk, kernel and initramfs of `vm`; 1 GB to 1 TB",
        startup.image_takes("vm", 1e9, 1e12),
    ),
    Claim(
        "performance",
        "container: close to native",
        f"time of fixed work, `container` / `native`; every workload within {NEAR:.2f} ×, by"
        " intervals that hold together in 95 % of runs",
        startup.container_near_native,
    ),
    Claim(
        "performance",
        "virtual machine: weak",
        f"time of fixed work, `vm` / `native`; beyond {NEAR:.2f} × in the geometric mean",
        startup.machine_is_slower("native", NEAR),
    ),
    Claim(
        "instances",
        "container: thousands on one host",
        "instances that ran at once and answered; 1,000 or more",
        many.thousands_of_containers,
    ),
    Claim(
        "instances",
        "virtual machine: tens on one host",
        "instances that ran at once and answered when a limit of the host was met; 10 to 99",
        many.tens_of_machines,
    ),
)
STATEMENTS = (
    Claim(
        "1",
        "a KVM machine boots in perhaps 20 s",
        "request → default target of `vm`; 10 s to 40 s",
        startup.machine_boots(10, 40),
    ),
    Claim(
        "1",
        "a container starts in 1 s",
        "request → ready, each engine that is here; 0.5 s to 2 s",
        startup.container_starts(0.5, 2),
    ),
    Claim(
        "2",
        "where at most 10 VMs start, over 100 containers do",
        "memory of one more idle instance, machine / `container`; 10 × or more",
        many.machine_takes_memory(10),
    ),
    Claim(
        "3, 8",
        "a KVM guest runs programs more slowly than a container",
        "time of fixed work, `vm` / `container`; beyond 1 × in the geometric mean",
        startup.machine_is_slower("container", 1),
    ),
    Claim(
        "3",
        "a KVM guest with little CPU, memory and disk is slow",
        "two processes' work, one CPU and 256 MiB / every CPU and 1 GiB of `vm`; beyond 1.10 ×",
        within.small_machine_is_slow,
    ),
    Claim(
        "4",
        "past some number of VMs, the guests' systems alone use up the host",
        "memory of one more idle machine beyond that of one more idle container",
        many.guests_fill_the_host,
    ),
    Claim(
        "5",
        "containers need no virtualization support of the CPU",
        "startup of `container` on a host whose KVM runs no Linux guest",
        startup.containers_without_kvm,
    ),
    Claim(
        "5",
        "KVM needs virtualization support of the CPU",
        "whether the CPU shows vmx or svm, and whether a Linux guest ran under KVM",
        within.kvm_needs_the_cpu,
    ),
    Claim(
        "6",
        "a container runs on the host's kernel, a VM has its own and a complete system",
        "the kernel's boot id seen from inside against the host's; processes seen from inside",
        within.kernels_differ,
    ),
    Claim(
        "7",
        "containers are isolated from the host and from each other",
        "a neighbour's processes seen from inside: none; a victim's work beside a neighbour's"
        " noise / alone stands beside it",
        within.neighbours_are_hidden,
    ),
    Claim(
        "7",
        "each container can be given resource limits",
        "CPU, memory and processes that a small `container` gets; at most 10 % beyond what was"
        " asked",
        within.limits_hold,
    ),
    Claim(
        "8",
        "containers use file storage better",
        "image on disk, as shipped, and one more instance, `vm` / `container`; all beyond 1 ×",
        startup.machine_takes_more_disk,
    ),
    Claim(
        "8",
        "containers use memory better",
        "memory of one more idle instance, machine / `container`; beyond 1 ×",
        many.machine_takes_memory(1),
    ),
    Claim(
        "9",
        "an image makes development, test and production the same",
        "digest of the programs seen from inside, in every target; the image's own",
        within.image_is_the_same,
    ),
    Claim(
        "10",
        "images are built from a Dockerfile and shared through a registry",
        _NONE,
        judging.not_measured("the lab times neither a build nor a registry yet"),
    ),
    Claim(
        "10",
        "containers are started, stopped and deleted many at a time",
        "the most that were asked for at once, their rate; seconds to stop a host full of them",
        within.many_at_a_time,
    ),
    Claim(
        "11",
        "moving to another platform is easier with containers",
        "bytes as shipped, and seconds to copy and unpack them, `vm` / `container`; both beyond"
        " 1 ×",
        within.moves_more_easily,
    ),
    Claim(
        "12",
        "container clusters carry a company's peak load",
        "hosts for 10,000 instances, by first-fit decreasing over what one more takes: a"
        " projection",
        within.clusters_carry_peaks,
    ),
)


def examine(run: Run, claims: Iterable[Claim] = (*TABLE, *STATEMENTS)) -> list[Row]:
    """What the run says to each claim."""
    evidence = Evidence(run)
    return [_row(claim, claim.judge(evidence)) for claim in claims]


def markdown(run: Run) -> str:
    """The table, the statements, what they were measured by, where and how."""
    statements = examine(run, STATEMENTS)
    lines = [
        *_markdown_table("the table says", examine(run, TABLE)),
        "",
        *_markdown_table("the text says", [row for row in statements if row.measured]),
        "",
        *(f"*{tables.literal(line)}*\n" for line in conditions(run)),
    ]
    silent = [row for row in statements if not row.measured]
    if silent:
        lines.append("Statements on which this run has no figure:\n")
        lines += [f"- {row.source}: {row.claim}: {tables.literal(row.reason)}." for row in silent]
    return "\n".join(lines).rstrip() + "\n"


def document(run: Run) -> dict[str, Any]:
    """Return the findings as one JSON document."""
    return {
        **provenance.document(run),
        "table": [asdict(row) for row in examine(run, TABLE)],
        "statements": [asdict(row) for row in examine(run, STATEMENTS)],
        "conditions": conditions(run),
    }


def rules(run: Run) -> str:
    """How each claim was measured and judged, as a Markdown table."""
    return "\n".join(
        [
            "| | claim | measure, and where it has to lie |",
            "|---|---|---|",
            *(
                f"| {row.source} | {row.claim} | {row.measure} |"
                for row in examine(run)
                if row.measure != _NONE
            ),
        ]
    )


def conditions(run: Run) -> list[str]:
    """What no figure goes without: where and how it was measured, and why not under KVM."""
    lines = [f"Measured on {provenance.line(run)}."]
    if run.settings.get("accelerator") == "tcg":
        reason = str(run.host.get("kvm", {}).get("reason") or "not recorded").rstrip(".")
        lines.append(f"The machines were emulated (TCG). KVM on this host: {reason}.")
    lines.append(
        "Figures are medians; n counts rounds, in which every target had its turn in random order,"
        " or the points of one filling of the host. Intervals are of this run: another hour's"
        " figures differ by more, and only several runs tell by how much."
    )
    calibrated = text.sentence(run.settings.get("calibration"))
    beside = [provenance.disturbances(run), _dependences(run)]
    return [*lines, *filter(None, beside), calibrated]


def _dependences(run: Run) -> str:
    """How many figures have rounds that resemble the one before, in a sentence; empty if none."""
    found = [
        each.dependence
        for each in summary.measurements(run)
        if not summary.metric(run, each.experiment, each.metric).explains
    ]
    dependent = [dependence for dependence in found if dependence > 1]
    if not dependent:
        return ""
    return (
        f"In {len(dependent)} of {len(found)} figures, rounds resemble the one before; their"
        f" intervals are up to {quantity(math.sqrt(max(dependent)), 'ratio')} as wide for it."
    )


def show(run: Run, console: Console | None = None) -> None:
    """Print the findings, on standard output unless told otherwise."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    table = Table("", "claim", "measured (95 % interval; n)", "verdict")
    for claims in (TABLE, STATEMENTS):
        for row in examine(run, claims):
            table.add_row(
                row.source,
                row.claim,
                tables.cell(
                    "\n".join(
                        f"{measured} ({interval}; {n})"
                        for measured, interval, n in zip(
                            row.measured, row.interval, row.n, strict=True
                        )
                    )
                    or UNKNOWN
                ),
                Text.assemble(
                    (row.verdict, f"bold {COLOURS[row.verdict]}"), f": {tables.plain(row.reason)}"
                ),
                end_section=True,
            )
    console.print(table)
    for line in conditions(run):
        console.print(line, style="dim", highlight=False, markup=False)


def _row(claim: Claim, finding: judging.Finding) -> Row:
    return Row(
        source=claim.source,
        claim=claim.text,
        measure=claim.measure,
        measured=tuple(figure.value for figure in finding.figures),
        interval=tuple(figure.interval for figure in finding.figures),
        n=tuple(figure.n for figure in finding.figures),
        verdict=finding.verdict,
        reason=finding.reason,
    )


def _markdown_table(heading: str, rows: list[Row]) -> list[str]:
    return [
        f"| | {heading} | measured | 95 % interval | n | verdict |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.source} | {row.claim} | {_cell(row.measured)} | {_cell(row.interval)} |"
            f" {_cell(row.n)} | **{row.verdict}**: {tables.literal(row.reason)} |"
            for row in rows
        ),
    ]


def _cell(lines: tuple[str, ...]) -> str:
    return "<br>".join(map(tables.literal, lines)) or UNKNOWN
