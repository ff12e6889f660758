"""What can run a workload, one module a target; found by name, imported when asked for."""

from lab.targets.registry import DEFAULT, FULL_ONLY, NAMES, PEERS, VMMS, find

__all__ = ["DEFAULT", "FULL_ONLY", "NAMES", "PEERS", "VMMS", "find"]
