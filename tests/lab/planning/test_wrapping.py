"""Wrapping: what containers and machines add to what services request."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.measured import MeasuredFigure
from lab.planning.plan import make_plan
from lab.planning.plan_schema import WrappingTable
from lab.planning.wrapping import Stated, Uncertain, Wrapped, add_overhead, wrap

PLAN = Path(__file__).parents[3] / "examples" / "plan.toml"
RUN = "../results/2026-11-29-vm"
MIB, GIB = 2.0**20, 2.0**30
OFFERED = (CPUS, MEMORY_BYTES)
CONTAINER_BYTES, MACHINE_BYTES, MACHINE_CPUS = 779_800.0, 162_900_000.0, 0.01668


def stated(name: str = "web", **keys: object) -> Stated:
    known = {key: keys.pop(key) for key in list(keys) if key in Stated.__slots__}
    service = Service(name, 4, {CPUS: 1.0, MEMORY_BYTES: GIB}, **keys)  # type: ignore[arg-type]
    return Stated(service, **known)  # type: ignore[arg-type]


def table(kind: str, **keys: object) -> WrappingTable:
    return WrappingTable(kind=kind, run=RUN, machine="microvm", **keys)  # type: ignore[arg-type]


def wrapped(found: WrappingTable | None, *services: Stated) -> Wrapped:
    return wrap(PLAN, found, services, OFFERED, deadline_seconds=10.0)


def test_without_wrapping_services_request_what_they_state() -> None:
    found = wrapped(None, stated(growth=0.1))
    assert found == Wrapped((stated().service,), (), {"web": 0.1})


def test_a_container_adds_what_an_idle_one_took() -> None:
    found = wrapped(table("container"), stated())
    assert found.services[0].requests == {CPUS: 1.0, MEMORY_BYTES: GIB + CONTAINER_BYTES}
    assert [(part.service, part.resource, part.factor) for part in found.uncertain] == [
        ("web", CPUS, 1.0),
        ("web", MEMORY_BYTES, 1.0),
    ]


def test_a_machine_adds_what_an_idle_one_took_and_head_room() -> None:
    found = wrapped(table("vm"), stated(head_room=0.5))
    requests = found.services[0].requests
    assert requests[CPUS] == pytest.approx(1.0 + 1.5 * MACHINE_CPUS)
    assert requests[MEMORY_BYTES] == pytest.approx(GIB + 1.5 * MACHINE_BYTES)
    assert {part.factor for part in found.uncertain} == {1.5}


def test_in_a_mixed_plan_each_service_states_its_own() -> None:
    found = wrapped(table("mixed"), stated(wrapping="vm"), stated("api", wrapping="container"))
    memory = [service.requests[MEMORY_BYTES] - GIB for service in found.services]
    assert memory == [MACHINE_BYTES, CONTAINER_BYTES]


def test_a_measured_service_is_wrapped_already() -> None:
    figure = MeasuredFigure(Path("run"), "vm", CPUS, 0.5, None, None, (0.5,), emulated=False)
    part = Uncertain("web", CPUS, 1.0, figure)
    found = wrapped(table("vm"), stated(is_measured=True, uncertain=(part,)))
    assert found.services == (stated().service,)
    assert found.uncertain == (part,)


def test_what_no_host_offers_is_not_added() -> None:
    figure = MeasuredFigure(Path("run"), "vm", CPUS, 0.5, None, None, (0.5,), emulated=False)
    service, parts = add_overhead(stated().service, {CPUS: figure}, (MEMORY_BYTES,))
    assert (service, parts) == (stated().service, ())


SIZE = {"machine_cpus": 4, "machine_memory": "8 GiB"}


def test_containers_are_packed_into_machines() -> None:
    found = wrapped(table("containers-in-vms", **SIZE), stated(growth=0.1), stated("api"))
    assert found.inside is not None
    assert found.inside.host_count == 2
    assert sum(machine.replicas for machine in found.services) == 2
    for machine in found.services:
        assert machine.requests == {
            CPUS: 4.0 + MACHINE_CPUS,
            MEMORY_BYTES: 8 * GIB + MACHINE_BYTES,
        }
        assert machine.per_host is None
        assert machine.apart_from == frozenset()
    assert max(found.growth.values()) == 0.1
    assert {part.service for part in found.uncertain} == {each.name for each in found.services}


def test_containers_that_must_not_share_a_host_are_in_machines_that_do_not() -> None:
    found = wrapped(
        table("containers-in-vms", **SIZE),
        stated(per_host=1),
        stated("api", apart_from=frozenset({"web"})),
    )
    host = Host("node", {CPUS: 64.0, MEMORY_BYTES: 512 * GIB})
    plan = make_plan(found.services, [host])
    # Four machines with a web server each, and one with all of api, each on a host of its own.
    assert plan.host_count == 5


def test_machines_share_a_host_as_far_as_their_containers_may() -> None:
    found = wrapped(table("containers-in-vms", machine_cpus=1, machine_memory="2 GiB"),
                    stated(per_host=2))  # fmt: skip
    assert [(each.replicas, each.per_host) for each in found.services] == [(4, 2)]


@pytest.mark.parametrize(
    ("found", "service", "sentence"),
    [
        (None, stated(wrapping="vm"), 'service web: wrapping is for services of kind = "mixed" in'),
        (table("vm"), stated(wrapping="vm"), "service web: wrapping is for services of kind"),
        (table("mixed"), stated(), 'service web: wrapping is missing: with kind = "mixed" each'),
        (table("vm", machine_cpus=2), stated(), "wrapping: machine-cpus is for kind ="),
        (table("containers-in-vms"), stated(), "wrapping: containers-in-vms need the size of a"),
        (table("containers-in-vms", machine_cpus=-1, machine_memory="1 GiB"), stated(),
         "wrapping: machine-cpus: -1 is negative."),
        (table("containers-in-vms", **SIZE), stated(spread="zone"), "web: spread can't be kept"),
        (table("containers-in-vms", **SIZE), stated(hosts=frozenset({"x"})), "web: hosts can't be"),
        (table("containers-in-vms", machine_cpus=4, machine_memory="1 GiB"), stated(),
         "web requests 1,074,521,624 of memory, more than any of its hosts has (1,073,741,824)."),
        (WrappingTable(kind="vm", run=RUN), stated(), "wrapping: run: "),
        (WrappingTable(kind="vm", run="nowhere"), stated(), "wrapping: run: "),
        (WrappingTable(kind="vm", run=RUN, machine="x"), stated(), "has no target 'x'; choose"),
    ],
)  # fmt: skip
def test_unusable_wrappings_are_one_sentence(
    found: WrappingTable | None, service: Stated, sentence: str
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        wrapped(found, service)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
