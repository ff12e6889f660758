"""Amounts that the scheduler reserves for a pod: init containers, sidecars, overhead, limits."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lab.planning.readers.kubernetes.objects import Amounts, Container, PodSpec, Resources
from lab.planning.readers.kubernetes.requests import pod_requests, quantities


def container(cpu: str, memory: str = "0", *, sidecar: bool = False) -> Container:
    resources = Resources(requests={"cpu": cpu, "memory": memory})
    return Container("c", resources, "Always" if sidecar else None)


def cpu(spec: PodSpec) -> Fraction:
    return pod_requests(spec)["cpus"]


def test_containers_run_at_once() -> None:
    spec = PodSpec([container("100m", "1Gi"), container("250m", "512Mi")])
    assert pod_requests(spec) == {
        "cpus": Fraction(35, 100),
        "memory_bytes": Fraction(1536 * 2**20),
    }


def test_the_largest_init_container_counts_by_resource() -> None:
    init = [container("2", "10"), container("1", "40")]
    spec = PodSpec([container("500m", "20")], init_containers=init)
    assert pod_requests(spec) == {"cpus": Fraction(2), "memory_bytes": Fraction(40)}


def test_sidecars_run_beside_all_that_start_after_them() -> None:
    init = [
        container("3"),
        container("1", sidecar=True),
        container("3"),
        container("2", sidecar=True),
    ]
    assert cpu(PodSpec([container("500m")], init_containers=init)) == 4
    assert cpu(PodSpec([container("2")], init_containers=init)) == 5


def test_the_overhead_is_added() -> None:
    overhead: Amounts = {"cpu": "250m", "memory": "120Mi"}
    spec = PodSpec([container("1")], overhead=overhead)
    assert pod_requests(spec) == {
        "cpus": Fraction(5, 4),
        "memory_bytes": Fraction(120 * 2**20),
    }


def test_what_is_not_requested_is_the_limit() -> None:
    resources = Resources(requests={"cpu": "1"}, limits={"cpu": "2", "memory": "1Gi"})
    assert pod_requests(PodSpec([Container("c", resources), Container("d")])) == {
        "cpus": Fraction(1),
        "memory_bytes": Fraction(2**30),
    }


def test_requests_of_the_whole_pod_replace_those_of_its_containers() -> None:
    whole = Resources(requests={"cpu": "3"})
    spec = PodSpec([container("1", "10"), container("1", "10")], resources=whole)
    assert pod_requests(spec) == {"cpus": Fraction(3), "memory_bytes": Fraction(20)}


def test_resources_have_the_names_of_a_plan() -> None:
    amounts: Amounts = {
        "cpu": "1",
        "memory": "1",
        "ephemeral-storage": "1Gi",
        "nvidia.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
    }
    assert list(quantities(amounts)) == [
        "cpus",
        "memory_bytes",
        "disk_bytes",
        "gpus",
        "hugepages-2Mi",
    ]


def test_a_bad_amount_is_named() -> None:
    with pytest.raises(ValueError, match="memory: '1GB' is not a quantity of Kubernetes'"):
        quantities({"memory": "1GB"})


def test_a_sidecar_adds_to_each_later_init_container() -> None:
    init = [container("100m", sidecar=True), container("200m")]
    assert cpu(PodSpec([container("100m")], init_containers=init)) == Fraction(3, 10)
    swapped = [container("200m"), container("100m", sidecar=True)]
    assert cpu(PodSpec([container("100m")], init_containers=swapped)) == Fraction(2, 10)


def test_memory_in_thousandths_of_a_byte() -> None:
    assert quantities({"memory": "128974848000m"}) == {"memory_bytes": Fraction(128974848)}
    assert quantities({"memory": "400m"}) == {"memory_bytes": Fraction(2, 5)}
