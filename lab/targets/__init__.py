"""Targets run workloads. Each has a module, which is imported when the target is used."""

from lab.targets.registry import DEFAULT, FULL_ONLY, NAMES, PEERS, VMMS, find

__all__ = ["DEFAULT", "FULL_ONLY", "NAMES", "PEERS", "VMMS", "find"]
