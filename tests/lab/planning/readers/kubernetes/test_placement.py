"""Selectors of labels, affinities to nodes, taints and tolerations."""

from __future__ import annotations

import pytest

from lab.planning.readers.kubernetes.objects import (
    Affinity,
    Container,
    Expression,
    NodeAffinity,
    NodeSelector,
    NodeTerm,
    PodSpec,
    PodTerm,
    Selector,
    Taint,
    Toleration,
)
from lab.planning.readers.kubernetes.placement import (
    allows,
    label_keys,
    selects,
    selects_namespace,
)

LABELS = {"disk": "ssd", "cores": "16"}
TAINT = Taint("gpu", "NoSchedule", "yes")


def spec(
    *,
    selector: dict[str, str] | None = None,
    terms: list[NodeTerm] | None = None,
    tolerations: list[Toleration] | None = None,
) -> PodSpec:
    affinity = Affinity(NodeAffinity(NodeSelector(terms))) if terms is not None else None
    return PodSpec(
        [Container()], node_selector=selector, affinity=affinity, tolerations=tolerations
    )


@pytest.mark.parametrize(
    ("operator", "values", "holds"),
    [
        ("In", ["ssd", "nvme"], True),
        ("In", ["hdd"], False),
        ("NotIn", ["hdd"], True),
        ("NotIn", ["ssd"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
        ("Near", ["ssd"], False),
    ],
)
def test_conditions_on_a_label(operator: str, values: list[str] | None, holds: bool) -> None:
    selector = Selector(match_expressions=[Expression("disk", operator, values)])
    assert selects(selector, LABELS) is holds


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [("Gt", "8", True), ("Gt", "16", False), ("Lt", "32", True), ("Lt", "16", False)],
)
def test_conditions_on_a_number(operator: str, value: str, holds: bool) -> None:
    term = NodeTerm([Expression("cores", operator, [value])])
    assert allows(spec(terms=[term]), LABELS, ()) is holds
    assert not allows(spec(terms=[NodeTerm([Expression("disk", operator, [value])])]), LABELS, ())


def test_absent_labels() -> None:
    assert selects(Selector(match_expressions=[Expression("zone", "NotIn", ["a"])]), LABELS)
    assert selects(Selector(match_expressions=[Expression("zone", "DoesNotExist")]), LABELS)
    assert not selects(Selector(match_expressions=[Expression("zone", "In", ["a"])]), LABELS)


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selects(None, LABELS)
    assert selects(Selector(), LABELS)


def test_all_conditions_must_hold_but_only_one_term() -> None:
    ssd, many = Expression("disk", "In", ["ssd"]), Expression("cores", "Gt", ["64"])
    assert not allows(spec(terms=[NodeTerm([ssd, many])]), LABELS, ())
    assert allows(spec(terms=[NodeTerm([many]), NodeTerm([ssd])]), LABELS, ())
    assert not allows(spec(terms=[NodeTerm()]), LABELS, ())
    assert not allows(spec(selector={"disk": "hdd"}), LABELS, ())
    assert allows(spec(selector={"disk": "ssd"}), LABELS, ())


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (Toleration("gpu", "Equal", "yes", "NoSchedule"), True),
        (Toleration("gpu", "Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration("gpu", "Equal", "no"), False),
        (Toleration("cpu", "Exists"), False),
        (Toleration("gpu", "Exists", effect="NoExecute"), False),
        (Toleration(), False),
    ],
)
def test_taints_are_tolerated(toleration: Toleration, tolerates: bool) -> None:
    assert allows(spec(tolerations=[toleration]), {}, [TAINT]) is tolerates


def test_a_preference_repels_no_pod() -> None:
    assert not allows(spec(), {}, [TAINT])
    assert allows(spec(), {}, [Taint("gpu", "PreferNoSchedule")])


def test_namespaces_of_a_term() -> None:
    own = PodTerm("kubernetes.io/hostname")
    named = PodTerm("kubernetes.io/hostname", namespaces=["b"])
    every = PodTerm("kubernetes.io/hostname", namespace_selector=Selector())
    assert [selects_namespace(own, "a", other) for other in "ab"] == [True, False]
    empty = PodTerm("kubernetes.io/hostname", namespaces=[])
    assert [selects_namespace(empty, "a", other) for other in "ab"] == [True, False]
    assert [selects_namespace(named, "a", other) for other in "ab"] == [False, True]
    assert [selects_namespace(every, "a", other) for other in "ab"] == [True, True]


def test_the_labels_that_matter() -> None:
    wanted = spec(selector={"disk": "ssd"}, terms=[NodeTerm([Expression("cores", "Exists")])])
    assert label_keys([wanted, spec()]) == {"disk", "cores"}
