"""Lower bounds of dependencies, as setup/lowest.py reads them from pyproject.toml."""

from __future__ import annotations

import pytest

from setup import lowest


def project(*requirements: str) -> str:
    listed = ", ".join(f'"{each}"' for each in requirements)
    return f"[project]\ndependencies = [{listed}]\noptional-dependencies.test = []\n"


def test_each_dependency_is_pinned_to_its_lower_bound() -> None:
    assert lowest.constraints(project("scipy>=1.15", "lxml>=5.1.1")) == [
        "scipy==1.15",
        "lxml==5.1.1",
    ]


def test_a_marker_is_kept() -> None:
    text = project("backports.zstd>=1.0; python_version < '3.14'")
    assert lowest.constraints(text) == ["backports.zstd==1.0; python_version < '3.14'"]


@pytest.mark.parametrize("requirement", ["scipy", "scipy>1.15", "scipy>=1.15,<2", "scipy==1"])
def test_a_dependency_without_a_plain_lower_bound_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="needs a lower bound"):
        lowest.constraints(project(requirement))


def test_all_of_ours_have_one() -> None:
    text = (lowest.PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert len(lowest.constraints(text)) > 10
