"""The host as each run records it: facts, KVM, and which targets can be measured."""

from __future__ import annotations

import platform
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab import experiments, targets
from lab.host import facts, kvm
from lab.host.facts import Fact
from lab.host.kvm import Verdict
from lab.targets import runtime_binaries
from lab.userland import kvm_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.host.kvm import Accelerator, AcceleratorChoice
    from lab.targets.runtime_binaries import RuntimeBinary

_PROGRAMS = {
    "crun": ("crun",),
    "runc": ("runc",),
    "podman": ("podman",),
    "docker": ("docker", "dockerd"),
    "lxc": ("lxc-start",),
    "lxc-dir": ("lxc-start",),
    "uml": ("linux.uml",),
    "virt-install": ("virt-install", "libvirtd"),
    "firecracker": ("firecracker",),
    "cloud-hypervisor": ("cloud-hypervisor",),
}


@dataclass(frozen=True, slots=True)
class HostRecord:
    """The host at the time of a run; `facts` are for people, the other fields for programs.

    `targets` maps each target to the reason why it is absent, which is empty for a present target.
    `emulated` is true where machines run without KVM; all their figures are then labelled.
    """

    hostname: str
    distribution: str
    kernel: str
    cpus: int
    cpu_model: str
    memory_bytes: int
    cgroup: facts.Cgroups
    kvm: Verdict
    accelerator: Accelerator
    emulated: bool
    targets: dict[str, str]
    facts: tuple[Fact, ...]

    def document(self) -> dict[str, Any]:
        """Return the record as it is written to JSON."""
        return asdict(self)


def inspect(
    accelerator: AcceleratorChoice = "auto",
    progress: Callable[[str], None] = lambda _: None,
    runtimes: Mapping[str, RuntimeBinary] | None = None,
) -> HostRecord:
    """Inspect the host. KVM is probed by booting a guest unless `accelerator` is `tcg`.

    `kvm` is used even where the probe fails; `progress` then gets a warning. `runtimes` are OCI
    runtimes that the user named.
    """
    probe = Verdict(None, "not tried") if accelerator == "tcg" else kvm_probe.prove(progress)
    chosen: Accelerator = "kvm" if accelerator == "kvm" or probe.works else "tcg"
    if accelerator == "kvm" and not probe.works:
        progress(f"using KVM as requested, although {probe.reason}: machines may not start")
    cgroup = facts.cgroups()
    named = runtimes or {}
    known = runtime_binaries.paths(named)
    absent = {name: targets.find(name, known).absent() for name in (*targets.NAMES, *named)}
    return HostRecord(
        hostname=socket.gethostname(),
        distribution=facts.distribution(),
        kernel=platform.release(),
        cpus=facts.cpus(),
        cpu_model=facts.cpu_model(),
        memory_bytes=facts.memory_bytes(),
        cgroup=cgroup,
        kvm=probe,
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
            _delivery(),
            _kvm(probe, chosen),
            *(_target(name, reason, named.get(name)) for name, reason in absent.items()),
        ),
    )


def _kvm(probe: Verdict, chosen: Accelerator) -> Fact:
    if probe.works and probe.needs_pvh:
        meaning = (
            "machines boot an uncompressed kernel under KVM;"
            " a machine with its own boot loader is emulated"
        )
        return Fact("KVM", f"works in part: {probe.reason}", "limited", meaning)
    if probe.works:
        return Fact("KVM", f"works: {probe.reason}")
    if chosen == "kvm":
        return Fact("KVM", f"requested, although {probe.reason}", "limited", "starts may hang")
    value = probe.reason if probe.works is None else f"does not work: {probe.reason}"
    meaning = "machines are emulated (TCG), and their figures are labelled so"
    if probe == kvm.recall():
        meaning += f"; to probe again before the next reboot, remove {kvm.verdict_path()}"
    return Fact("KVM", value, "limited", meaning)


def _delivery() -> Fact:
    if reason := experiments.absent("delivery"):
        return Fact("delivery of images", "can't be measured", "limited", reason)
    return Fact("delivery of images", f"docker-registry {facts.version('docker-registry')}")


def _target(name: str, reason: str, runtime: RuntimeBinary | None) -> Fact:
    versions = (
        f"{runtime.path} {runtime.version}"
        if runtime
        else ", ".join(f"{program} {facts.version(program)}" for program in _PROGRAMS.get(name, ()))
    )
    if not reason:
        return Fact(f"target {name}", versions or "present")
    state: facts.State = "missing" if name in targets.DEFAULT else "limited"
    return Fact(f"target {name}", versions or "absent", state, reason)
