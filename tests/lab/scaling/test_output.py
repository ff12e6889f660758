"""The output of a result: text, JSON, CSV and the picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import ReportFailed
from lab.report import peak, picture
from lab.scaling import document, replications, text
from lab.scaling.results import Result
from tests.lab.plausible import write as write_run
from tests.lab.report.pictures import words
from tests.lab.scaling.scenarios import PEAK, load


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return replications.run(load(tmp_path_factory.mktemp("output")), 2, 1, processes=1)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("emulated")
    write_run(folder / "run", experiments=("startup", "burst"))
    start = '{ distribution = "burst", run = "run", target = "vm" }'
    return replications.run(load(folder, PEAK, start=start), 1, 1, processes=1)


def test_text_has_every_figure(result: Result) -> None:
    lines = text.lines(result)
    assert lines[0].startswith("peak: 2 min, ")
    assert lines[0].endswith(" requests, 2 replications, seed 1")
    assert lines[1] == "objective: 99 % of the requests answered within 1 s"
    assert lines[3].split() == ["container", "machine"]
    for name in ("missed (lost, late)", "missed in the peak", "latency, p99", "until recovered",
                 "start of an instance", "instance-hours", "cost"):  # fmt: skip
        assert any(line.startswith(name) for line in lines), name
    assert not any(line.startswith("node-hours") for line in lines)
    assert any(line.startswith("finding: container, started in 20 ms") for line in lines)
    assert "emulated" not in "\n".join(lines)


def test_emulated_starts_are_labelled_everywhere(emulated: Result) -> None:
    assert "container (emulated)" in text.lines(emulated)[3]
    assert text.EMULATED in text.lines(emulated)
    assert "emulated" in words(peak.draw(emulated))
    assert [each["starts_emulated"] for each in document.document(emulated)["variants"]] == [
        True, False,
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(document.csv_text(emulated))))
    assert {(row["variant"], row["emulated"]) for row in rows} == {
        ("container", "yes"), ("machine", "no"),
    }  # fmt: skip


def test_json_has_figures_and_series(result: Result) -> None:
    parsed = json.loads(json.dumps(document.document(result), allow_nan=False))
    assert parsed["scenario"] == "peak"
    assert parsed["peak_seconds"] == [30.0, 60.0]
    quick = parsed["variants"][0]
    assert quick["figures"]["missed-in-peak"]["unit"] == "%"
    assert 0 < quick["figures"]["missed-in-peak"]["mean"] < 100
    assert quick["figures"]["latency-p50"]["n"] == 2
    assert len(quick["series"]) == 120
    assert set(quick["series"][0]) == set(document.COLUMNS[2:])


def test_csv_has_a_row_for_each_second(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(document.csv_text(result))))
    assert len(rows) == 2 * 120
    assert tuple(rows[0]) == document.COLUMNS
    assert [row["begin_seconds"] for row in rows[:3]] == ["0", "1", "2"]
    assert float(rows[40]["arrived_per_second"]) == pytest.approx(400, rel=0.1)


def test_csv_has_every_second_of_a_year(result: Result) -> None:
    one = result.variants[0]
    year = replace(one.series, begins=one.series.begins + 31_483_440)
    text_of = document.csv_text(replace(result, variants=(replace(one, series=year),)))
    rows = list(csv.DictReader(io.StringIO(text_of)))
    assert [row["begin_seconds"] for row in rows[:2]] == ["31483440", "31483441"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (1, "container: 1 of 2 replications missed the objective until the end; the time until"
            " recovered is of the others"),
        (2, "container: no replication met the objective again until the end"),
    ],
)  # fmt: skip
def test_replications_that_never_recover_are_told(
    result: Result, number: int, sentence: str
) -> None:
    one = replace(result.variants[0], never_recovered=number)
    assert sentence in text.notes(replace(result, variants=(one, result.variants[1])))


def test_one_request_is_in_the_singular(result: Result) -> None:
    one = replace(result.variants[0], requests=2)
    first, *_ = text.lines(replace(result, variants=(one, result.variants[1])))
    assert first == "peak: 2 min, 1 request, 2 replications, seed 1"


def test_the_picture_states_the_finding(result: Result) -> None:
    picture = peak.draw(result)
    title = str(picture.finding)
    assert title.startswith("Container, started in 20 ms, misses ")
    assert "".join(title.split()) in "".join(words(picture).split())
    for word in ("objective 1 s", "2 replications, seed 1", "requests /s", "instances", "machine"):
        assert word in words(picture)
    assert picture.alt == f"{title}."


@pytest.mark.parametrize("kind", picture.SUFFIXES)
def test_equal_results_give_equal_files(result: Result, tmp_path: Path, kind: str) -> None:
    if kind == ".svg":
        peak.draw(result).write(tmp_path / "one.svg")
        assert (tmp_path / "one.svg").read_text().lstrip().startswith("<?xml")
        return
    for name in ("one", "two"):
        peak.draw(result).write(tmp_path / f"{name}{kind}")
    assert (tmp_path / f"one{kind}").read_bytes() == (tmp_path / f"two{kind}").read_bytes()


def test_a_picture_that_can_not_be_written(result: Result, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(ReportFailed, match=r"Can't write .*folder.svg: Is a directory"):
        peak.draw(result).write(tmp_path / "folder.svg")
