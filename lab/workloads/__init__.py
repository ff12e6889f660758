"""Workloads: the programs that the performance experiment runs, defined in TOML files."""

from lab.workloads.catalogue import load, packages
from lab.workloads.definition import Result, Workload
from lab.workloads.result_parsing import value_of

__all__ = ["Result", "Workload", "load", "packages", "value_of"]
