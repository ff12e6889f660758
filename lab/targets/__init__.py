"""What can run a workload, one module a target; found by name, imported when asked for."""

from lab.targets.registry import DEFAULT, NAMES, PEERS, VARIANTS, find

__all__ = ["DEFAULT", "NAMES", "PEERS", "VARIANTS", "find"]
