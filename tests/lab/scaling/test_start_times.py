"""Start times: measured quantiles, conditional on the number of starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.errors import InvalidConfig
from lab.results import run_folder
from lab.scaling import start_times
from lab.scaling.distributions import Fixed
from lab.scaling.quantities import Seconds
from lab.scaling.start_times import Burst, Conditional
from tests.lab.plausible import write

# One round: at one start 1 s; at four 1, 2, 3, 4 and 5 s are the quantiles 0, 50, 95, 99, 100 %.
QUANTILES = np.array([[[1, 1, 1, 1, 1], [1, 2, 3, 4, 5]]], dtype=float)
STARTS = Conditional(np.array([1.0, 4.0]), QUANTILES, np.zeros(1), emulated=False)


class Chance(np.random.Generator):
    """A generator whose uniform draws are given."""

    def __init__(self, share: float) -> None:
        super().__init__(np.random.PCG64(1))
        self._share = share

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return np.full(size, self._share)


@pytest.mark.parametrize(
    ("share", "at_once", "seconds"),
    [
        (0.0, 4, 1.0),
        (0.5, 4, 2.0),
        (0.25, 4, 1.5),
        (0.95, 4, 3.0),
        (0.97, 4, 3.5),
        (0.995, 4, 4.5),
        (0.5, 1, 1.0),
        (0.5, 2, 2**0.5),  # halfway between the logarithms of 1 and 4
        (0.5, 8, 4.0),  # beyond 4, at the rate of 4: twice the time
        (0.5, 40, 20.0),
    ],
)
def test_a_start_is_drawn_between_the_measured_quantiles(
    share: float, at_once: int, seconds: float
) -> None:
    drawn = STARTS.draw(Chance(share), np.array([float(at_once)]))
    assert drawn.tolist() == pytest.approx([seconds])


def test_instances_of_different_nodes_are_drawn_at_once() -> None:
    drawn = STARTS.draw(Chance(0.5), np.array([1.0, 4.0, 8.0, 0.5]))
    assert drawn.tolist() == pytest.approx([1.0, 2.0, 4.0, 1.0])


def test_the_time_until_ready_is_added() -> None:
    starts = Conditional(np.array([1.0, 4.0]), QUANTILES, np.array([0.25]), emulated=False)
    assert starts.draw(Chance(0.5), np.array([4.0])).tolist() == [2.25]


def test_a_run_gives_its_quantiles(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("startup", "burst")))
    starts = start_times.measured("variant[0].start", run, "container")
    assert starts.counts.tolist() == [1, 2, 4, 8, 16]
    first = 0.0026  # the plausible run: half of n at once after n/2 times as long, all after n
    assert starts.quantiles[0, 0] == pytest.approx(
        [first * 0.5, first * 0.5, first * 0.9, first, first]
    )
    assert starts.quantiles[0, 4] == pytest.approx(
        [first * 0.5, first * 8, first * 14.4, first * 16, first * 16]
    )
    assert len(starts.until_ready) == 15
    assert (starts.until_ready > 0).all()
    assert not starts.emulated
    assert starts.largest_count == 16


@pytest.mark.parametrize(("accelerator", "emulated"), [("tcg", True), ("kvm", False)])
def test_a_machines_starts_say_if_it_was_emulated(
    tmp_path: Path, accelerator: str, emulated: bool
) -> None:
    write(tmp_path / "run", experiments=("startup", "burst"), accelerator=accelerator)
    starts = start_times.resolve("start", Burst(run="run", target="vm"), tmp_path)
    assert starts.emulated is emulated


@pytest.mark.parametrize("target", ["docker", "zeppelin"])
def test_a_target_without_bursts_is_refused(tmp_path: Path, target: str) -> None:
    write(tmp_path / "run", experiments=("startup", "burst"))
    with pytest.raises(InvalidConfig, match=rf"variant\[1\].start: .* bursts of {target}"):
        start_times.resolve("variant[1].start", Burst(run="run", target=target), tmp_path)


def test_a_run_without_burst_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "run", experiments=("startup",))
    with pytest.raises(InvalidConfig, match="did not measure bursts of container"):
        start_times.resolve("start", Burst(run="run", target="container"), tmp_path)


def test_stated_starts_do_not_depend_on_their_number() -> None:
    starts = start_times.resolve("start", Fixed(value=Seconds(40)), Path())
    assert starts.draw(np.random.default_rng(1), np.array([1.0, 90.0])).tolist() == [40, 40]
    assert starts.largest_count is None
    assert not starts.emulated


def test_starts_per_second_have_a_law(tmp_path: Path) -> None:
    """The plausible run starts at the same rate however many are requested: contention is all."""
    run = run_folder.load(write(tmp_path / "run", experiments=("startup", "burst")))
    law = start_times.measured("start", run, "container").law()
    assert law is not None
    assert law.throughput_of_one.centre == pytest.approx(1 / 0.0026, rel=1e-3)
    assert law.contention.centre == pytest.approx(1.0, abs=1e-3)
    assert start_times.measured("start", run, "vm").law() is None  # three counts are too few
    assert STARTS.law() is None
