"""Samples: values that are not finite are censored."""

from __future__ import annotations

import pytest

from lab.results.sample import Sample


def start(round_number: int, value: float, target: str = "container") -> Sample:
    return Sample("startup", target, "first-instruction", "second", round_number, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_value_that_is_not_finite_is_censored(value: float) -> None:
    sample = start(0, value)
    assert sample.value is None
    assert sample.censored.startswith("first-instruction: the value is")
