"""The picture of packed hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.container import BarContainer
from matplotlib.patches import Rectangle

from lab.errors import ReportFailed
from lab.planning.solution import Pattern
from lab.report import plan_picture
from lab.report.picture import Picture
from tests.lab.planning.planned import plan, plan_file


def bars(picture: Picture, row: int) -> list[tuple[float, float, float, float]]:
    """Return place, width, bottom and height of each bar of a resource's row."""
    found = []
    for container in picture.axes[row].containers:
        assert isinstance(container, BarContainer)
        for bar in container:
            assert isinstance(bar, Rectangle)
            found.append((bar.get_x(), bar.get_width(), bar.get_y(), bar.get_height()))
    return found


def test_a_pattern_is_as_wide_as_its_hosts_and_as_high_as_its_shares() -> None:
    patterns = (
        Pattern("node", (("web", 2), ("db", 1)), 1),
        Pattern("node", (("web", 3),), 4),
    )
    picture = plan_picture.draw(plan_file(), plan(patterns))
    # Per pattern its services, then what is stranded: the pattern with the most hosts is first.
    assert bars(picture, 0) == [
        (0, 4, 0.0, 0.75),
        (0, 4, 0.75, 0.0),
        (4, 1, 0.0, 0.5),
        (4, 1, 0.5, 0.25),
        (4, 1, 0.75, 0.25),
    ]
    assert bars(picture, 1) == [
        (0, 4, 0.0, 0.375),
        (0, 4, 0.375, 0.5),
        (4, 1, 0.0, 0.25),
        (4, 1, 0.25, 0.75),
        (4, 1, 1.0, 0.0),
    ]
    assert picture.axes[0].get_xlim() == (0.0, 5.0)


def test_the_title_states_the_finding_and_the_foot_what_was_emulated() -> None:
    picture = plan_picture.draw(plan_file(notes=("The machines were emulated.",)), plan(bound=1))
    assert picture.finding == "2 hosts; at least 1 (gap 100 %)."
    assert picture.alt == "2 hosts; at least 1 (gap 100 %). CPU 75 % used; memory 68.8 % used."
    foot = " ".join(each.get_text() for each in picture.texts)
    assert "Plan plan.toml. The machines were emulated." in foot.replace("\n", " ")


@pytest.mark.parametrize("name", ["plan.png", "plan.svg", "plan.PDF"])
def test_a_picture_is_written_by_its_suffix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    plan_picture.draw(plan_file(), plan()).write(path)
    begins = {"g": (b"\x89PNG", b"<?xml"), "F": (b"%PDF",)}[name[-1]]
    assert path.read_bytes().startswith(begins)


def test_the_same_plan_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        plan_picture.draw(plan_file(), plan()).write(tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_place_that_is_gone_when_the_plan_is_ready(tmp_path: Path) -> None:
    with pytest.raises(ReportFailed, match=r"Can't write .*plan\.png: No such file or directory"):
        plan_picture.draw(plan_file(), plan()).write(tmp_path / "nowhere" / "plan.png")
