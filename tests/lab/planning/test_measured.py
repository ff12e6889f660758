"""Figures of a run that a plan uses."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES
from lab.planning.measured import figures, rounded_up

RESULTS = Path(__file__).parents[3] / "results"
QUICK, FULL = RESULTS / "2026-11-29-vm", RESULTS / "2026-11-26-vm-full-3"


def changed(tmp_path: Path, *metrics: str, value: str | None = None) -> Path:
    """Return a copy of the quick run without the rows of metrics, or with another value of them."""
    path = tmp_path / "run"
    path.mkdir()
    for name in ("host.json", "run.json"):
        shutil.copy(QUICK / name, path)
    with (QUICK / "measurements.csv").open(newline="") as file:
        heading, *rows = list(csv.reader(file))
    kept = []
    for row in rows:
        if row[2] in metrics:
            if value is None:
                continue
            row[5] = value
        kept.append(row)
    with (path / "measurements.csv").open("w", newline="") as file:
        csv.writer(file).writerows([heading, *kept])
    return path


def test_a_machine_takes_cpu_memory_and_disk() -> None:
    found = figures("key", QUICK, "microvm")
    assert {resource: figure.centre for resource, figure in found.items()} == {
        CPUS: 0.01668,
        MEMORY_BYTES: 162_900_000.0,
        DISK_BYTES: 208_900.0,
    }
    assert all(figure.emulated for figure in found.values())
    assert found[CPUS].samples == (0.017003944788017172, 0.016355610300233327)
    assert (found[CPUS].low, found[CPUS].high) == (None, None)
    assert found[DISK_BYTES].name == "2026-11-29-vm/microvm footprint instance-disk"


def test_the_memory_of_a_single_filling_has_the_interval_of_its_slope() -> None:
    memory = figures("key", QUICK, "microvm")[MEMORY_BYTES]
    assert memory.samples == (162_828_288.0,)
    assert memory.low is not None
    assert memory.high is not None
    assert 120e6 < memory.low < memory.centre < memory.high < 220e6


def test_a_container_is_not_emulated() -> None:
    found = figures("key", FULL, "container")
    assert found[MEMORY_BYTES].centre == 2_291_000.0
    assert found[CPUS].centre == 0.0
    assert not any(figure.emulated for figure in found.values())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, 0.0), (1.0, 1.0), (1234.0, 1234.0), (12345.0, 12350.0), (162828288.0, 162900000.0),
        (0.021776630865442723, 0.02178), (0.1, 0.1), (9999.5, 10000.0), (2e-9, 2e-9),
    ],
)  # fmt: skip
def test_a_figure_is_rounded_up_to_four_digits(value: float, expected: float) -> None:
    assert rounded_up(value) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("metrics", "experiment"),
    [
        (("memory-per-instance-available", "memory-available"), "density"),
        (("idle-cpu",), "footprint"),
        (("instance-disk",), "footprint"),
    ],
)
def test_a_run_without_a_figure_is_one_sentence(
    tmp_path: Path, metrics: tuple[str, ...], experiment: str
) -> None:
    path = changed(tmp_path, *metrics)
    with pytest.raises(InvalidConfig) as raised:
        figures("key", path, "microvm")
    assert str(raised.value) == (
        f"key: {path} has no {experiment} of microvm ({metrics[0]}): measure it with"
        f" `tonnage run {experiment} --targets microvm`."
    )


def test_memory_that_does_not_grow_is_no_figure(tmp_path: Path) -> None:
    path = changed(tmp_path, "memory-available", value="1000")
    with pytest.raises(InvalidConfig, match="has no density of microvm"):
        figures("key", path, "microvm")


def test_a_negative_figure_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="has no footprint of microvm"):
        figures("key", changed(tmp_path, "idle-cpu", value="-0.5"), "microvm")


def test_a_target_without_density_is_one_sentence() -> None:
    with pytest.raises(InvalidConfig, match=r"2026-11-29-vm has no density of vm \(memory-per-"):
        figures("key", QUICK, "vm")


def test_an_unknown_target_is_one_sentence() -> None:
    with pytest.raises(InvalidConfig, match="has no target 'zeppelin'; choose from container,"):
        figures("key", QUICK, "zeppelin")


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"key: .* is not a run folder"):
        figures("key", tmp_path, "vm")
