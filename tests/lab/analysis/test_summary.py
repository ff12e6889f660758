"""Figures of a run: medians, ratios, excluded rounds, and their JSON document and tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from lab import units
from lab.analysis import provenance, summary, summary_text
from lab.results import run_folder
from lab.results.run_folder import Run, RunFolder
from lab.results.sample import Sample
from tests.lab.plausible import HOST, SETTINGS, round_of, write

CRUN_READY = ("crun", "ready")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_folder.load(write(tmp_path_factory.mktemp("summary") / "run"))


def folder(path: Path, samples: list[Sample], **settings: object) -> Run:
    with RunFolder(path, HOST, {**SETTINGS, **settings}) as written:
        written.append(samples)
    return run_folder.load(path)


def start(target: str, number: int, value: float | None, why: str = "") -> Sample:
    return Sample("startup", target, "first-instruction", "second", number, value, censored=why)


def test_the_document_is_strict_json_with_the_promised_keys(run: Run) -> None:
    document = json.loads(json.dumps(summary_text.document(run), allow_nan=False))
    assert set(document) == {"run", "host", "measurements", "ratios"}
    assert document["host"] == HOST
    assert document["run"]["accelerator"] == "tcg"
    keys = {"experiment", "target", "metric", "unit", "n", "median", "low", "high", "samples"}
    assert all(keys <= set(each) for each in document["measurements"])
    keys = {"experiment", "metric", "target", "baseline", "ratio", "low", "high"}
    assert all(keys <= set(each) for each in document["ratios"])
    assert all(len(each["samples"]) == each["n"] for each in document["measurements"])


def test_each_experiment_has_its_baselines(run: Run) -> None:
    pairs = {(ratio.experiment, ratio.baseline) for ratio in summary.ratios(run)}
    assert pairs == {
        ("startup", "native"),
        ("startup", "container"),
        ("footprint", "container"),
        ("density", "container"),
        ("performance", "native"),
        ("delivery", "container"),
    }
    assert not any(ratio.target == ratio.baseline for ratio in summary.ratios(run))


def test_a_ratio_is_target_over_baseline_paired_by_round(tmp_path: Path) -> None:
    weather = [1.0, 7.0, 2.0]
    run = folder(
        tmp_path / "run",
        [start("container", n, w) for n, w in enumerate(weather)]
        + [start("vm", n, 4 * w) for n, w in enumerate(weather) if n != 1],
    )
    (ratio,) = [r for r in summary.ratios(run) if r.target == "vm"]
    assert (ratio.baseline, ratio.ratio, ratio.n) == ("container", 4.0, 2)


def test_censored_samples_are_counted_with_their_reasons(run: Run) -> None:
    (found,) = [
        m
        for m in summary.measurements(run)
        if (m.target, m.metric) == ("microvm", "first-instruction")
    ]
    assert (found.n, found.censored) == (2, 1)
    assert found.censored_reasons == ["microvm did not reach first-instruction within 60 s"]


def test_a_start_that_failed_has_failed_for_each_milestone(run: Run) -> None:
    (ready,) = [
        m for m in summary.measurements(run) if (m.target, m.metric) == ("microvm", "ready")
    ]
    assert (ready.n, ready.censored) == (2, 1)


def test_disturbed_rounds_are_excluded_and_a_figure_of_all_rounds_is_given(tmp_path: Path) -> None:
    calm = run_folder.load(write(tmp_path / "calm", experiments=("startup",)))
    noisy = run_folder.load(
        write(tmp_path / "noisy", experiments=("startup",), disturbed={7: "steal took 9 %"})
    )

    def crun(run: Run) -> summary.Measurement:
        return next(m for m in summary.measurements(run) if (m.target, m.metric) == CRUN_READY)

    before, after = crun(calm), crun(noisy)
    assert (after.n, after.set_aside, after.with_all.n) == (14, 1, 15)
    assert after.with_all.centre == before.median
    assert after.samples == before.samples
    ratio = next(r for r in summary.ratios(noisy) if r.target == "crun")
    assert (ratio.n, ratio.with_all.n) == (14, 15)


def test_no_round_is_excluded_if_most_are_disturbed(tmp_path: Path) -> None:
    noisy = run_folder.load(
        write(tmp_path / "run", experiments=("startup",), disturbed=dict.fromkeys(range(9), "load"))
    )
    assert {m.set_aside for m in summary.measurements(noisy) if m.target == "crun"} == {0}


def test_no_round_of_a_count_is_excluded(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        sample = Sample("footprint", "vm", "image-on-disk", "byte", 0, 4096.0)
        made.append([sample], round_of("footprint", 0, "others' processes"))
        sample = Sample("footprint", "vm", "image-on-disk", "byte", 1, 4096.0)
        made.append([sample], round_of("footprint", 1))
    (found,) = summary.measurements(run_folder.load(tmp_path / "run"))
    assert (found.n, found.set_aside) == (2, 0)


def test_a_ratio_states_the_difference_that_it_detects(run: Run) -> None:
    ratio = next(r for r in summary.ratios(run) if r.target == "crun" and r.low and r.high)
    assert ratio.low
    assert ratio.high
    assert ratio.smallest_difference is not None
    assert 0.5 < ratio.smallest_difference / (ratio.high / ratio.low - 1) < 1.5


def test_a_target_that_never_started_has_no_median(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", [start("vm", 0, None, "hung")])
    (found,) = json.loads(json.dumps(summary_text.document(run)))["measurements"]
    assert (found["n"], found["median"], found["low"], found["censored"]) == (0, None, None, 1)


def test_one_round_has_no_interval_however_many_instances_it_started(run: Run) -> None:
    (found,) = [
        m
        for m in summary.measurements(run)
        if (m.target, m.metric) == ("container", "start-latency")
    ]
    assert found.n == 500
    assert found.low is None


def test_a_curve_has_no_median(run: Run) -> None:
    metrics = {m.metric for m in summary.measurements(run)}
    assert "memory-per-instance-available" in metrics
    assert not metrics & {"memory-available", "memory-pss"}


def test_the_same_run_gives_the_same_figures(run: Run) -> None:
    assert summary_text.document(run) == summary_text.document(run_folder.load(run.path))


def shown(run: Run) -> str:
    text = io.StringIO()
    summary_text.show(run, Console(file=text, width=120))
    return text.getvalue()


def test_an_emulated_machine_is_labelled_everywhere(run: Run) -> None:
    text = shown(run)
    assert "machines emulated (TCG)" in text
    machines = [line for line in text.splitlines() if line.startswith(("vm ", "microvm "))]
    assert machines
    assert all("(emulated)" in line for line in machines)
    assert "KVM" not in text


def test_under_kvm_nothing_is_labelled_emulated(tmp_path: Path) -> None:
    text = shown(run_folder.load(write(tmp_path / "run", accelerator="kvm")))
    assert "emulated" not in text
    assert "machines under KVM" in text


def test_the_text_has_units_and_failures(run: Run) -> None:
    text = shown(run)
    assert "3.36 ms" in text
    assert "320 MiB" in text
    assert "failed: startup: microvm did not reach first-instruction within 60 s" in text


def test_conditions_and_each_failure_stand_once(run: Run) -> None:
    text = io.StringIO()
    summary_text.show(run, Console(file=text, width=200))
    reason = "failed: startup: microvm did not reach first-instruction within 60 s"
    for shown in (text.getvalue(), summary_text.markdown(run)):
        assert shown.count(reason) == 1
        assert shown.startswith("host plausible · 2 CPUs AMD EPYC")


def test_one_is_not_several(tmp_path: Path) -> None:
    path = write(tmp_path / "run", host={**HOST, "cpus": 1}, disturbed={3: "others"})
    run = run_folder.load(path)
    assert " · 1 CPU AMD EPYC · " in provenance.line(run)
    assert provenance.disturbances(run).startswith("Disturbed rounds: 1 of 15 (")


def test_a_host_without_facts_is_shown_by_its_fields(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", {"hostname": "bare", "cpus": 4}, {"seed": 1}) as made:
        made.append([start("native", 0, 0.1)])
    text = provenance.facts(run_folder.load(tmp_path / "run"))
    assert "| hostname | bare |" in text
    assert "| seed | 1 |" in text


def test_a_run_of_an_image_names_it_and_what_ready_means(tmp_path: Path) -> None:
    image = {"reference": "app:1", "digest": "sha256:1", "ready": "TCP port 80 answers"}
    samples = [start("container", 0, 0.1)]
    line = provenance.line(folder(tmp_path / "run", samples, image=image))
    assert " · image app:1 (sha256:1), ready when TCP port 80 answers" in line
    line = provenance.line(folder(tmp_path / "common", samples, image=None))
    assert "image" not in line


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", [start("native", 0, 0.1)], interrupted=True)
    assert "interrupted" in provenance.line(run)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0024, "second", "2.40 ms"), (3e-7, "second", "300 ns"), (119.0, "second", "119 s"),
        (150.0, "second", "2.50 min"), (0.0, "byte", "0 B"), (513_000.0, "byte", "501 KiB"),
        (4096.0, "byte", "4 KiB"), (1.034, "ratio", "1.03 ×"), (3812.4, "ratio", "3,812 ×"),
        (500.0, "integer", "500"), (None, "second", "—"), (2.0, "parsec", "2 parsec"),
    ],
)  # fmt: skip
def test_quantities_are_readable(value: float | None, unit: str, text: str) -> None:
    assert units.quantity(value, unit) == text
