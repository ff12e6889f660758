"""The what-if analyses as sentences and as a document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.planning import what_if
from lab.planning.growth import Growth
from lab.planning.inventory import Host, Service
from lab.planning.plan import make_plan
from lab.planning.plan_file import PlanFile
from tests.lab.planning.placed import RESOURCE, figure, uncertain

if TYPE_CHECKING:
    from lab.planning.plan import Plan
    from lab.planning.wrapping import Uncertain

RUN = Path(__file__).parents[3] / "results/2026-11-29-vm"


def planned(
    replicas: int = 10, size: float = 100.0, *parts: Uncertain, growth: float = 0.0
) -> tuple[PlanFile, Plan]:
    services = (Service("web", replicas, {RESOURCE: 10.0}),)
    hosts = (Host("node", {RESOURCE: size}),)
    file = PlanFile(
        path=Path("plan.toml"),
        services=services,
        hosts=hosts,
        objective="hosts",
        currency="",
        growth={"web": growth},
        uncertain=parts,
        inside=None,
        notes=(),
    )
    return file, make_plan(services, hosts)


def test_a_plan_without_measurements_has_nothing_to_draw() -> None:
    found = what_if.draw(*planned())
    assert found.sentences == (
        "Nothing that this plan needs was measured: there is no error to draw.",
    )
    assert found.document == {"draws": None}


def test_a_plan_that_is_too_tight_is_told_with_one_that_holds() -> None:
    file, plan = planned(10, 100.0, uncertain("web", figure(10.0, half_width=1.0)))
    found = what_if.draw(file, plan, draws=1000, seed=1)
    first, second, third, fourth = found.sentences
    assert first.startswith("1 host holds in ")
    assert second == "2 hosts hold in 98.9 %."
    assert third == "Most often node is short of memory."
    assert fourth == (
        "Measure the memory of container in run again first: it is 100 % of the variance."
    )
    document = found.document["draws"]
    assert (document["draws"], document["seed"]) == (1000, 1)
    assert document["hold"] == pytest.approx(0.5, abs=0.07)
    assert (document["safe_hosts"], document["safe_hold"]) == (2, 0.989)
    assert document["measure_again"] == [
        {
            "figure": "run/container density memory-per-instance-available",
            "services": ("web",),
            "variance": 1.0,
        }
    ]


def test_a_plan_that_holds_needs_no_other() -> None:
    file, plan = planned(10, 120.0, uncertain("web", figure(10.0, half_width=1.0)))
    found = what_if.draw(file, plan)
    assert found.sentences[0].startswith("1 host holds in 100 % of 1,000 draws")
    assert len(found.sentences) == 2
    assert found.document["draws"]["safe_hosts"] is None


def test_the_scatter_of_replicas_is_drawn_on_request() -> None:
    measured = figure(10.0, *[9.0, 9.5, 10.0, 10.5, 11.0] * 20)
    file, plan = planned(10, 103.0, uncertain("web", measured))
    without, with_scatter = (
        what_if.draw(file, plan, per_replica=per_replica) for per_replica in (False, True)
    )
    assert "not the scatter of single replicas" in without.sentences[0]
    assert "and the scatter of single replicas" in with_scatter.sentences[0]
    assert without.document["draws"]["hold"] > with_scatter.document["draws"]["hold"] > 0.8


def test_figures_that_are_not_drawn_are_told() -> None:
    file, plan = planned(10, 120.0, uncertain("web", figure(10.0)))
    assert what_if.draw(file, plan).sentences[1:] == (
        "Not drawn, since its error is unknown: the memory of container in run, measured once.",
    )


def test_losses_growth_and_assumptions_are_told() -> None:
    found = what_if.what_if(*planned(20, 100.0, growth=0.1))
    assert found.sentences == (
        "2 of 2 hosts can't be lost: the others have no room for their replicas; 1 more does.",
        "These hosts are too few from month 1 on: 3 are then needed.",
        "If 10 % off, memory of node changes the number of hosts: +1 if it is lower, 0 if higher.",
        "If 10 % off, replicas of web changes the number of hosts: 0 if it is lower, +1 if higher.",
        "If 10 % off, memory of web changes the number of hosts: 0 if it is lower, +1 if higher.",
    )
    (loss,) = found.document["losses"]
    assert (loss["level"], loss["alike"], loss["extra_hosts"], loss["survives"]) == (
        "host", 2, 1, False,
    )  # fmt: skip
    assert found.document["growth"] == {
        "month": 1,
        "hosts": 3,
        "searched": 120,
        "is_exact": True,
    }
    assert found.document["sensitivity_undecided"] == 0


def test_measured_starts_tell_how_long_recovery_takes() -> None:
    measured = replace(figure(10.0, 10.0, 10.0), run=RUN)
    file, plan = planned(10, 60.0, uncertain("web", measured))
    assert plan.host_count == 2
    found = what_if.what_if(file, plan)
    (sentence,) = [each for each in found.sentences if "measured starts" in each]
    assert sentence.startswith("By the measured starts, the replicas of any loss run again within ")
    seconds = max(loss["recovery_seconds"] for loss in found.document["losses"])
    assert 0 < seconds < 10


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (Growth(None, None, 120), "These hosts suffice for 120 months of growth."),
        (
            Growth(2, 9, 120, is_exact=False),
            "These hosts suffice for 1 month of growth; for later ones it was not decided in time.",
        ),
        (Growth(7, 3, 120), "These hosts are too few from month 7 on: 3 are then needed."),
        (Growth(7, None, 120), "From month 7 on, no plan with these kinds of hosts was found."),
        (
            Growth(7, 3, 120, is_exact=False),
            "These hosts suffice for 6 months of growth; for later ones it was not decided in"
            " time.",
        ),
    ],
)
def test_the_end_of_growth_is_told(end: Growth, sentence: str) -> None:
    file, _ = planned(growth=0.1)
    assert list(what_if._growth_sentences(file, end)) == [sentence]


def test_zones_that_can_not_be_lost_are_named() -> None:
    hosts = tuple(Host("node", {RESOURCE: 40.0}, zone=zone) for zone in "abc")
    services = (Service("web", 12, {RESOURCE: 10.0}, spread="zone"),)
    file, _ = planned()
    found = what_if.what_if(replace(file, services=services), make_plan(services, hosts))
    assert found.sentences[1] == "The plan does not survive the loss of zone a, b, c; 2 more do."
    half = tuple(replace(host, capacity={RESOURCE: 80.0}) for host in hosts)
    found = what_if.what_if(replace(file, services=services), make_plan(services, half))
    assert found.sentences[1] == "Any one zone can be lost."
