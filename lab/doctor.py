"""What this host is, what it can measure, and what it can't and why: `tonnage doctor`."""

from __future__ import annotations

import platform
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from lab import targets
from lab.analysis import tables
from lab.host import facts
from lab.host import kvm_probe as kvm
from lab.host.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Callable

Accelerator = Literal["kvm", "tcg"]

_PEERS_PROGRAMS = {
    "crun": ("crun",),
    "runc": ("runc",),
    "podman": ("podman",),
    "docker": ("docker", "dockerd"),
    "uml": ("linux.uml",),
    "virt-install": ("virt-install", "libvirtd"),
    "firecracker": ("firecracker",),
    "cloud-hypervisor": ("cloud-hypervisor",),
}


@dataclass(frozen=True, slots=True)
class Host:
    """The host as found; `facts` are for people, the rest is for the record.

    `targets` says of each why it is absent; empty if it is there. `emulated` is whether machines
    run without KVM, and so whether every figure of theirs is labelled.
    """

    hostname: str
    distribution: str
    kernel: str
    cpus: int
    cpu_model: str
    memory_bytes: int
    cgroup: facts.Cgroups
    kvm: kvm.Verdict
    accelerator: Accelerator
    emulated: bool
    targets: dict[str, str]
    facts: tuple[Fact, ...]

    def document(self) -> dict[str, Any]:
        """The host as JSON has it."""
        return asdict(self)


def inspect(
    accelerator: Literal["auto", "kvm", "tcg"] = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Host:
    """Look at the host. KVM is proved by booting a guest unless `tcg` is asked for.

    `kvm` is obeyed where the proof fails, and `progress` is told so.
    """
    proved = kvm.Verdict(None, "not tried") if accelerator == "tcg" else kvm.prove(progress)
    chosen: Accelerator = "kvm" if accelerator == "kvm" or proved.works else "tcg"
    if accelerator == "kvm" and not proved.works:
        progress(f"KVM as asked for, though {proved.reason}: machines may not start")
    cgroup = facts.cgroups()
    absent = {name: targets.find(name).absent() for name in targets.NAMES}
    return Host(
        hostname=socket.gethostname(),
        distribution=facts.distribution(),
        kernel=platform.release(),
        cpus=facts.cpus(),
        cpu_model=facts.cpu_model(),
        memory_bytes=facts.memory_bytes(),
        cgroup=cgroup,
        kvm=proved,
        accelerator=chosen,
        emulated=chosen == "tcg",
        targets=absent,
        facts=(
            Fact("distribution", facts.distribution()),
            Fact("kernel", platform.release()),
            facts.processor(),
            facts.memory(),
            facts.swap(),
            *facts.memory_sharing(),
            facts.clock(),
            facts.process_limit(),
            facts.room(),
            facts.privileges(),
            facts.control_groups(cgroup),
            facts.overlay(),
            facts.user_namespaces(),
            facts.systemd(),
            facts.program("QEMU", "qemu-system-x86_64", "qemu-system-x86", "machines"),
            facts.program("qemu-img", "qemu-img", "qemu-utils", "machines"),
            facts.libvirt(),
            facts.program("mmdebstrap", "mmdebstrap", "mmdebstrap", "common user land"),
            facts.program("gcc", "gcc", "gcc", "payload"),
            _kvm(proved, chosen),
            *(_target(name, why) for name, why in absent.items()),
        ),
    )


def show(host: Host) -> None:
    """Print the facts as a table on standard output."""
    from rich.console import Console
    from rich.table import Table

    marks = {"ok": "[green]✓[/]", "limited": "[yellow]![/]", "missing": "[red]✗[/]"}
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what it means"):
        table.add_column(heading, overflow="fold")
    for fact in host.facts:
        table.add_row(marks[fact.state], *map(tables.cell, (fact.name, fact.value, fact.meaning)))
    Console().print(table)


def _kvm(proved: kvm.Verdict, chosen: Accelerator) -> Fact:
    if proved.works and proved.needs_pvh:
        meaning = (
            "machines boot an uncompressed kernel; what brings its own boot loader is emulated"
        )
        return Fact("KVM", f"works in part: {proved.reason}", "limited", meaning)
    if proved.works:
        return Fact("KVM", f"works: {proved.reason}")
    if chosen == "kvm":
        return Fact("KVM", f"asked for, though {proved.reason}", "limited", "starts may hang")
    value = proved.reason if proved.works is None else f"does not work: {proved.reason}"
    meaning = "machines are emulated (TCG) and labelled so"
    if proved == kvm.recall():
        meaning += f"; to try again before the host's next boot, remove {kvm.kept()}"
    return Fact("KVM", value, "limited", meaning)


def _target(name: str, why_absent: str) -> Fact:
    versions = ", ".join(
        f"{program} {facts.version(program)}" for program in _PEERS_PROGRAMS.get(name, ())
    )
    if not why_absent:
        return Fact(f"target {name}", versions or "present")
    state: facts.State = "missing" if name in targets.DEFAULT else "limited"
    return Fact(f"target {name}", versions or "absent", state, why_absent)
