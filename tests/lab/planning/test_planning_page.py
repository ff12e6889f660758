"""The examples of docs/planning.md: each plan prints what stands below it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from lab.planning import plan_file, plan_text
from lab.planning.plan import make_plan
from lab.planning.plan_schema import HostTable, PlanTable, ServiceTable, WrappingTable
from lab.planning.readers import registry

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
WIDTH = 100


def printed(path: Path, text: str) -> str:
    """Return what the plan prints; its paths begin in the repository."""
    path.write_text(text)
    file = plan_file.read(path)
    plan = make_plan(file.services, file.hosts, objective=file.objective)
    output = io.StringIO()
    plan_text.show(file, plan, console=Console(file=output, width=WIDTH))
    return "".join(f"{line.rstrip()}\n" for line in output.getvalue().splitlines())


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_prints_what_the_page_shows(tmp_path: Path, example: tuple[str, str]) -> None:
    (tmp_path / "results").symlink_to(ROOT / "results")
    assert printed(tmp_path / "plan.toml", example[0]) == example[1]


def test_every_example_has_its_output() -> None:
    assert len(EXAMPLES) == PAGE.count("```toml") == 5


@pytest.mark.parametrize("table", [PlanTable, ServiceTable, HostTable, WrappingTable])
def test_every_key_is_described(table: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(table):
        assert f"`{field.encode_name}`" in PAGE


def test_every_reader_is_named() -> None:
    for name in registry.NAMES:
        assert f"`{name}`" in PAGE
