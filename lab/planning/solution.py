"""A solution of the packing problem: patterns, and a lower bound with its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.planning.problem import Problem


@dataclass(frozen=True, slots=True)
class Pattern:
    """`times` hosts of one kind with the same replicas: pairs of a demand's name and a count."""

    host: str
    counts: tuple[tuple[str, int], ...]
    times: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """A dual solution: a price for a replica of each demand, and a rent for a host that is scarce.

    It proves a lower bound if, for each kind of host, no feasible set of replicas is worth more
    than the host's price plus its rent. `replica_prices` follows the order of the problem's
    demands, `host_rents` that of its hosts (0 where any number is available).

    `resource_prices` has, for each kind of host, the price of one unit of each resource. Any prices
    are valid; with these the proof is short.
    """

    replica_prices: tuple[Fraction, ...]
    host_rents: tuple[Fraction, ...]
    resource_prices: tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """The hosts and what is on them; `bound` is the least cost that the certificate proves.

    `cost` is the sum of the prices of all hosts. The solution is optimal if `cost == bound`.
    `timed_out` says that the deadline ended the search.
    """

    patterns: tuple[Pattern, ...]
    cost: int
    bound: int
    certificate: Certificate
    timed_out: bool

    @property
    def hosts(self) -> int:
        """The number of hosts."""
        return sum(pattern.times for pattern in self.patterns)

    @property
    def gap(self) -> float:
        """The cost above the bound, as a share of the bound."""
        return (self.cost - self.bound) / self.bound if self.bound else 0.0


def to_document(problem: Problem, solution: Solution) -> dict[str, object]:
    """Return a solution as JSON holds it, for `certificate.check`; fractions are strings."""
    certificate = solution.certificate
    return {
        "cost": solution.cost,
        "bound": solution.bound,
        "patterns": [
            {"host": pattern.host, "times": pattern.times, "replicas": dict(pattern.counts)}
            for pattern in solution.patterns
        ],
        "replica_prices": {
            demand.name: str(price)
            for demand, price in zip(problem.demands, certificate.replica_prices, strict=True)
        },
        "host_rents": {
            host.name: str(rent)
            for host, rent in zip(problem.hosts, certificate.host_rents, strict=True)
        },
        "resource_prices": {
            host.name: list(map(str, row))
            for host, row in zip(problem.hosts, certificate.resource_prices, strict=True)
        },
    }
