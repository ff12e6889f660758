"""Control groups: one interface, with the two versions of the kernel's behind it."""

from runtime.cgroups.cgroup import Cgroup
from runtime.cgroups.host import at, below, create, leftovers, of_process, plan, reopen

__all__ = ["Cgroup", "at", "below", "create", "leftovers", "of_process", "plan", "reopen"]
