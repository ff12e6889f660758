"""Services and hosts that a plan imports from files of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InvalidConfig
from lab.planning import plan_file
from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Inventory, Service
from lab.planning.plan import make_plan

VBP = "2\n10 10\n2\n5 4 4\n3 {} 2\n"
IMPORT = '[[import]]\nvbp = "a.vbp"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a plan file beside an instance of two kinds of items."""
    (tmp_path / "a.vbp").write_text(VBP.format(3))
    return tmp_path / "plan.toml"


def test_what_a_reader_finds_is_planned(path: Path) -> None:
    path.write_text(IMPORT)
    file = plan_file.read(path)
    assert file.services == (
        Service("item 1", 4, {"dimension 1": 5.0, "dimension 2": 4.0}),
        Service("item 2", 2, {"dimension 1": 3.0, "dimension 2": 3.0}),
    )
    assert file.hosts == (Host("bin", {"dimension 1": 10.0, "dimension 2": 10.0}),)
    assert file.notes == ()
    assert make_plan(file.services, file.hosts).host_count == 3


def test_growth_and_head_room_of_the_plan_hold_for_imports(path: Path) -> None:
    path.write_text('[plan]\nmonths = 1\ngrowth = "50 %"\nhead-room = "50 %"\n' + IMPORT)
    file = plan_file.read(path)
    assert [service.replicas for service in file.services] == [6, 3]
    assert file.hosts[0].capacity == {"dimension 1": 5.0, "dimension 2": 5.0}
    assert file.growth == {"item 1": 0.5, "item 2": 0.5}


def test_several_sources_and_stated_services_are_planned_together(path: Path) -> None:
    path.write_text(
        '[[import]]\nvbp = ["a.vbp"]\n[[service]]\nname = "web"\nreplicas = 1\ncpus = 1\n'
        '[[host]]\nname = "node"\ncpus = 2\n'
    )
    file = plan_file.read(path)
    assert [service.name for service in file.services] == ["web", "item 1", "item 2"]
    assert file.hosts[0].capacity == {CPUS: 2.0}
    assert len(file.hosts) == 2


def test_imports_state_their_wrapping_in_a_mixed_plan(path: Path) -> None:
    run = Path(__file__).parents[3] / "results" / "2026-11-29-vm"
    wrapping = f'[wrapping]\nkind = "mixed"\nrun = "{run}"\nmachine = "microvm"\n'
    host = '[[host]]\nname = "node"\nmemory = "1 GiB"\n'
    path.write_text(wrapping + IMPORT + 'wrapping = "vm"\n' + host)
    assert plan_file.read(path).services[0].requests == {
        "dimension 1": 5.0,
        "dimension 2": 4.0,
        MEMORY_BYTES: 162_900_000.0,
    }
    path.write_text(wrapping + IMPORT + host)
    with pytest.raises(InvalidConfig, match="service item 1: wrapping is missing"):
        plan_file.read(path)
    path.write_text(IMPORT + 'wrapping = ["vm"]\n')
    with pytest.raises(InvalidConfig, match="import 1: wrapping must be container or vm"):
        plan_file.read(path)


def test_two_sources_with_equal_names_are_told_apart_by_a_prefix(path: Path) -> None:
    path.write_text(IMPORT + IMPORT)
    with pytest.raises(InvalidConfig, match=r"item 1 is given twice.* or its import a prefix"):
        plan = plan_file.read(path)
        make_plan(plan.services, plan.hosts)
    path.write_text(IMPORT + 'prefix = "east-"\n' + IMPORT + 'prefix = "west-"\n')
    file = plan_file.read(path)
    assert [service.name for service in file.services] == [
        "east-item 1", "east-item 2", "west-item 1", "west-item 2",
    ]  # fmt: skip
    assert [host.name for host in file.hosts] == ["east-bin", "west-bin"]
    assert make_plan(file.services, file.hosts).host_count == 6
    path.write_text(IMPORT + "prefix = 1\n")
    with pytest.raises(InvalidConfig, match="import 1: prefix must be a text"):
        plan_file.read(path)


def test_a_prefix_goes_to_all_that_names_a_service_or_a_host() -> None:
    services = (
        Service("web", 1, {CPUS: 1.0}, apart_from=frozenset({"db"}), hosts=frozenset({"node"})),
        Service("db", 1, {CPUS: 1.0}),
    )
    found = Inventory(services, (Host("node", {CPUS: 2.0}),)).renamed("a-".__add__, "b-".__add__)
    assert found.services[0].apart_from == {"a-db"}
    assert found.services[0].hosts == frozenset({"b-node"})
    assert found.services[1].hosts is None


def test_a_broken_line_is_refused_by_its_number(path: Path) -> None:
    path.with_name("a.vbp").write_text(VBP.format("x"))
    path.write_text(IMPORT)
    with pytest.raises(InvalidConfig) as raised:
        plan_file.read(path)
    assert str(raised.value).startswith(f"{path}: import 1: a.vbp, line 5: ")
    assert str(raised.value).endswith("; skip-broken = true leaves such lines out.")


def test_broken_lines_are_left_out_on_request_and_noted(path: Path) -> None:
    path.with_name("a.vbp").write_text(VBP.format("x") + "1 2 3 4 5\n")
    path.write_text(IMPORT + "skip-broken = true\n")
    file = plan_file.read(path)
    assert [service.name for service in file.services] == ["item 1"]
    assert len(file.notes) == 1
    assert file.notes[0].startswith("Left out: a.vbp, line 5: ")
    assert file.notes[0].endswith(" (and 1 more).")
