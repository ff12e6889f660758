"""Comparison of runs: same, different, not comparable, and across several runs."""

from __future__ import annotations

import io
import json
import random
import re
from pathlib import Path

import pytest
from rich.console import Console

from lab.analysis import across_runs, comparison, comparison_text
from lab.cli import exit_codes, main
from lab.errors import LabError
from lab.language.message import Language
from lab.results import run_folder
from lab.results.run_folder import Run, RunFolder
from lab.results.sample import Sample
from lab.statistics.estimates import estimate_median
from tests.lab.plausible import HOST, SETTINGS, write


def write_run(path: Path, factor: float = 1.0, host: object = None, **settings: object) -> Run:
    """Write 12 rounds in which the container takes `factor` times as long as native."""
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
    return run_folder.load(path)


def test_equal_runs_are_the_same(tmp_path: Path) -> None:
    found = comparison.compare([write_run(tmp_path / "a"), write_run(tmp_path / "b")])
    assert [each.verdict for each in found.ratios] == ["same"]
    assert found.agreement() == 1.0
    assert {each.name for each in found.medians} == {"native", "container"}


def test_a_difference_is_found_with_its_size_and_confidence(tmp_path: Path) -> None:
    found = comparison.compare([write_run(tmp_path / "a"), write_run(tmp_path / "b", 1.05)])
    (ratio,) = found.ratios
    assert ratio.verdict == "different"
    assert ratio.change == pytest.approx(1.05)
    assert ratio.low is not None
    assert ratio.low > 1.04
    assert ratio.confidence is not None
    assert ratio.confidence > 0.999
    assert found.agreement() == 0.0


def test_every_later_run_is_compared_with_the_first(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, factor) for name, factor in (("a", 1), ("b", 1), ("c", 1.1))]
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
def test_differing_conditions_are_refused_unless_accepted(
    changes: dict[str, object], condition: str, tmp_path: Path
) -> None:
    hash_, xz = {"digest": "1", "results": {}}, {"digest": "7", "results": {}}
    first = write_run(tmp_path / "a", workloads={"hash": hash_, "xz": xz})
    second = write_run(tmp_path / "b", **{"workloads": {"hash": hash_}, **changes})  # type: ignore[arg-type]
    with pytest.raises(LabError, match=f"a and b differ in .*--despite {condition}"):
        comparison.compare([first, second])
    found = comparison.compare([first, second], despite=[condition])
    assert len(found.overlooked) == 1


def test_a_figure_without_interval_is_unknown(tmp_path: Path) -> None:
    runs = [
        run_folder.load(write(tmp_path / name, experiments=("density",))) for name in ("a", "b")
    ]
    found = comparison.compare(runs)
    assert any(each.verdict == "unknown" for each in found.ratios)


def write_filling(path: Path, each: float, rounds: int = 1) -> Run:
    """Write a run in which a host is filled with containers of `each` bytes."""
    chance = random.Random(int(each) + rounds)
    with RunFolder(path, HOST, SETTINGS) as folder:
        for number in range(rounds):
            for running in range(0, 501, 25):
                left = 2e10 - each * running + chance.gauss(0, 0.01 * each * 25)
                at = ("density", "container")
                folder.append([Sample(*at, "memory-available", "byte", number, left, running)])
            folder.append(
                Sample(*at, "start-latency", "second", number,
                       0.003 * chance.lognormvariate(0, 0.1), place)
                for place in range(500)
            )  # fmt: skip
            metric = "memory-per-instance-available"
            value, note = each * chance.gauss(1, 0.01), f"an empty cgroup took {each / 9:.0f} bytes"
            folder.append([Sample(*at, metric, "byte", number, value, note=note)])
    return run_folder.load(path)


def test_a_slope_that_tripled_is_found_in_one_round(tmp_path: Path) -> None:
    found = comparison.compare(
        [write_filling(tmp_path / "a", 7e5), write_filling(tmp_path / "b", 2.1e6)]
    )
    memory, starts = (
        next(each for each in found.medians if each.metric == metric)
        for metric in ("memory-per-instance-available", "start-latency")
    )
    assert (memory.verdict, memory.by) == ("different", "points")
    assert memory.change == pytest.approx(3, rel=0.01)
    assert (memory.first_n, memory.later_n) == (21, 21)
    assert memory.confidence is None
    assert (starts.verdict, starts.by) == ("same", "points")
    text = io.StringIO()
    comparison_text.show(found, Console(file=text, width=200), only_different=True)
    assert "different, by 21 and 21 points of a single round" in text.getvalue()
    line = "density: container memory-per-instance-available, later: an empty cgroup took 233333"
    assert line in text.getvalue()


def test_an_emulated_machine_is_labelled_in_a_comparison(tmp_path: Path) -> None:
    runs = [run_folder.load(write(tmp_path / name, experiments=("footprint",))) for name in "abc"]
    for text in (printed(runs), comparison_text.markdown(comparison.compare(runs))):
        assert "footprint: vm (emulated)" in text
        assert "footprint: vm / " not in text
        assert "footprint: container" in text
    chinese = printed(runs, language=Language.CHINESE)
    assert "资源占用：虚拟机（模拟） / 容器" in chinese
    assert not re.search(r"\b(vm|container|version unknown)\b", chinese)
    mixed = [runs[0], run_folder.load(write(tmp_path / "d", accelerator="kvm"))]
    assert "(emulated)" not in printed(mixed, despite=("accelerator",))


def test_each_of_several_later_runs_is_named(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in ("a", "b", "c")]
    assert "later run" not in printed(runs[:2])
    rows = comparison_text.markdown(comparison.compare(runs)).splitlines()
    assert "| figure | metric | later run | first |" in "\n".join(rows)
    assert [row.split(" | ")[2] for row in rows if "container / native | hash | " in row][:2] == [
        "b", "c",
    ]  # fmt: skip


def test_no_difference_is_certain(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, factor) for name, factor in (("a", 1), ("b", 1.5))]
    assert "different (> 99.999 % confidence)" in printed(runs)


def printed(
    runs: list[Run], language: Language = Language.ENGLISH, despite: tuple[str, ...] = ()
) -> str:
    """Return the comparison of the runs as a terminal shows it."""
    text = io.StringIO()
    found = comparison.compare(runs, despite)
    comparison_text.show(found, Console(file=text, width=200), language=language)
    return text.getvalue()


@pytest.mark.parametrize(
    ("first", "later", "verdict"), [(0, 2, "different"), (2, 0, "different"), (0, 0, "same")]
)
def test_a_count_that_was_zero_is_compared(
    tmp_path: Path, first: int, later: int, verdict: str
) -> None:
    for name, value in (("a", first), ("b", later)):
        with RunFolder(tmp_path / name, HOST, SETTINGS) as folder:
            at = ("isolation", "container", "neighbours-seen", "integer")
            folder.append(Sample(*at, number, value) for number in range(3))
    found = comparison.compare([run_folder.load(tmp_path / name) for name in "ab"])
    assert [(each.verdict, each.change) for each in found.medians] == [(verdict, None)]


def test_same_figures_state_the_difference_that_could_be_hidden(tmp_path: Path) -> None:
    """A missing difference proves no equality, so the text bounds its size."""
    text = io.StringIO()
    found = comparison.compare([write_run(tmp_path / "a"), write_run(tmp_path / "b")])
    comparison_text.show(found, Console(file=text, width=200))
    (ratio,) = found.ratios
    assert ratio.high is not None
    assert f"same, within {100 * (ratio.high - 1):.2g}" in text.getvalue()
    assert "Three or more runs show by how much." in text.getvalue()


def test_rounds_are_preferred_to_points(tmp_path: Path) -> None:
    runs = [
        write_filling(tmp_path / name, each, rounds=3) for name, each in (("a", 7e5), ("b", 2.1e6))
    ]
    memory = comparison.compare(runs).medians[-1]
    assert (memory.metric, memory.by) == ("memory-per-instance-available", "rounds")
    assert memory.confidence is not None


def test_three_runs_have_an_interval_across_them(tmp_path: Path) -> None:
    factors = {"a": 1.0, "b": 1.04, "c": 1.1, "d": 1.02}
    runs = [write_run(tmp_path / name, factor) for name, factor in factors.items()]
    assert comparison.compare(runs[:2]).across == ()
    found = comparison.compare(runs)
    ratio = next(each for each in found.across if each.name == "container / native")
    assert ratio.estimate == estimate_median(list(factors.values()))
    assert ratio.from_run_to_run == pytest.approx(0.041, abs=0.01)
    within = comparison.compare(runs[:2]).ratios[0]
    assert ratio.estimate.low is not None
    assert ratio.estimate.low < 1 / 1.001 < within.first
    text = io.StringIO()
    comparison_text.show(found, Console(file=text, width=200))
    assert "across 4 runs, each as one value" in text.getvalue()


def test_a_page_includes_comparable_runs_of_its_folder(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / name, experiments=("startup",))
    write_run(tmp_path / "other-host", host={**HOST, "hostname": "elsewhere"})
    write_run(tmp_path / "cut-short", interrupted="SIGTERM")
    (tmp_path / "no-run").mkdir()
    run = run_folder.load(tmp_path / "b")
    assert [each.path.name for each in across_runs.siblings(run)] == ["a", "b", "c"]
    text = across_runs.section(run)
    assert text.startswith("3 runs of this host, each as one value: a, b, c.")
    assert "| startup: container | ready | 3.36 ms | 3.36 – 3.36 ms | 3 | 0 % |" in text
    alone = run_folder.load(write(tmp_path / "elsewhere" / "x", experiments=("startup",)))
    assert "is unknown: fewer than 3 runs" in across_runs.section(alone)


def test_samples_of_runs_that_are_not_comparable_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_folder.load(write(tmp_path / "a", experiments=("startup",)))
    write(tmp_path / "b", experiments=("startup",))
    write_run(tmp_path / "other-host", host={**HOST, "hostname": "elsewhere"})
    read: list[str] = []
    load = run_folder.load

    def noted(path: Path) -> run_folder.Run:
        read.append(path.name)
        return load(path)

    monkeypatch.setattr(run_folder, "load", noted)
    across_runs.siblings(run)
    assert read == ["a", "b"]


def test_runs_without_a_common_figure_are_refused(tmp_path: Path) -> None:
    runs = [
        run_folder.load(write(tmp_path / name, experiments=(name,)))
        for name in ("startup", "density")
    ]
    with pytest.raises(LabError, match="no figure in common"):
        comparison.compare(runs)


def test_the_verb_checks_the_required_agreement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, factor in (("a", 1.0), ("b", 1.0), ("c", 1.2)):
        write_run(tmp_path / name, factor)
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert main.main(["compare", a, b, "--require", "90%", "--format", "json"]) == exit_codes.DONE
    assert json.loads(capsys.readouterr().out)["agreement"] == 1.0
    assert main.main(["compare", a, c, "--require", "90%"]) == exit_codes.MEASUREMENT_FAILED
    assert "ratios that agree: 0 of 1" in capsys.readouterr().out
    assert main.main(["compare", a]) == exit_codes.BAD_USAGE
    assert main.main(["compare", a, b, "--despite", "colour"]) == exit_codes.BAD_USAGE


def test_runs_of_different_images_are_not_compared(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", image_digest="sha256:1")
    other = write_run(tmp_path / "b", image_digest="sha256:2")
    with pytest.raises(
        LabError, match=r"differ in image digest \(sha256:1; sha256:2\).*despite im"
    ):
        comparison.compare([first, other])
    assert comparison.compare([first, other], despite=["image"]).overlooked
    common = write_run(tmp_path / "c", image_digest="none")
    with pytest.raises(LabError, match=r"image digest \(sha256:1; none\)"):
        comparison.compare([first, common])
    older = write_run(tmp_path / "d")
    assert comparison.compare([common, older]).overlooked == ()
