"""Version 1: a directory in each hierarchy that is mounted, hybrid hosts included.

A process is moved by a write to a file, which stops every fork and exit on the host for an RCU
grace period (10 ms and more on a host at rest): the kernel must see that the thread group does not
change meanwhile. It need not when a thread moves itself, by `0` written to `tasks`; so the child
does that. (cgroup_procs_write_start in kernel/cgroup/cgroup.c)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cgroups.cgroup import Cgroup, make, write
from runtime.errors import ContainerError
from runtime.spec import Cpu, Memory, Pids

if TYPE_CHECKING:
    from runtime.spec import Resources

# OCI config-linux.md, "Default Devices", and the pseudo-terminals.
_DEVICES = (
    "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
    "c 5:2 rwm", "c 136:* rwm", "c *:* m", "b *:* m",
)  # fmt: skip


class CgroupV1(Cgroup):
    """A directory of that name in each hierarchy: {controllers of the mount: its root}."""

    def __init__(self, name: str, hierarchies: dict[str, Path]) -> None:
        self._by_controller = {
            controller: root / name
            for words, root in hierarchies.items()
            for controller in words.split(",")
        }
        made: list[Path] = []
        super().__init__(made)
        self._descriptors: list[int] = []
        try:
            for root in hierarchies.values():
                make(root / name)
                made.append(root / name)
            self._inherit_cpuset()
            for directory in made:
                self._descriptors.append(os.open(directory / "tasks", os.O_WRONLY | os.O_CLOEXEC))
        except BaseException:
            self.close()
            self.remove()
            raise

    def clone_descriptor(self) -> int | None:
        """None: version 1 can't."""
        return None

    def join_descriptors(self) -> list[int]:
        """`tasks` of each hierarchy."""
        return self._descriptors

    def limit(self, resources: Resources) -> None:
        """Memory, CPU, pids; and devices, of which only the default ones may be used."""
        memory, cpu = resources.memory or Memory(), resources.cpu or Cpu()
        pids = resources.pids or Pids()
        for controller, file, value in (
            ("memory", "memory.limit_in_bytes", memory.limit),
            ("cpu", "cpu.shares", cpu.shares),
            ("cpu", "cpu.cfs_period_us", cpu.period),
            ("cpu", "cpu.cfs_quota_us", cpu.quota),
            ("pids", "pids.max", "max" if pids.limit == -1 else pids.limit),
        ):
            if value is not None:
                if controller not in self._by_controller:
                    raise ContainerError(
                        f"This host has no {controller} cgroup: leave out the limit on it."
                    )
                write(self._by_controller[controller] / file, str(value))
        if devices := self._by_controller.get("devices"):
            write(devices / "devices.deny", "a")
            for rule in _DEVICES:
                write(devices / "devices.allow", rule)

    def memory_bytes(self) -> int:
        """memory.usage_in_bytes, which has kernel memory in it."""
        return int((self._by_controller["memory"] / "memory.usage_in_bytes").read_text())

    def close(self) -> None:
        """Close the `tasks` files."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _inherit_cpuset(self) -> None:
        # A new cpuset is empty, and no process can be moved into an empty one. (cpuset(7))
        if directory := self._by_controller.get("cpuset"):
            for file in ("cpuset.cpus", "cpuset.mems"):
                write(directory / file, (directory.parent / file).read_text())
