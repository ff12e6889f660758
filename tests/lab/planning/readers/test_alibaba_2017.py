"""Alibaba's trace of 2017: events of containers and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import alibaba_2017

if TYPE_CHECKING:
    from pathlib import Path

CONTAINERS = """\
0,Create,1,10,4,0.04,0.02,1|2|3|4
0,Create,2,11,4,0.04,0.02,1|2|3|4
0,Create,3,11,8,0.08,0.05,1
100,Remove,3,11,8,0.08,0.05,
200,Create,4,11,many,0.08,0.05,1
300,Move,4,11,4,0.08,0.05,1
400,Create,5
"""
MACHINES = """\
0,10,add,,64,0.69,1
0,11,add,,64,0.69,1
0,12,add,,64,0.69,1
50,12,softerror,agent_check,,,
60,13,add,,,,
"""
SIZE = {"cpus": 4.0, "memory_share": 0.04, "disk_share": 0.02}
CAPACITY = {"cpus": 64.0, "memory_share": 0.69, "disk_share": 1.0}
SERVICE = Service("containers of 4 CPUs, memory 0.04, disk 0.02", 2, SIZE)
HOST = Host("machines of 64 CPUs, memory 0.69, disk 1", CAPACITY, count=2)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    (tmp_path / "container_event.csv").write_text(CONTAINERS)
    (tmp_path / "server_event.csv").write_text(MACHINES)
    return tmp_path


def test_what_exists_at_the_end_is_counted(trace: Path) -> None:
    found = alibaba_2017.read(str(trace))
    assert found.services == (SERVICE,)
    assert found.hosts == (HOST,)
    assert found.broken == (
        BrokenLine(5, "container_event.csv: plan_cpu is 'many', which is not a number"),
        BrokenLine(6, "container_event.csv: its event is 'Move', not Create or Remove"),
        BrokenLine(7, "container_event.csv: it has 3 columns, 7 are needed"),
        BrokenLine(5, "server_event.csv: the number of CPUs is missing"),
    )


def test_a_single_table_is_read_by_its_name(trace: Path) -> None:
    assert alibaba_2017.read(str(trace / "container_event.csv")).services == (SERVICE,)
    found = alibaba_2017.read(str(trace / "server_event.csv"))
    assert (found.services, found.hosts) == ((), (HOST,))


def test_a_folder_without_the_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidConfig, match="has neither of the tables container_event and server_event"
    ):
        alibaba_2017.read(str(tmp_path))


def test_the_first_of_two_creations_counts(tmp_path: Path) -> None:
    (tmp_path / "container_event.csv").write_text(
        "0,Create,10772,85,4,0.042,0.034,32|33,\n0,Create,10772,85,4,0.9999,0.034,32|33,\n"
        "5,Create,7,85,4,0.1,0,,\n6,Remove,7,85,4,0.1,0,,\n7,Create,7,85,4,0.2,0,,\n"
    )
    found = alibaba_2017.read(str(tmp_path))
    assert [each.requests["memory_share"] for each in found.services] == [0.042, 0.2]
    reason = "container_event.csv: container 10772 is created again: the first time counts"
    assert found.broken == (BrokenLine(2, reason),)
