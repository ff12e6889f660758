"""The claims: each bound to a measure and to a judge.

They are those of an introductory text on containers of 2022: the rows of its table that compares
containers with virtual machines, and the numbered statements around it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.claims import finding
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the text: its row or number (`source`), its measure and its judge."""

    source: str
    text: str
    measure: str
    judge: finding.Judge


TABLE = (
    Claim(
        "startup",
        "container: seconds",
        "request → ready, each installed engine; 1 s to 60 s",
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
        size.image_takes("container", 1e6, 1e9),
    ),
    Claim(
        "disk",
        "virtual machine: usually GB",
        "allocated bytes of disk, kernel and initramfs of `vm`; 1 GB to 1 TB",
        size.image_takes("vm", 1e9, 1e12),
    ),
    Claim(
        "performance",
        "container: close to native",
        f"time of fixed work, `container` / `native`; every workload within {NEAR:.2f} ×, by"
        " intervals that hold simultaneously in 95 % of runs",
        performance.container_near_native,
    ),
    Claim(
        "performance",
        "virtual machine: weak",
        f"time of fixed work, `vm` / `native`; above {NEAR:.2f} × in the geometric mean",
        performance.machine_is_slower("native", NEAR),
    ),
    Claim(
        "instances",
        "container: thousands on one host",
        "instances that ran at once and answered; 1,000 or more",
        density.thousands_of_containers,
    ),
    Claim(
        "instances",
        "virtual machine: tens on one host",
        "instances that ran at once and answered when the host reached a limit; 10 to 99",
        density.tens_of_machines,
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
        "request → ready, each installed engine; 0.5 s to 2 s",
        startup.container_starts(0.5, 2),
    ),
    Claim(
        "2",
        "where at most 10 VMs start, over 100 containers do",
        "memory of one more idle instance, machine / `container`; 10 × or more",
        size.machine_takes_memory(10),
    ),
    Claim(
        "3, 8",
        "a KVM guest runs programs more slowly than a container",
        "time of fixed work, `vm` / `container`; above 1 × in the geometric mean",
        performance.machine_is_slower("container", 1),
    ),
    Claim(
        "3",
        "a KVM guest with little CPU, memory and disk is slow",
        "work of two processes, `vm` with one CPU and 256 MiB / with every CPU and 1 GiB; above"
        " 1.10 ×",
        isolation.small_machine_is_slow,
    ),
    Claim(
        "4",
        "past some number of VMs, the guests' systems alone use up the host",
        "memory of one more idle machine, compared with one more idle container; more",
        density.guests_fill_the_host,
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
        "vmx or svm among the CPU's flags, and a Linux guest that ran under KVM",
        isolation.kvm_needs_the_cpu,
    ),
    Claim(
        "6",
        "a container runs on the host's kernel, a VM has its own and a complete system",
        "the kernel's boot id inside, compared with the host's; processes visible inside",
        isolation.kernels_differ,
    ),
    Claim(
        "7",
        "containers are isolated from the host and from each other",
        "a neighbour's processes visible inside: none; also shown: time of a victim's work beside a"
        " noisy neighbour / alone",
        isolation.neighbours_are_hidden,
    ),
    Claim(
        "7",
        "each container can be given resource limits",
        "CPU, memory and processes that a small `container` gets; at most 10 % above its limits",
        isolation.limits_hold,
    ),
    Claim(
        "8",
        "containers use file storage better",
        "image on disk, image as shipped, and one more instance, `vm` / `container`; all above 1 ×",
        size.machine_takes_more_disk,
    ),
    Claim(
        "8",
        "containers use memory better",
        "memory of one more idle instance, machine / `container`; above 1 ×",
        size.machine_takes_memory(1),
    ),
    Claim(
        "9",
        "an image makes development, test and production the same",
        "digest of the programs inside, in every target, and ID of the image that each tool pulled;"
        " equal to those of what was shipped",
        delivery.image_is_the_same,
    ),
    Claim(
        "10",
        "images are built from a Dockerfile and shared through a registry",
        "a Dockerfile built, the image pushed to a registry and pulled from one by each installed"
        " engine, with the ID that was pushed; also shown: the seconds of each",
        delivery.images_are_built_and_shared,
    ),
    Claim(
        "10",
        "containers are started, stopped and deleted many at a time",
        "largest number requested at once, and its rate; also shown: seconds to stop a full host",
        scaling.many_at_a_time,
    ),
    Claim(
        "11",
        "moving to another platform is easier with containers",
        "bytes on the wire, and seconds to fetch and unpack them from a registry, or else bytes as"
        " shipped, and seconds to copy and unpack them, `vm` / `container`; both above 1 ×",
        delivery.moves_more_easily,
    ),
    Claim(
        "12",
        "container clusters carry a company's peak load",
        "hosts for 10,000 instances, as many on each as the footprint of one more allows: a"
        " projection",
        scaling.clusters_carry_peaks,
    ),
)
