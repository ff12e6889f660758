"""The run folder: written once, saved after each round, and refused if it is corrupt."""

from __future__ import annotations

from pathlib import Path

import pyperf
import pytest

from lab.analysis import provenance, summary_text
from lab.errors import LabError
from lab.measurement import run
from lab.measurement.request import RunRequest
from lab.results import run_folder, sample
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab import plausible

HOST = {"hostname": "here"}


SETTINGS = {"profile": "quick", "accelerator": "tcg", "page_cache": "warm", "seed": 1}


def start(round_number: int, value: float, target: str = "container") -> Sample:
    return Sample("startup", target, "first-instruction", "second", round_number, value)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    with RunFolder(path, HOST, SETTINGS) as folder:
        folder.append([start(0, 0.002), start(0, 0.004, "runc")])
        folder.append([start(1, 0.003), start(1, 0.005, "runc")])
    return path


def test_what_was_written_is_read(written: Path) -> None:
    run = run_folder.load(written)
    assert run.host == HOST
    assert run.settings == SETTINGS
    container = run.samples[run.samples.target == "container"]
    assert list(container.value) == [0.002, 0.003]
    assert list(container["round"]) == [0, 1]


def test_pyperf_reads_the_suite(written: Path) -> None:
    suite = pyperf.BenchmarkSuite.load(str(written / "startup.json"))
    benchmark = suite.get_benchmark("runc/first-instruction")
    assert benchmark.get_values() == (0.004, 0.005)
    assert benchmark.get_unit() == "second"
    assert benchmark.get_metadata()["accelerator"] == "tcg"


def test_bytes_are_whole_numbers_for_pyperf(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as folder:
        folder.append([Sample("footprint", "vm", "image-on-disk", "byte", 0, 1048576.0)])
        folder.append([Sample("footprint", "vm", "instance-disk", "byte", 0, 0.0)])
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "run" / "footprint.json"))
    assert suite.get_benchmark("vm/image-on-disk").get_values() == (1048576,)
    assert suite.get_benchmark_names() == ["vm/image-on-disk"]


def test_a_finished_round_is_on_disk(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", HOST, SETTINGS)
    folder.append([start(0, 0.002)])
    # The run is killed here: the folder is never closed.
    assert len(run_folder.load(tmp_path / "run").samples) == 1
    assert pyperf.BenchmarkSuite.load(str(tmp_path / "run" / "startup.json"))


def test_a_censored_sample_keeps_its_reason(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as folder:
        folder.append(
            [Sample("startup", "vm", "ready", "second", 0, None, censored="hung, after 9 s")]
        )
    (sample,) = run_folder.load(tmp_path / "run").samples.to_dict("records")
    assert sample["censored"] == "hung, after 9 s"
    assert sample["value"] != sample["value"]  # NaN


def test_a_folder_that_is_not_empty_is_refused(written: Path) -> None:
    before = (written / "measurements.csv").read_bytes()
    with pytest.raises(LabError, match="is not empty"):
        RunFolder(written, HOST, SETTINGS)
    assert (written / "measurements.csv").read_bytes() == before


def test_a_folder_that_is_not_empty_is_refused_before_a_build(written: Path) -> None:
    with pytest.raises(LabError, match="is not empty"):
        run.measure(RunRequest(out=written))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="Can't write the run folder"):
        RunFolder(tmp_path / "file" / "run", HOST, SETTINGS)


@pytest.mark.parametrize("name", ["host.json", "run.json"])
def test_a_corrupt_document_is_named(written: Path, name: str) -> None:
    (written / name).write_text('{"half": ')
    with pytest.raises(LabError, match=f"{name} is corrupt"):
        run_folder.load(written)


def test_a_folder_without_host_is_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is not a run folder"):
        run_folder.load(tmp_path)
    with pytest.raises(LabError, match="no such directory"):
        run_folder.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "\x00\x01", ",".join(sample.COLUMNS) + "\na,b,c,second,x,0.1,0,,\n"],
)
def test_a_corrupt_table_is_refused(written: Path, text: str) -> None:
    (written / "measurements.csv").write_text(text)
    with pytest.raises(LabError, match=r"measurements\.csv"):
        run_folder.load(written)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1" + "0" * 400])
def test_a_stored_value_that_is_not_finite_is_read_as_censored(written: Path, text: str) -> None:
    table = written / "measurements.csv"
    table.write_text(table.read_text().replace("0.003", text))
    read = run_folder.load(written).samples
    assert read["value"].isna().sum() == 1
    assert "which is not a finite number" in read.loc[read["value"].isna(), "censored"].iloc[0]


def torn(text: bytes) -> dict[str, bytes]:
    *lines, last = text.splitlines(keepends=True)
    whole = b"".join(lines)
    return {
        "in a field": whole + last[: len(last) // 2],
        "after a comma": whole + last[: last.index(b",") + 1],
        "in its first field": whole + last[:2],
        "before its end": whole + last.rstrip(),
        "in quotes": whole + b'startup,container,"half\n',
        "zeros": whole + last[:9] + bytes(512),
    }


@pytest.mark.parametrize("how", torn(b"a,b\n"))
@pytest.mark.parametrize("name", ["measurements.csv", "rounds.csv"])
def test_a_torn_last_line_is_ignored_and_reported(tmp_path: Path, name: str, how: str) -> None:
    path = plausible.write(tmp_path / "run", experiments=("startup",))
    table = path / name
    whole = run_folder.load(path)
    table.write_bytes(torn(table.read_bytes())[how])
    read = run_folder.load(path)
    lost = [
        len(a) - len(b) for a, b in ((whole.samples, read.samples), (whole.rounds, read.rounds))
    ]
    assert lost == ([1, 0] if name == "measurements.csv" else [0, 1])
    assert f"{name}, the last one, is torn and ignored" in provenance.line(read)
    assert summary_text.document(read)["run"]["torn"] == list(read.torn)


def test_zeros_after_the_last_line_are_reported(written: Path) -> None:
    with (written / "measurements.csv").open("ab") as file:
        file.write(bytes(4096))
    read = run_folder.load(written)
    assert len(read.samples) == 4
    assert read.torn == ("measurements.csv ends in zero bytes: its last lines were lost",)


def test_a_torn_line_in_the_middle_is_refused(written: Path) -> None:
    table = written / "measurements.csv"
    lines = table.read_text().splitlines(keepends=True)
    lines.insert(2, "startup,cont\n")
    table.write_text("".join(lines))
    with pytest.raises(LabError, match="line 3 has 2 fields, not 9"):
        run_folder.load(written)


@pytest.mark.parametrize(
    "field", ["NaN", "Infinity", "1e400", "1" + "0" * 400], ids=lambda text: text[:8]
)
def test_a_document_with_a_number_that_is_not_finite_is_refused(written: Path, field: str) -> None:
    (written / "host.json").write_text(f'{{"memory_bytes": {field}}}')
    with pytest.raises(LabError, match=r"host\.json is corrupt"):
        run_folder.load(written)


def test_a_name_of_two_lines_is_kept(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as folder:
        folder.append([Sample("startup", "a\nb", "x", "second", 0, 1.0)])
    assert list(run_folder.load(tmp_path / "run").samples["target"]) == ["a\nb"]


def test_new_folders_do_not_collide(tmp_path: Path) -> None:
    first = run_folder.new_folder(tmp_path, "here")
    first.mkdir()
    second = run_folder.new_folder(tmp_path, "here")
    assert first != second
    assert first.name.endswith("-here")
