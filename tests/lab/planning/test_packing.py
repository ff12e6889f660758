"""Packing: nothing is lost, no host is overfull, and what bounds is named."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabError
from lab.planning import Host, Instance, pack

HOST = Host(memory_bytes=100, cpus=4, processes=1000)


def test_small_ones_fill_what_large_ones_leave() -> None:
    instances = [Instance("s", 40, 0)] * 2 + [Instance("l", 60, 0)] * 2
    assert pack(instances, HOST).counts == (2, 2)


@pytest.mark.parametrize(
    ("instance", "hosts", "bound"),
    [
        (Instance("m", 10, 0.01), 10, "memory"),
        (Instance("c", 0.1, 0.5), 13, "CPU"),
        (Instance("p", 0.1, 0.001, 100), 10, "process ids"),
    ],
)
def test_what_bounds_is_named(instance: Instance, hosts: int, bound: str) -> None:
    plan = pack([instance] * 100, HOST)
    assert (plan.hosts, plan.bound) == (hosts, bound)


def test_none_takes_no_host() -> None:
    assert pack([], HOST).hosts == 0


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(LabError, match="huge takes more memory than a host has"):
        pack([Instance("huge", 101, 0)], HOST)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=60))
def test_it_is_near_the_fewest(sizes: list[float]) -> None:
    plan = pack([Instance(str(size), size, 0) for size in sizes], HOST)
    assert sum(plan.counts) == len(sizes)
    assert math.ceil(sum(sizes) / 100 - 1e-9) <= plan.hosts
    assert plan.hosts <= 2 * sum(sizes) / 100 + 1  # any two neighbours together overfill one
