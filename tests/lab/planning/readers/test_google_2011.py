"""Google's trace of 2011: events of tasks and machines, in parts."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import google_2011

if TYPE_CHECKING:
    from pathlib import Path

# time, missing info, job, index, machine, event, user, class, priority, CPU, memory, disk, apart
FIRST = """\
0,2,3418309,0,4155527081,0,u,3,9,0.125,0.07446,0.0004244,0
0,2,3418309,1,329150663,0,u,3,9,0.125,0.07446,0.0004244,0
0,,3418314,0,,0,u,3,9,0.0625,0.0318,0.0001,1
0,,3418314,1,,0,u,3,9,0.0625,0.0318,0.0001,1
0,,3418319,0,,0,u,3,9,0.5,0.25,,0
5,,3418320,0,,0,u,3,9,,,,0
6,,3418320,1,,9,u,3,9,0.5,0.25,0,0
7,,3418320,2,,0,u,3,9,0,0,0,0
"""
SECOND = """\
10,,3418309,1,329150663,1,u,3,9,0.125,0.07446,0.0004244,0
11,,3418319,0,,4,u,3,9,0.5,0.25,,0
12,,3418314,0,,8,u,3,9,0.25,0.0318,0.0001,1
13,,3418309,0,,1,u,3,9,,,,0
"""
MACHINES = """\
0,5,0,HofLGzk1Or/8Ildj2+Lqv0UGGvY82NLoni8+J/Yy0RU=,0.5,0.2493
0,6,0,HofLGzk1Or/8Ildj2+Lqv0UGGvY82NLoni8+J/Yy0RU=,0.5,0.2493
0,7,0,x,1,1
9,7,1,x,1,1
9,8,0,x,,
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    for name in ("task_events", "machine_events"):
        (tmp_path / name).mkdir()
    (tmp_path / "task_events/part-00000-of-00500.csv.gz").write_bytes(gzip.compress(FIRST.encode()))
    (tmp_path / "task_events/part-00001-of-00500.csv").write_text(SECOND)
    (tmp_path / "machine_events/part-00000-of-00001.csv").write_text(MACHINES)
    return tmp_path


def test_tasks_that_have_not_ended_are_counted_by_job_and_size(trace: Path) -> None:
    found = google_2011.read(str(trace))
    assert found.services == (
        Service("job 3418309", 2, {"cpu_share": 0.125, "memory_share": 0.07446}),
        Service("job 3418314", 1, {"cpu_share": 0.25, "memory_share": 0.0318}, per_host=1),
        Service("job 3418314 (2)", 1, {"cpu_share": 0.0625, "memory_share": 0.0318}, per_host=1),
    )
    assert found.hosts == (
        Host(
            "machines of CPU 0.5, memory 0.2493",
            {"cpu_share": 0.5, "memory_share": 0.2493},
            count=2,
        ),
    )
    assert found.broken == (
        BrokenLine(6, "part-00000-of-00500.csv.gz: the CPU request is missing"),
        BrokenLine(7, "part-00000-of-00500.csv.gz: its event is '9', not 0 to 8"),
        BrokenLine(8, "part-00000-of-00500.csv.gz: it has neither CPU nor memory"),
        BrokenLine(5, "part-00000-of-00001.csv: the CPU capacity is missing"),
    )


def test_without_machines_tasks_keep_their_disk(trace: Path) -> None:
    found = google_2011.read(str(trace / "task_events/part-00000-of-00500.csv.gz"))
    assert found.hosts == ()
    assert found.services[0].requests == {
        "cpu_share": 0.125,
        "memory_share": 0.07446,
        "disk_share": 0.0004244,
    }


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job_events.csv"
    path.write_text("0,,3418309,0,user,2,a,b\n")
    with pytest.raises(InvalidConfig, match="line 1: it has 8 columns, 13 are needed"):
        google_2011.read(str(path))
