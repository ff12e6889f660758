"""Parts of a calibration run that need no instance."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lab.calibration import model, run
from lab.errors import LabError
from lab.statistics.estimates import Estimate


def test_repetitions_of_a_simulated_target_are_judged(tmp_path: Path) -> None:
    """A side that is 5 % slower is detected, and an equal side is not."""
    chance = random.Random(6)

    def trial(size: float) -> model.Trial:
        def measure(rounds: int, seed: int) -> list[tuple[float, float]]:
            weather = [chance.lognormvariate(0, 0.3) for _ in range(rounds)]
            return [
                (
                    w * (1 + size) * chance.lognormvariate(0, 0.02),
                    w * chance.lognormvariate(0, 0.02),
                )
                for w in weather
            ]

        with (tmp_path / f"pairs-{size}.csv").open("x") as file:
            pairs = run.PairsFile(file)
            precision = 0.05
            return run._repeat("simulated", size, precision, measure, 40, chance, pairs)

    assert trial(0.05).right >= 36
    assert trial(0.0).right >= 35
    lines = (tmp_path / "pairs-0.05.csv").read_text().splitlines()
    assert len(lines) > 400


def test_the_clock_of_this_host_can_be_read() -> None:
    timer = run.timer()
    assert 0 < timer.step_ns < 1e6
    assert 0 < timer.read_ns < 1e5
    assert timer.resolution_ns >= 1


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="name another with --out"):
        run._new_folder(tmp_path)


def test_a_ratio_of_pairs_is_of_first_over_second() -> None:
    assert run._ratio([(2.0, 1.0)] * 6) == Estimate(2.0, 2.0, 2.0, 6)
