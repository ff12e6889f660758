"""Distributions: their means and percentiles, and samples of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.errors import InvalidConfig, NotFound
from lab.scaling import distributions, service_times
from lab.scaling.distributions import (
    Described,
    Exponential,
    Fixed,
    Lognormal,
    Measured,
    Stated,
    Uniform,
)
from lab.scaling.quantities import Period, Seconds
from lab.scaling.service_times import ServiceTimes
from tests.lab.plausible import write

HERE = Path()
LOGNORMAL = Lognormal(median=Period(2.0), p95=Period(5.0))


@pytest.mark.parametrize(
    "stated",
    [
        Exponential(mean=Period(0.25)),
        Uniform(low=Seconds(1), high=Period(4)),
        LOGNORMAL,
        Fixed(value=Seconds(3)),
    ],
)
def test_the_mean_of_draws_is_the_mean(stated: Stated) -> None:
    values = stated.draw(np.random.default_rng(1), 200_000)
    error = 4 * values.std() / np.sqrt(len(values))
    assert values.mean() == pytest.approx(stated.mean_seconds, abs=error + 1e-12)


def test_a_lognormal_has_the_stated_percentiles() -> None:
    values = LOGNORMAL.draw(np.random.default_rng(2), 400_000)
    assert np.quantile(values, 0.5) == pytest.approx(2.0, rel=0.01)
    assert np.quantile(values, 0.95) == pytest.approx(5.0, rel=0.01)


def test_samples_of_a_run_are_drawn(tmp_path: Path) -> None:
    write(tmp_path / "run", experiments=("startup",))
    described = Measured(run="run", target="container", experiment="startup", metric="ready")
    samples = distributions.resolve("service", described, tmp_path)
    assert isinstance(samples, distributions.Samples)
    assert len(samples.values) == 15
    assert set(samples.draw(np.random.default_rng(1), 1000)) == set(samples.values)
    assert not samples.emulated


@pytest.mark.parametrize(("accelerator", "emulated"), [("tcg", True), ("kvm", False)])
def test_samples_of_a_machine_say_if_it_was_emulated(
    tmp_path: Path, accelerator: str, emulated: bool
) -> None:
    write(tmp_path / "run", experiments=("startup",), accelerator=accelerator)
    described = Measured(run="run", target="vm", experiment="startup", metric="ready")
    samples = distributions.resolve("service", described, tmp_path)
    assert isinstance(samples, distributions.Samples)
    assert samples.emulated is emulated


@pytest.mark.parametrize(
    ("described", "fault"),
    [
        (Uniform(low=Seconds(4), high=Period(1)), r"service: high \(1 s\) is less than low"),
        (Lognormal(median=Period(4), p95=Period(1)), r"service: p95 \(1 s\) is less than the med"),
        (
            Lognormal(median=Period(1e-7), p95=Period(1)),
            "service: p95 is more than 1,000,000 times",
        ),
        (Fixed(value=Seconds(0)), "service: the mean must be above zero"),
        (
            Measured(run="run", target="container", experiment="startup", metric="speed"),
            "service: run has no times of startup/speed for container",
        ),
        (
            Measured(run="run", target="container", experiment="footprint", metric="rss"),
            "service: run has no times of footprint/rss for container",
        ),
    ],
)
def test_impossible_services_are_refused(tmp_path: Path, described: Described, fault: str) -> None:
    write(tmp_path / "run", experiments=("startup", "footprint"))
    with pytest.raises(InvalidConfig, match=fault):
        service_times.resolve(described, tmp_path)


def test_a_missing_run_is_an_error(tmp_path: Path) -> None:
    described = Measured(run="none", target="container", experiment="startup", metric="ready")
    with pytest.raises(NotFound, match="none is not a run folder"):
        service_times.resolve(described, tmp_path)


def test_variants_differ_by_their_factor_alone() -> None:
    one, other = (
        ServiceTimes(LOGNORMAL, factor).draw(np.random.default_rng(5), 100) for factor in (1, 3)
    )
    assert other.tolist() == (one * 3).tolist()
    assert ServiceTimes(LOGNORMAL, 3).mean_seconds == 3 * LOGNORMAL.mean_seconds


def test_no_service_takes_no_time() -> None:
    values = ServiceTimes(Uniform(low=Seconds(0), high=Period(1e-12))).draw(
        np.random.default_rng(1), 10
    )
    assert (values == 1e-9).all()
