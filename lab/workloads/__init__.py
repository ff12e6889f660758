"""The programs that the performance experiment runs: what each is, in TOML."""

from lab.workloads.definition import Result, Workload
from lab.workloads.found import load, packages
from lab.workloads.reading import value_of

__all__ = ["Result", "Workload", "load", "packages", "value_of"]
