"""The claims: each bound to a measure and to a judge.

They are those of an introductory text on containers of 2022: the rows of its table that compares
containers with virtual machines, and the numbered statements around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from lab.claims import finding
from lab.claims.finding import Range
from lab.claims.judges import (
    delivery,
    density,
    isolation,
    performance,
    scaling,
    size,
    startup,
)
from lab.claims.judges.performance import NEAR
from lab.language.message import Message


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the text: its row or number (`source`), its measure and its judge.

    `claimed` is the range of the figure if the claim is true, for claims of a single number.
    """

    source: str
    text: str
    measure: str
    judge: finding.Judge
    claimed: Range | None = None


TABLE = (
    Claim(
        Message("startup"),
        Message("container: seconds"),
        Message("request → ready, each installed engine; 1 s to 60 s"),
        startup.container_starts(1, 60),
        Range(1, 60, "second"),
    ),
    Claim(
        Message("startup"),
        Message("virtual machine: minutes"),
        Message("request → default target of `vm`; 60 s to 1 h"),
        startup.machine_boots(60, 3600),
        Range(60, 3600, "second"),
    ),
    Claim(
        Message("disk"),
        Message("container: usually MB"),
        Message("allocated bytes of the image of `container`; 1 MB to 1 GB"),
        size.image_takes("container", 1e6, 1e9),
        Range(1e6, 1e9, "byte"),
    ),
    Claim(
        Message("disk"),
        Message("virtual machine: usually GB"),
        Message("allocated bytes of disk, kernel and initramfs of `vm`; 1 GB to 1 TB"),
        size.image_takes("vm", 1e9, 1e12),
        Range(1e9, 1e12, "byte"),
    ),
    Claim(
        Message("performance"),
        Message("container: close to native"),
        Message(
            "time of fixed work, `container` / `native`; every workload within {near:.2f} ×, by"
            " intervals that hold simultaneously in 95 % of runs",
            near=NEAR,
        ),
        performance.container_near_native,
        Range(0, NEAR, "ratio"),
    ),
    Claim(
        Message("performance"),
        Message("virtual machine: weak"),
        Message(
            "time of fixed work, `vm` / `native`; above {near:.2f} × in the geometric mean",
            near=NEAR,
        ),
        performance.machine_is_slower("native", NEAR),
        Range(NEAR, inf, "ratio"),
    ),
    Claim(
        Message("instances"),
        Message("container: thousands on one host"),
        Message("instances that ran at once and answered; 1,000 or more"),
        density.thousands_of_containers,
        Range(1000, inf, "integer"),
    ),
    Claim(
        Message("instances"),
        Message("virtual machine: tens on one host"),
        Message("instances that ran at once and answered when the host reached a limit; 10 to 99"),
        density.tens_of_machines,
        Range(10, 100, "integer"),
    ),
)
STATEMENTS = (
    Claim(
        "1",
        Message("a KVM machine boots in perhaps 20 s"),
        Message("request → default target of `vm`; 10 s to 40 s"),
        startup.machine_boots(10, 40),
        Range(10, 40, "second"),
    ),
    Claim(
        "1",
        Message("a container starts in 1 s"),
        Message("request → ready, each installed engine; 0.5 s to 2 s"),
        startup.container_starts(0.5, 2),
        Range(0.5, 2, "second"),
    ),
    Claim(
        "2",
        Message("where at most 10 VMs start, over 100 containers do"),
        Message("memory of one more idle instance, machine / `container`; 10 × or more"),
        size.machine_takes_memory(10),
        Range(10, inf, "ratio"),
    ),
    Claim(
        "3, 8",
        Message("a KVM guest runs programs more slowly than a container"),
        Message("time of fixed work, `vm` / `container`; above 1 × in the geometric mean"),
        performance.machine_is_slower("container", 1),
        Range(1, inf, "ratio"),
    ),
    Claim(
        "3",
        Message("a KVM guest with little CPU, memory and disk is slow"),
        Message(
            "work of two processes, `vm` with one CPU and 256 MiB / with every CPU and 1 GiB;"
            " above 1.10 ×"
        ),
        isolation.small_machine_is_slow,
        Range(1.1, inf, "ratio"),
    ),
    Claim(
        "4",
        Message("past some number of VMs, the guests' systems alone use up the host"),
        Message("memory of one more idle machine, compared with one more idle container; more"),
        density.guests_fill_the_host,
    ),
    Claim(
        "5",
        Message("containers need no virtualization support of the CPU"),
        Message("startup of `container` on a host whose KVM runs no Linux guest"),
        startup.containers_without_kvm,
    ),
    Claim(
        "5",
        Message("KVM needs virtualization support of the CPU"),
        Message("vmx or svm among the CPU's flags, and a Linux guest that ran under KVM"),
        isolation.kvm_needs_the_cpu,
    ),
    Claim(
        "6",
        Message("a container runs on the host's kernel, a VM has its own and a complete system"),
        Message("the kernel's boot id inside, compared with the host's; processes visible inside"),
        isolation.kernels_differ,
    ),
    Claim(
        "7",
        Message("containers are isolated from the host and from each other"),
        Message(
            "a neighbour's processes visible inside: none; also shown: time of a victim's work"
            " beside a noisy neighbour / alone"
        ),
        isolation.neighbours_are_hidden,
    ),
    Claim(
        "7",
        Message("each container can be given resource limits"),
        Message(
            "CPU, memory and processes that a small `container` gets; at most 10 % above its limits"
        ),
        isolation.limits_hold,
    ),
    Claim(
        "8",
        Message("containers use file storage better"),
        Message(
            "image on disk, image as shipped, and one more instance, `vm` / `container`; all above"
            " 1 ×"
        ),
        size.machine_takes_more_disk,
        Range(1, inf, "ratio"),
    ),
    Claim(
        "8",
        Message("containers use memory better"),
        Message("memory of one more idle instance, machine / `container`; above 1 ×"),
        size.machine_takes_memory(1),
        Range(1, inf, "ratio"),
    ),
    Claim(
        "9",
        Message("an image makes development, test and production the same"),
        Message(
            "digest of the programs inside, in every target, and ID of the image that each tool"
            " pulled; equal to those of what was shipped"
        ),
        delivery.image_is_the_same,
    ),
    Claim(
        "10",
        Message("images are built from a Dockerfile and shared through a registry"),
        Message(
            "a Dockerfile built, the image pushed to a registry and pulled from one by each"
            " installed engine, with the ID that was pushed; also shown: the seconds of each"
        ),
        delivery.images_are_built_and_shared,
    ),
    Claim(
        "10",
        Message("containers are started, stopped and deleted many at a time"),
        Message(
            "largest number requested at once, and its rate; also shown: seconds to stop a full"
            " host"
        ),
        scaling.many_at_a_time,
    ),
    Claim(
        "11",
        Message("moving to another platform is easier with containers"),
        Message(
            "bytes on the wire, and seconds to fetch and unpack them from a registry, or else"
            " bytes as shipped, and seconds to copy and unpack them, `vm` / `container`; both"
            " above 1 ×"
        ),
        delivery.moves_more_easily,
        Range(1, inf, "ratio"),
    ),
    Claim(
        "12",
        Message("container clusters carry a company's peak load"),
        Message(
            "hosts for 10,000 instances, as many on each as the footprint of one more allows: a"
            " projection"
        ),
        scaling.clusters_carry_peaks,
    ),
)
