from __future__ import annotations

import pytest

from lab import metrics


@pytest.mark.parametrize(
    ("experiment", "name", "kind", "baselines"),
    [
        ("startup", "ready", "figure", ("native", "container")),
        ("startup", "step: exec", "explanation", ()),
        ("startup", "begin: exec", "offset", ()),
        ("startup", "cpu: until up", "explanation", ("native", "container")),
        ("burst", "started-per-second", "curve", ()),
        ("footprint", "image-on-disk", "count", ("container",)),
        ("footprint", "pss", "figure", ("container",)),
        ("density", "memory-pss", "curve", ()),
        ("density", "running", "count", ("container",)),
        ("density", "kernel before: mount", "explanation", ()),
        ("performance", "cpu: sort", "explanation", ("native",)),
        ("performance", "clock: inside / host", "explanation", ("native",)),
        ("performance", "answer-p50", "figure", ("native",)),
        ("isolation", "neighbours-seen", "count", ()),
        ("delivery", "pull-cold", "figure", ("container",)),
        ("delivery", "wire-cold", "count", ("container",)),
        ("delivery", "step: fetch", "explanation", ()),
    ],
)
def test_a_metric_has_one_kind_and_its_baselines(
    experiment: str, name: str, kind: str, baselines: tuple[str, ...]
) -> None:
    found = metrics.find(experiment, name)
    assert (found.kind, found.baselines) == (kind, baselines)


def test_a_workload_result_may_have_any_name() -> None:
    for name in ("cpu: mine", "clock: mine", "begin: mine", "running", "memory-pss"):
        found = metrics.find("performance", name, "/s", {name: "more"})
        assert (found.kind, found.unit, found.better) == ("figure", "/s", "more")


def test_names_of_other_packages_and_of_older_runs_are_figures_or_explanations() -> None:
    assert metrics.find("heat", "degrees", "K").kind == "figure"
    assert metrics.find("heat", "cpu: all of it").explains
    assert metrics.find("footprint", "something-older").baselines == ("container",)


def test_times_and_rates_decide_the_number_of_rounds() -> None:
    assert metrics.find("startup", "ready").decides
    assert metrics.find("isolation", "squeezed").decides
    for experiment, name in (
        ("footprint", "pss"),
        ("density", "answer-p50"),
        ("startup", "step: exec"),
        ("startup", "begin: exec"),
        ("startup", "cpu: until up"),
    ):
        assert not metrics.find(experiment, name).decides


def test_a_rate_is_compared_by_what_a_unit_of_work_costs() -> None:
    rate = metrics.find("performance", "sort", "/s", {"sort": "more"})
    time = metrics.find("performance", "sort", "second", {"sort": "less"})
    assert (rate.cost(4.0), rate.cost(0.0), time.cost(4.0)) == (0.25, None, 4.0)
    assert metrics.find("density", "loaded-answers").cost(4.0) == 4.0


def test_every_listed_metric_has_a_unit() -> None:
    assert all(metric.unit for metric in metrics.METRICS.values())
