"""The cards of the verdicts, and the limits of the run beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lab.claims import table
from lab.claims.catalogue import TABLE
from lab.report import cards
from lab.results import run_folder

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"


def test_each_claim_of_the_table_has_a_card_with_its_verdict() -> None:
    run = run_folder.load(COMMITTED)
    pattern = r"<h3>(.*?)</h3>.*?<strong>(.*?)</strong>"
    shown = re.findall(pattern, cards.section(run), re.DOTALL)
    rows = table.examine(run, TABLE)
    assert [claim for claim, _ in shown] == [row.claim for row in rows]
    assert [verdict.replace("&#39;", "'") for _, verdict in shown] == [
        str(row.verdict) for row in rows
    ]


def test_a_card_has_the_figure_with_its_interval() -> None:
    first = cards.section(run_folder.load(COMMITTED)).split("</article>")[0]
    assert '<span class="value">container ready 4.33\u00a0ms</span>' in first
    assert '<span class="interval">3.95 – 5.06\u00a0ms; 12 rounds</span>' in first


def test_names_are_not_read_as_markup() -> None:
    run = run_folder.load(COMMITTED)
    odd = replace(run, host={**run.host, "hostname": "<b>*x*"})
    assert "<b>*x*" not in cards.limits(odd)


def test_the_limits_say_that_machines_were_emulated() -> None:
    assert "- The machines were emulated (TCG)." in cards.limits(run_folder.load(COMMITTED))
