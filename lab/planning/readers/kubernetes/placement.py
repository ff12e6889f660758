"""Which pods may run on which nodes: selectors of labels, taints and tolerations."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.planning.readers.kubernetes.objects import (
        Expression,
        NodeTerm,
        PodSpec,
        PodTerm,
        Selector,
        Taint,
        Toleration,
    )

HOSTNAME = "kubernetes.io/hostname"
_NAMESPACE_NAME = "kubernetes.io/metadata.name"  # a label that every namespace has
_REPELLING = frozenset({"NoSchedule", "NoExecute"})


def selects(selector: Selector | None, labels: Mapping[str, str]) -> bool:
    """Return True if all conditions hold; no selector selects nothing, an empty one everything."""
    if selector is None:
        return False
    equal = (selector.match_labels or {}).items()
    return all(labels.get(key) == value for key, value in equal) and all(
        _holds(each, labels) for each in selector.match_expressions or ()
    )


def selects_namespace(term: PodTerm, own: str, other: str) -> bool:
    """Return True if a term of a pod in namespace `own` is about pods in namespace `other`."""
    if term.namespace_selector is None and not term.namespaces:
        return own == other
    return other in (term.namespaces or ()) or selects(
        term.namespace_selector, {_NAMESPACE_NAME: other}
    )


def allows(spec: PodSpec, labels: Mapping[str, str], taints: Sequence[Taint]) -> bool:
    """Return True if a pod may run on a node with these labels and taints.

    Conditions on a node's fields, such as its name, are taken to hold.
    """
    if any(labels.get(key) != value for key, value in (spec.node_selector or {}).items()):
        return False
    terms = _node_terms(spec)
    if terms is not None and not any(_term_holds(term, labels) for term in terms):
        return False
    return all(
        any(_tolerates(toleration, taint) for toleration in spec.tolerations or ())
        for taint in taints
        if taint.effect in _REPELLING
    )


def label_keys(specs: Iterable[PodSpec]) -> set[str]:
    """Return the labels of nodes that decide where these pods may run."""
    keys: set[str] = set()
    for spec in specs:
        keys |= (spec.node_selector or {}).keys()
        for term in _node_terms(spec) or ():
            keys |= {each.key for each in term.match_expressions or ()}
    return keys


def _node_terms(spec: PodSpec) -> Sequence[NodeTerm] | None:
    """Return the terms of which a node must fulfil one; None if any node will do."""
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required if affinity else None
    return required.node_selector_terms if required else None


def _term_holds(term: NodeTerm, labels: Mapping[str, str]) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False  # an empty term matches no node
    return all(_holds(each, labels) for each in term.match_expressions or ())


def _holds(condition: Expression, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(condition.key), condition.values or []
    match condition.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return _is_above(value, values)
        case "Lt":
            return bool(values) and _is_above(values[0], [value or ""])
    return False


def _is_above(value: str | None, values: Sequence[str]) -> bool:
    try:
        return int(value or "") > int(values[0] if values else "")
    except ValueError:
        return False


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value
