"""Names of the steps of a start and of a delivery, as runs store them and as people read them.

A run stores a step by the English name that `runtime` or a target gives it. Names of earlier
versions stay here, because their runs are still read.
"""

from __future__ import annotations

from lab.language.message import in_context

STEPS = {
    str(name): name
    for name in (
        # of a container, in the parent
        in_context("step", "call"),
        in_context("step", "configuration"),
        in_context("step", "plan the cgroup"),
        in_context("step", "pipes, sources"),
        in_context("step", "clone"),
        in_context("step", "make the cgroup"),
        in_context("step", "filter"),
        in_context("step", "calls"),
        # of a container, in the child
        in_context("step", "namespaces"),
        in_context("step", "join the cgroup"),
        in_context("step", "wait for its calls"),
        in_context("step", "exec of the set-up"),
        in_context("step", "session, namespaces"),
        in_context("step", "names, loopback"),
        in_context("step", "mount propagation"),
        in_context("step", "bind of the root"),
        in_context("step", "overlay"),
        in_context("step", "mounts"),
        in_context("step", "limits"),
        in_context("step", "devices"),
        in_context("step", "masked and read-only paths"),
        in_context("step", "state"),
        in_context("step", "pivot"),
        in_context("step", "user, capabilities"),
        in_context("step", "seccomp"),
        in_context("step", "exec"),
        # of a machine
        in_context("step", "clone the disk"),
        in_context("step", "libvirt and QEMU"),
        in_context("step", "libvirt, QEMU and the saved state"),
        in_context("step", "tap and VMM"),
        in_context("step", "firmware and loader"),
        in_context("step", "kernel"),
        in_context("step", "initramfs, root file system"),
        in_context("step", "systemd loads its units"),
        in_context("step", "services, until the program runs"),
        in_context("step", "init"),
        in_context("step", "the first answer"),
        # of every target
        in_context("step", "until the program runs"),
        in_context("step", "until it answers"),
        in_context("step", "until its default target"),
        # of a delivery
        in_context("step", "connect"),
        in_context("step", "fetch"),
        in_context("step", "inflate"),
        in_context("step", "hash"),
        in_context("step", "write"),
        in_context("step", "sync"),
        in_context("step", "start"),
        # of earlier versions
        in_context("step", "cgroup"),
        in_context("step", "names, limits, loopback"),
    )
}


def step_name(name: str) -> str:
    """Return a step's name as a message; that of another package stays as it is."""
    return STEPS.get(name, name)
