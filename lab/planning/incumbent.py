"""The best plan so far, and the deadline of the search."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from lab.planning.instance import cost_of

if TYPE_CHECKING:
    from lab.planning.bound import Bound
    from lab.planning.instance import Filled, FloatArray, Instance


class Incumbent:
    """The cheapest packing that was found, and the greatest lower bound.

    `until` is the time at which the search ends, by the monotonic clock. `is_final` says that no
    other packing costs less, though the bound may not show it. `parts` has, for each split, the
    replicas of its parts in the last optimum of the relaxed master.
    """

    def __init__(self, instance: Instance, bound: Bound, until: float) -> None:
        self.instance, self.bound, self.until = instance, bound, until
        self.packing: list[Filled] | None = None
        self.cost: int | None = None
        self.is_final = False
        self.parts: tuple[FloatArray, ...] = ()

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline, negative after it."""
        return self.until - monotonic()

    @property
    def is_optimal(self) -> bool:
        """True if no packing costs less, or there is none."""
        if self.cost is None:
            return self.is_final
        return self.is_final or self.cost <= self.bound.rounded(self.instance)

    def offer(self, packing: list[Filled] | None) -> bool:
        """Keep the packing if it is cheaper; return True if so."""
        if packing is None:
            return False
        cost = cost_of(self.instance, packing)
        if self.cost is not None and cost >= self.cost:
            return False
        self.packing, self.cost = packing, cost
        return True

    def raise_bound(self, bound: Bound) -> bool:
        """Keep the bound if it is greater; return True if so."""
        if bound.cost <= self.bound.cost:
            return False
        self.bound = bound
        return True
