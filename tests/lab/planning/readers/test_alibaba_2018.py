"""Alibaba's trace of 2018: states of containers and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import alibaba_2018

if TYPE_CHECKING:
    from pathlib import Path

CONTAINERS = """\
c_1,m_1,0,app_1,started,400,400,1.56
c_1,m_1,500,app_1,started,800,800,3.13
c_2,m_2,0,app_1,started,800,800,3.13
c_3,m_2,0,app_2,started,400,400,1.56
c_3,m_2,300,app_2,stopped,400,400,1.56
c_4,m_2,0,app_2,allocated,400,400,101
c_5,m_2,0,app_2,unknown,400,400,-1
c_6,m_2,0,app_1,started,400,400,1.56
"""
MACHINES = """\
m_1,0,18,a,96,100,USING
m_2,0,18,b,96,100,USING
m_3,0,19,a,64,50,USING
m_3,9,19,a,96,100,USING
m_4,0,19
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    (tmp_path / "container_meta.csv").write_text(CONTAINERS)
    (tmp_path / "machine_meta.csv").write_text(MACHINES)
    return tmp_path


def test_the_newest_states_are_counted_by_unit_and_size(trace: Path) -> None:
    found = alibaba_2018.read(str(trace))
    assert found.services == (
        Service("app_1", 2, {"cpus": 8.0, "memory_share": 3.13 / 100}),
        Service("app_1 (2)", 1, {"cpus": 4.0, "memory_share": 1.56 / 100}),
    )
    size = {"cpus": 96.0, "memory_share": 1.0}
    assert found.hosts == (
        Host("machines of 96 CPUs, memory 1", size, count=2, zone="18"),
        Host("machines of 96 CPUs, memory 1", size, count=1, zone="19"),
    )
    assert found.broken == (
        BrokenLine(6, "container_meta.csv: mem_size is 101, which is above 100"),
        BrokenLine(7, "container_meta.csv: mem_size is -1, which is not a number of 0 or more"),
        BrokenLine(5, "machine_meta.csv: it has 3 columns, 7 are needed"),
    )


def test_a_table_of_usage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "container_usage.csv"
    path.write_text("c_1,m_1,10,5,1.2\n")
    with pytest.raises(InvalidConfig, match="line 1: it has 5 columns, 8 are needed"):
        alibaba_2018.read(str(path))
