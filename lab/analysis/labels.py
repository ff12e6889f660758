"""Names of targets, experiments and metrics, as people read them.

In English they are the names themselves, as in options and in CSV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis.step_names import step_name
from lab.language.message import Message, joined
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.results.run_folder import Run

ORDER = (
    "native", "container", "crun", "runc", "podman", "docker", "lxc", "lxc-dir", "vm", "vm-tuned",
    "microvm", "vm-restore", "microvm-restore", "qemu", "qemu-microvm", "virt-install", "uml",
)  # fmt: skip
_TARGETS = {
    str(name): name
    for name in (
        Message("native"),
        Message("container"),
        Message("vm"),
        Message("vm-tuned"),
        Message("microvm"),
        Message("vm-restore"),
        Message("microvm-restore"),
    )
}
_EXPERIMENTS = {
    str(name): name
    for name in (
        Message("startup"),
        Message("burst"),
        Message("footprint"),
        Message("performance"),
        Message("delivery"),
        Message("isolation"),
        Message("density"),
    )
}
_METRICS = {
    str(name): name
    for name in (
        Message("first-instruction"),
        Message("ready"),
        Message("userspace"),
        Message("gone"),
        Message("latency-p50"),
        Message("latency-p95"),
        Message("latency-p99"),
        Message("started-per-second"),
        Message("image-compressed"),
        Message("image-on-disk"),
        Message("image-apparent"),
        Message("image-unique"),
        Message("instance-disk"),
        Message("rss"),
        Message("pss"),
        Message("cgroup-memory"),
        Message("page-cache-again"),
        Message("move"),
        Message("idle-cpu"),
        Message("idle-wake-ups"),
        Message("own-kernel"),
        Message("processes-inside"),
        Message("same-user-land"),
        Message("pull-cold"),
        Message("pull-warm"),
        Message("pull-changed"),
        Message("build-cold"),
        Message("build-cached"),
        Message("build-changed"),
        Message("push"),
        Message("save"),
        Message("load"),
        Message("disk-copy"),
        Message("disk-convert"),
        Message("wire-cold"),
        Message("wire-warm"),
        Message("wire-changed"),
        Message("wire-push"),
        Message("stored"),
        Message("archive"),
        Message("same-image"),
        Message("start-latency"),
        Message("loaded-answer-p50"),
        Message("loaded-answer-p99"),
        Message("loaded-answers"),
        Message("memory-available"),
        Message("memory-pss"),
        Message("answer-p50"),
        Message("answer-p99"),
        Message("memory-per-instance-available"),
        Message("memory-per-instance-pss"),
        Message("running"),
        Message("answering"),
        Message("teardown"),
        Message("beside-cpu"),
        Message("beside-cpu-limited"),
        Message("beside-memory"),
        Message("beside-memory-limited"),
        Message("beside-forks"),
        Message("beside-forks-limited"),
        Message("beside-disk"),
        Message("beside-disk-limited"),
        Message("beside-network"),
        Message("beside-network-limited"),
        Message("squeezed"),
        Message("neighbours-seen"),
        Message("cpus-granted"),
        Message("memory-granted"),
        Message("processes-granted"),
        Message("cpu: until up"),
        Message("clock: inside / host"),
        Message("memory: each of the first"),
        Message("memory: each of the last"),
        Message("kernel before: memory cgroup"),
        Message("kernel before: network namespace"),
        Message("kernel before: mount"),
        Message("kernel after: memory cgroup"),
        Message("kernel after: network namespace"),
        Message("kernel after: mount"),
    )
}
_WORKLOADS = {
    str(name): name
    for name in (
        Message("cpu-compress"),
        Message("cpu-hash"),
        Message("memory-copy"),
        Message("system-calls"),
        Message("context-switches"),
        Message("process-spawn"),
        Message("disk-write"),
        Message("disk-read"),
        Message("random-access"),
        Message("page-faults"),
        Message("memory-maps"),
        Message("net-stream-host"),
        Message("net-round-trip-host"),
        Message("net-stream-bridge"),
        Message("net-round-trip-bridge"),
        Message("net-stream-nat"),
        Message("net-round-trip-nat"),
        Message("net-stream-user"),
        Message("net-round-trip-user"),
        Message("tcp-stream"),
        Message("tcp-round-trip"),
        Message("python-start"),
        Message("python-json"),
        Message("python-calls"),
        Message("disk-random-write"),
        Message("disk-random-read-deep"),
        Message("disk-stream-read"),
        Message("file-cached-read"),
        Message("volume-random-write"),
        Message("volume-random-read-deep"),
        Message("volume-stream-read"),
    )
}
_FAMILIES = {
    str(prefix): prefix
    for prefix in (
        Message("begin: "),
        Message("step: "),
        Message("cpu: "),
        Message("clock: "),
        Message("memory: each of the "),
        Message("kernel before: "),
        Message("kernel after: "),
    )
}


def target(name: str, run: Run) -> str:
    """Return the target's name; an emulated machine is labelled so."""
    return labeled(name, emulated=is_emulated(name, run))


def is_emulated(name: str, run: Run) -> bool:
    """Return True if the target is a machine that the run emulated (TCG)."""
    return accelerator(name, run) == "tcg"


def accelerator(name: str, run: Run) -> str:
    """Return `tcg` (emulated) or `kvm` for a machine, as CSV says it, else nothing."""
    return str(run.settings.get("accelerator") or "") if name in MACHINES else ""


def labeled(name: str, *, emulated: bool) -> str:
    """Return the target's name; a machine is labelled if machines were emulated."""
    if emulated and name in MACHINES:
        return Message("{target} (emulated)", target=target_name(name))
    return target_name(name)


def target_name(name: str) -> str:
    """Return the target's name, without a label."""
    return _TARGETS.get(name, name)


def in_order(targets: Iterable[str]) -> list[str]:
    """Return the targets in the order of all tables and pictures: native, containers, machines."""
    return sorted(targets, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def experiment(name: str) -> str:
    """Return the experiment's name."""
    return _EXPERIMENTS.get(name, name)


def metric(name: str) -> str:
    """Return the metric's name. A user's workloads give their results names of their own."""
    if known := _METRICS.get(name) or _WORKLOADS.get(name):
        return known
    for prefix, message in _FAMILIES.items():
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return joined("", (message, _WORKLOADS.get(rest) or step_name(rest)))
    return name


def pair(target: str, baseline: str) -> Message:
    """Return the label of a ratio, from two labels."""
    return joined(" / ", (target, baseline))
