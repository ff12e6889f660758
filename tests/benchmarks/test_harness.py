"""The harness that the benchmarks share: order of turns, samples, bounds and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import harness
from benchmarks.harness import WARM_UP, Finding, Ratio, Samples

if TYPE_CHECKING:
    from pathlib import Path

MEASURE = "first-instruction"


def samples(ours: float, peer: float) -> Samples:
    filled = Samples()
    for number in range(8):
        filled.add("rested", "ours", number, {MEASURE: ours + number / 100})
        filled.add("rested", "peer", number, {MEASURE: peer})
    return filled


def test_each_round_has_each_contestant_once_under_each_condition() -> None:
    turns = list(harness.turns(["a", "b", "c"], 5, 1, ("rested", "busy")))
    assert len(turns) == 5 * 2 * 3
    for start in range(0, len(turns), 3):
        block = turns[start : start + 3]
        assert {each[:2] for each in block} == {(start // 6, ("rested", "busy")[start // 3 % 2])}
        assert sorted(contestant for _, _, contestant in block) == ["a", "b", "c"]


def test_the_order_depends_on_the_seed_alone() -> None:
    first, again, other = (list(harness.turns(range(9), 3, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_samples_of_the_warm_up_are_dropped() -> None:
    (first, *_) = harness.turns(["a"], 1, 1, warm_up=True)
    assert first[0] == WARM_UP
    kept = Samples()
    kept.add("", "a", WARM_UP, {MEASURE: 1.0})
    assert kept.of("", MEASURE, "a") == {}


@pytest.mark.parametrize(
    ("limit", "by_interval", "met"),
    [(0.6, False, True), (0.4, False, False), (0.52, False, True), (0.52, True, False)],
)
def test_a_ratio_is_judged_by_its_centre_or_its_interval(
    limit: float, *, by_interval: bool, met: bool
) -> None:
    claim = Ratio(MEASURE, "ours", "peer", limit, by_interval=by_interval)
    (finding,) = samples(1.0, 2.0).ratios([claim])
    assert finding.met is met
    assert str(finding).endswith(f"wanted: at most {limit:g}: {'met' if met else 'missed'}")


def test_a_ratio_without_a_limit_is_printed_alone() -> None:
    (finding,) = samples(1.0, 2.0).ratios([Ratio(MEASURE, "ours", "peer")])
    assert finding.met is None
    assert "n=8" in str(finding)


def test_a_peer_that_is_not_installed_has_no_ratio() -> None:
    assert list(samples(1.0, 2.0).ratios([Ratio(MEASURE, "ours", "crun", 1.0)])) == []


def test_medians_are_printed_with_their_unit() -> None:
    lines = [str(each) for each in samples(1.0, 2.0).medians({MEASURE: "MiB"})]
    assert len(lines) == 2
    assert "1.04 MiB" in lines[0]


@pytest.mark.parametrize(
    ("met", "code"), [((True, None), 0), ((True, False), 1), ((None, None), 0)]
)
def test_a_missed_bound_is_the_exit_code(
    met: tuple[bool | None, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness.report(Finding(str(number), each) for number, each in enumerate(met)) == code
    assert len(capsys.readouterr().out.splitlines()) == len(met)


def test_a_record_is_written_with_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"
    harness.write_record(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    harness.write_record(None, {})
