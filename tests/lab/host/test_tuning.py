"""Knobs are shown, set on request, and set back, on a simulated host."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import tuning

GOVERNOR = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
KSM = "sys/kernel/mm/ksm/run"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with two CPUs, one of them with a slow governor, KSM running, and huge pages."""
    for path, text in {
        GOVERNOR.format(0): "powersave\n",
        GOVERNOR.format(1): "performance\n",
        PAGES: "[always] madvise never\n",
        KSM: "1\n",
        "proc/sys/kernel/randomize_va_space": "2\n",
        "sys/devices/system/cpu/isolated": "\n",
        "run/lock": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def states(root: Path) -> dict[str, str]:
    return {each.name: each.state for each in tuning.look(root)}


def test_the_state_of_each_knob_is_found(root: Path) -> None:
    by_name = states(root)
    assert by_name["CPU governor"] == by_name["KSM"] == "would help"
    assert by_name["transparent huge pages"] == "would help"
    assert by_name["ASLR"] == by_name["swap"] == "as wanted"
    assert by_name["turbo (Intel)"] == "not here"
    assert by_name["isolated CPUs"] == "only at boot"


def test_looking_changes_nothing(root: Path) -> None:
    before = {path: path.read_text() for path in root.rglob("*") if path.is_file()}
    tuning.look(root)
    assert {path: path.read_text() for path in root.rglob("*") if path.is_file()} == before


def test_applied_values_are_undone(root: Path) -> None:
    changes = tuning.apply(root)
    assert "KSM: 1 → 0" in changes
    assert (root / KSM).read_text() == "0"
    assert (root / GOVERNOR.format(0)).read_text() == "performance"
    assert (root / PAGES).read_text() == "madvise"  # the kernel then shows it in brackets
    assert tuning.apply(root) == []
    restored = tuning.undo(root)
    assert "KSM: back to 1" in restored
    assert (root / KSM).read_text() == "1"
    assert (root / GOVERNOR.format(0)).read_text() == "powersave"
    assert (root / GOVERNOR.format(1)).read_text() == "performance\n"
    assert (root / PAGES).read_text() == "always"
    assert tuning.undo(root) == []


def test_the_first_values_are_stored_over_several_calls(root: Path) -> None:
    tuning.apply(root)
    (root / KSM).write_text("2")
    tuning.apply(root)
    tuning.undo(root)
    assert (root / KSM).read_text() == "1"


def test_a_knob_that_cannot_be_set_undoes_the_others(root: Path) -> None:
    class Stuck:
        name = "stuck"
        why = "for the test"

        def read(self, root: Path) -> dict[str, str]:
            return {"knob": "old"}

        def wanted(self, now: dict[str, str]) -> dict[str, str]:
            return {"knob": "new"}

        def write(self, root: Path, values: dict[str, str]) -> None:
            if values["knob"] == "new":
                raise OSError("it is stuck")

    with pytest.raises(LabError, match="Can't set stuck: it is stuck"):
        tuning.apply(root, (*tuning.KNOBS, Stuck()))
    assert (root / KSM).read_text() == "1"
    assert not (root / tuning.STORE).exists()


def test_this_host_can_be_inspected() -> None:
    assert {each.name for each in tuning.look()} == {knob.name for knob in tuning.KNOBS}
