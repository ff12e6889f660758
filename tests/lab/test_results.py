"""The run folder: written once, kept round by round, refused when it is corrupt."""

from __future__ import annotations

from pathlib import Path

import pyperf
import pytest

from lab import results, run
from lab.errors import LabError
from lab.results import RunFolder, Sample

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
    run = results.load(written)
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


def test_a_round_is_on_disk_before_the_next_begins(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", HOST, SETTINGS)
    folder.append([start(0, 0.002)])
    # The run is killed here: the folder is never closed.
    assert len(results.load(tmp_path / "run").samples) == 1
    assert pyperf.BenchmarkSuite.load(str(tmp_path / "run" / "startup.json"))


def test_a_censored_sample_keeps_its_reason(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as folder:
        folder.append(
            [Sample("startup", "vm", "ready", "second", 0, None, censored="hung, after 9 s")]
        )
    (sample,) = results.load(tmp_path / "run").samples.to_dict("records")
    assert sample["censored"] == "hung, after 9 s"
    assert sample["value"] != sample["value"]  # NaN


def test_a_folder_that_holds_something_is_refused(written: Path) -> None:
    before = (written / "measurements.csv").read_bytes()
    with pytest.raises(LabError, match="is not empty"):
        RunFolder(written, HOST, SETTINGS)
    assert (written / "measurements.csv").read_bytes() == before


def test_a_folder_that_holds_something_is_refused_before_anything_is_built(written: Path) -> None:
    with pytest.raises(LabError, match="is not empty"):
        run.measure(run.Request(out=written))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="Can't write the run folder"):
        RunFolder(tmp_path / "file" / "run", HOST, SETTINGS)


@pytest.mark.parametrize("name", ["host.json", "run.json"])
def test_a_corrupt_document_is_named(written: Path, name: str) -> None:
    (written / name).write_text('{"half": ')
    with pytest.raises(LabError, match=f"{name} is corrupt"):
        results.load(written)


def test_a_folder_without_host_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is not a run folder"):
        results.load(tmp_path)
    with pytest.raises(LabError, match="no such directory"):
        results.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "\x00\x01", ",".join(results.COLUMNS) + "\na,b,c,second,x,0.1,0,,\n"]
)
def test_a_corrupt_table_is_refused(written: Path, text: str) -> None:
    (written / "measurements.csv").write_text(text)
    with pytest.raises(LabError, match=r"measurements\.csv"):
        results.load(written)


def test_new_folders_do_not_collide(tmp_path: Path) -> None:
    first = results.new_folder(tmp_path, "here")
    first.mkdir()
    second = results.new_folder(tmp_path, "here")
    assert first != second
    assert first.name.endswith("-here")
