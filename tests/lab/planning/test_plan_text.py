"""A plan as text."""

from __future__ import annotations

import io
import re

from rich.console import Console

from lab.language.message import Language, translated
from lab.planning import plan_text, what_if
from lab.planning.headline import remarks
from lab.planning.plan import Plan
from lab.planning.plan_file import PlanFile
from lab.planning.solution import Pattern
from lab.planning.usage import binding, free_amounts, resource_use
from tests.lab.planning.planned import plan, plan_file, uncertain


def text(file: PlanFile, made: Plan, *further: str) -> list[str]:
    output = io.StringIO()
    plan_text.show(file, made, further, Console(file=output, width=120))
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_the_finding_comes_first_then_what_binds_then_tables() -> None:
    file = plan_file(uncertain(emulated=True), notes=("The machines were emulated.",))
    assert text(file, plan(bound=1), "They suffice in 97 % of draws.") == [
        "2 hosts; at least 1 (gap 100 %).",
        "CPU binds: 75 % of it is used, of memory 68.8 %.",
        "The machines were emulated.",
        "They suffice in 97 % of draws.",
        "",
        "hosts",
        "host  on each      hosts  free CPU  free memory",
        "node  web×3            1     1 CPU        5 GiB",
        "node  web×2, db×1      1     1 CPU          0 B",
        "",
        "resources",
        "resource  of all hosts    used   share  stranded   share",
        "CPU             8 CPUs  6 CPUs    75 %     1 CPU  12.5 %",
        "memory          16 GiB  11 GiB  68.8 %     4 GiB    25 %",
        "",
        "services",
        "service  measured as    replicas    CPU  memory",
        "web                            5  1 CPU   1 GiB",
        "db       vm (emulated)         1  1 CPU   6 GiB",
    ]


def test_a_long_table_is_cut() -> None:
    patterns = tuple(Pattern("node", (("web", 1),), number) for number in range(1, 26))
    lines = text(plan_file(), plan(patterns))
    assert "… and 5 more rows: --format json or csv has all." in lines
    assert lines[5].split()[:3] == ["node", "web×1", "25"]
    lines = text(plan_file(), plan(patterns[:21]))
    assert "… and 1 more row: --format json or csv has all." in lines


def test_markup_in_a_name_is_shown_literally() -> None:
    assert text(plan_file(), plan(), "[bold]x[/bold]")[2] == "[bold]x[/bold]"


def test_each_sentence_of_a_plan_is_chinese() -> None:
    file, made = plan_file(uncertain(emulated=True)), plan(bound=1)
    further = [*what_if.draw(file, made, draws=20).sentences, *remarks(file, made)]
    for sentence in (*further, binding(made, resource_use(made, free_amounts(made)))):
        shown = translated(sentence, Language.CHINESE)
        assert re.search("[\u4e00-\u9fff]", shown), sentence
        assert not re.search(r"\b(?:the|of|is|on|and)\b", shown), shown
