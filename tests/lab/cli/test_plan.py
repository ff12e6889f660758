"""`tonnage plan`: outputs, exit codes and errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lab.cli import exit_codes, main

EXAMPLE = Path(__file__).parents[3] / "examples" / "plan.toml"
PLAN = """
[[service]]
name = "web"
replicas = 7
cpus = 1
[[host]]
name = "node"
cpus = 3
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a plan of three hosts, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the output of a run of `tonnage plan` that succeeds."""
    assert main.main(["plan", *arguments]) == exit_codes.DONE
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def test_the_first_line_is_the_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = run(capsys, str(path)).splitlines()
    assert first.startswith("3 hosts; 2 can't be (bound 2.")
    assert second == "CPU binds: 77.8 % of it is used."


def test_json_holds_a_proof_that_is_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run(capsys, str(path), "--format", "json")
    assert json.loads(document)["plan"]["hosts"] == 3
    proof = path.with_name("plan.json")
    proof.write_text(document)
    checked = run(capsys, "--check", str(proof))
    assert checked == "The proof holds: no plan has fewer than 3 hosts; this one has 3.\n"
    proof.write_text(document.replace('"bound": 3', '"bound": 4'))
    assert main.main(["plan", "--check", str(proof)]) == exit_codes.MEASUREMENT_FAILED
    assert "the proof does not hold: bound" in capsys.readouterr().out


def test_a_proof_of_one_host_is_told_in_the_language(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(PLAN.replace("replicas = 7", "replicas = 1"))
    proof = path.with_name("plan.json")
    proof.write_text(run(capsys, str(path), "--format", "json"))
    checked = run(capsys, "--check", str(proof))
    assert checked == "The proof holds: no plan has fewer than 1 host; this one has 1.\n"
    checked = run(capsys, "--check", str(proof), "--lang", "zh")
    assert checked == "证明成立：没有规划少于 1 台宿主机；此规划为 1 台。\n"


def test_a_cheapest_plan_is_checked_in_its_unit(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(f'[plan]\nobjective = "price"\n{PLAN}price = 20\n[[host]]\nname = "big"\n'
                    "cpus = 8\nprice = 50\n")  # fmt: skip
    assert run(capsys, str(path)).startswith("1 host for 50 a month; less can't be (bound ")
    proof = path.with_name("plan.json")
    proof.write_text(run(capsys, str(path), "--format", "json"))
    checked = run(capsys, "--check", str(proof))
    assert checked == "The proof holds: no plan costs less than 50; this one costs 50.\n"


def test_csv_has_a_line_for_each_service_of_a_pattern(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.DictReader(run(capsys, str(path), "--format", "csv").splitlines()))
    assert sum(int(row["hosts"]) * int(row["replicas_on_each"]) for row in rows) == 7


def test_files_and_a_picture_are_written(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, picture = path.with_name("out"), path.with_name("hosts.svg")
    run(capsys, str(path), "--out", str(folder), "--picture", str(picture))
    assert sorted(each.name for each in folder.iterdir()) == ["plan.csv", "plan.json", "plan.png"]
    assert json.loads((folder / "plan.json").read_text())["plan"]["hosts"] == 3
    assert picture.read_text().startswith("<?xml")


def test_the_example_says_that_its_machines_were_emulated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = run(capsys, str(EXAMPLE))
    assert "were emulated (TCG): what they take under KVM is not known." in text
    assert "database" in text
    document = json.loads(run(capsys, str(EXAMPLE), "--format", "json"))
    assert document["plan"]["emulated"] is True
    assert document["plan"]["optimal"] is True


def test_what_was_measured_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, str(EXAMPLE), "--draws", "50")
    assert " of 50 draws of what was measured" in text
    document = json.loads(run(capsys, str(EXAMPLE), "--format", "json", "--seed", "3"))
    assert (document["draws"]["draws"], document["draws"]["seed"]) == (1000, 3)
    assert 0 <= document["draws"]["hold"] <= 1


def test_what_if_tells_of_losses_growth_and_assumptions(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(PLAN.replace("cpus = 1", 'cpus = 1\ngrowth = "20 %"'))
    lines = run(capsys, str(path), "--what-if").splitlines()
    assert "These hosts are too few from month 2 on: 4 are then needed." in lines
    document = json.loads(run(capsys, str(path), "--what-if", "--format", "json"))
    growth = document["growth"]
    assert (growth["month"], growth["hosts"], growth["is_exact"]) == (2, 4, True)
    assert {loss["level"] for loss in document["losses"]} == {"host"}
    assert document["sensitivity"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name a plan file, or a plan to --check, and not both."),
        (["plan.toml", "--check", "plan.json"], "Name a plan file, or a plan to --check, and not"),
        (["nowhere.toml"], "nowhere.toml can't be read: No such file or directory."),
        (["--check", "nowhere.json"], "nowhere.json can't be read: No such file or directory."),
        (["--check", "plan.toml"], "plan.toml is not valid JSON: "),
        (["plan.toml", "--picture", "x.gif"], "x.gif: a picture's name ends in .png"),
        (["plan.toml", "--picture", "a/x.png"], "a/x.png: there is no folder "),
        (["plan.toml", "--out", "plan.toml"], "plan.toml is no folder: name another with --out."),
    ],
)
def test_bad_usage_is_one_sentence(
    path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["plan", *arguments]) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert output.err.startswith(f"tonnage: {sentence}")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert [each.name for each in path.parent.iterdir()] == ["plan.toml"]


def test_an_impossible_plan_exits_with_2(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(PLAN.replace("cpus = 1", "cpus = 4"))
    assert main.main(["plan", str(path)]) == exit_codes.BAD_USAGE
    expected = "tonnage: web requests 4 CPUs, more than any of its hosts has (3 CPUs).\n"
    assert capsys.readouterr().err == expected
