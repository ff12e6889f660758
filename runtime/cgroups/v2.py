"""Version 2: one directory, into which clone3(2) starts the child at once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cgroups.cgroup import Cgroup, make, write
from runtime.errors import ContainerError
from runtime.spec import Cpu, Memory, Pids

if TYPE_CHECKING:
    from runtime.spec import Resources

_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io")
_DEFAULT_PERIOD_US = 100_000


class CgroupV2(Cgroup):
    """A directory of that name below the root of the hierarchy."""

    def __init__(self, name: str, root: Path) -> None:
        self._directory = root / name
        super().__init__([self._directory])
        self._delegate(root)
        make(self._directory)
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def clone_descriptor(self) -> int | None:
        """The directory's own."""
        return self._descriptor

    def join_descriptors(self) -> list[int]:
        """None are needed."""
        return []

    def limit(self, resources: Resources) -> None:
        """Memory, CPU, pids."""
        memory, cpu = resources.memory or Memory(), resources.cpu or Cpu()
        pids = resources.pids or Pids()
        quota = None
        if cpu.quota is not None or cpu.period is not None:
            allowed = "max" if cpu.quota is None or cpu.quota < 0 else str(cpu.quota)
            quota = f"{allowed} {cpu.period or _DEFAULT_PERIOD_US}"
        for file, value in (
            ("memory.max", "max" if memory.limit == -1 else memory.limit),
            ("cpu.weight", None if cpu.shares is None else weight(cpu.shares)),
            ("cpu.max", quota),
            ("pids.max", "max" if pids.limit == -1 else pids.limit),
        ):
            if value is not None:
                if not (self._directory / file).exists():
                    raise ContainerError(
                        f"This host's cgroup has no {file}: its controller is not delegated."
                    )
                write(self._directory / file, str(value))

    def memory_bytes(self) -> int:
        """memory.current."""
        return int((self._directory / "memory.current").read_text())

    def close(self) -> None:
        """Close the directory."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @staticmethod
    def _delegate(root: Path) -> None:
        present = (root / "cgroup.controllers").read_text().split()
        for controller in _CONTROLLERS:
            if controller in present:
                # Refused where processes sit in `root`: the limit on it is then refused by name.
                with contextlib.suppress(ContainerError):
                    write(root / "cgroup.subtree_control", f"+{controller}")


def weight(shares: int) -> int:
    """cpu.weight, 1 to 10000, for version 1's cpu.shares, 2 to 262144. (OCI config-linux.md)"""
    return 1 + (min(max(shares, 2), 262144) - 2) * 9999 // 262142
