"""Two runs: the same where they are, different where they are, refused where they can't be told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import cli, comparison, results
from lab.errors import LabError
from lab.results import Run, RunFolder, Sample
from tests.lab.plausible import HOST, SETTINGS, write


def made(path: Path, factor: float = 1.0, host: object = None, **settings: object) -> Run:
    """A run of 12 rounds in which the container takes `factor` times what native takes."""
    with RunFolder(path, host or HOST, {**SETTINGS, **settings}) as folder:  # type: ignore[arg-type]
        for number in range(12):
            weather = 1 + (number * 7 % 5) / 100
            noise = 1 + (number * 3 % 7 - 3) / 500
            folder.append(
                [
                    Sample("performance", "native", "hash", "second", number, weather),
                    Sample(
                        "performance", "container", "hash", "second", number,
                        weather * factor * noise,
                    ),
                ]
            )  # fmt: skip
    return results.load(path)


def test_the_same_build_twice_is_the_same(tmp_path: Path) -> None:
    found = comparison.compare([made(tmp_path / "a"), made(tmp_path / "b")])
    assert [each.verdict for each in found.ratios] == ["same"]
    assert found.agreement() == 1.0
    assert {each.name for each in found.medians} == {"native", "container"}


def test_a_difference_is_found_with_its_size_and_confidence(tmp_path: Path) -> None:
    found = comparison.compare([made(tmp_path / "a"), made(tmp_path / "b", 1.05)])
    (ratio,) = found.ratios
    assert ratio.verdict == "different"
    assert ratio.change == pytest.approx(1.05)
    assert ratio.low is not None
    assert ratio.low > 1.04
    assert ratio.confidence is not None
    assert ratio.confidence > 0.999
    assert found.agreement() == 0.0


def test_every_later_run_is_held_against_the_first(tmp_path: Path) -> None:
    runs = [made(tmp_path / name, factor) for name, factor in (("a", 1), ("b", 1), ("c", 1.1))]
    found = comparison.compare(runs)
    assert [(each.run, each.verdict) for each in found.ratios] == [
        ("b", "same"),
        ("c", "different"),
    ]
    assert found.agreement() == 0.5


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"accelerator": "kvm"}, "accelerator"),
        ({"page_cache": "cold"}, "page-cache"),
        ({"workloads": {"hash": {"digest": "2", "results": {}}}}, "workloads"),
        ({"host": {**HOST, "hostname": "elsewhere"}}, "host"),
    ],
)
def test_what_is_not_comparable_is_refused_unless_told(
    changes: dict[str, object], condition: str, tmp_path: Path
) -> None:
    one, seven = {"digest": "1", "results": {}}, {"digest": "7", "results": {}}
    first = made(tmp_path / "a", workloads={"hash": one, "xz": seven})
    second = made(tmp_path / "b", **{"workloads": {"hash": one}, **changes})  # type: ignore[arg-type]
    with pytest.raises(LabError, match=f"a and b differ in .*--despite {condition}"):
        comparison.compare([first, second])
    found = comparison.compare([first, second], despite=[condition])
    assert len(found.overlooked) == 1


def test_a_figure_without_interval_is_not_told(tmp_path: Path) -> None:
    runs = [results.load(write(tmp_path / name, experiments=("density",))) for name in ("a", "b")]
    found = comparison.compare(runs)
    assert any(each.verdict == "unknown" for each in found.ratios)


def test_nothing_in_common_is_said(tmp_path: Path) -> None:
    runs = [
        results.load(write(tmp_path / name, experiments=(name,))) for name in ("startup", "density")
    ]
    with pytest.raises(LabError, match="no figure in common"):
        comparison.compare(runs)


def test_the_verb_is_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, factor in (("a", 1.0), ("b", 1.0), ("c", 1.2)):
        made(tmp_path / name, factor)
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert cli.main(["compare", a, b, "--require", "90%", "--format", "json"]) == cli.DONE
    assert json.loads(capsys.readouterr().out)["agreement"] == 1.0
    assert cli.main(["compare", a, c, "--require", "90%"]) == cli.MEASUREMENT_FAILED
    assert "0 of 1 ratios agree" in capsys.readouterr().out
    assert cli.main(["compare", a]) == cli.BAD_USAGE
    assert cli.main(["compare", a, b, "--despite", "colour"]) == cli.BAD_USAGE
