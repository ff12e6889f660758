"""Packing: every instance is placed, no host is overfull, and the limiting resource is named."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabError
from lab.planning import HostCapacity, InstanceRequests, pack

HOST = HostCapacity(memory_bytes=100, cpus=4, processes=1000)


def test_small_instances_fill_the_gaps_of_large_ones() -> None:
    instances = [InstanceRequests("s", 40, 0)] * 2 + [InstanceRequests("l", 60, 0)] * 2
    assert pack(instances, HOST).counts == (2, 2)


@pytest.mark.parametrize(
    ("instance", "hosts", "bound"),
    [
        (InstanceRequests("m", 10, 0.01), 10, "memory"),
        (InstanceRequests("c", 0.1, 0.5), 13, "CPU"),
        (InstanceRequests("p", 0.1, 0.001, 100), 10, "process ids"),
    ],
)
def test_the_limiting_resource_is_named(instance: InstanceRequests, hosts: int, bound: str) -> None:
    plan = pack([instance] * 100, HOST)
    assert (plan.hosts, plan.bound) == (hosts, bound)


def test_no_instance_needs_no_host() -> None:
    assert pack([], HOST).hosts == 0


def test_an_instance_larger_than_a_host_is_refused() -> None:
    with pytest.raises(LabError, match="huge requests more memory than a host has"):
        pack([InstanceRequests("huge", 101, 0)], HOST)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=60))
def test_the_number_of_hosts_is_near_the_minimum(sizes: list[float]) -> None:
    plan = pack([InstanceRequests(str(size), size, 0) for size in sizes], HOST)
    assert sum(plan.counts) == len(sizes)
    assert math.ceil(sum(sizes) / 100 - 1e-9) <= plan.hosts
    assert plan.hosts <= 2 * sum(sizes) / 100 + 1  # any two neighbours together overfill one
