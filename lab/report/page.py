"""The page of a run: one file that loads no other, made from the run's findings by a template."""

from __future__ import annotations

import datetime
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from lab import tables
from lab.analysis import provenance
from lab.claims import table as claims
from lab.claims.catalogue import STATEMENTS, TABLE
from lab.language.message import Language, Message, translated
from lab.report import (
    calculator,
    cards,
    data_table,
    glossary,
    markup,
    measurement_tables,
    palette,
    pictures,
    run_tables,
    sections,
    words,
)

if TYPE_CHECKING:
    from lab.report.data_table import Table
    from lab.report.pictures import Drawn
    from lab.report.sections import Part, Section
    from lab.results.run_folder import Run

_NAMES = {Language.ENGLISH: "English", Language.CHINESE: "中文"}


@dataclass(frozen=True, slots=True)
class _ShownPart:
    text: tuple[Message, ...]
    picture: Drawn | None
    table: Table | None


@dataclass(frozen=True, slots=True)
class _ShownSection:
    anchor: str
    title: Message
    parts: list[_ShownPart]
    calculator: str
    tables: list[Table]


def page(run: Run, languages: tuple[Language, ...] = markup.BOTH) -> str:
    """Return the page of a run as HTML, in one language or in several with a switch."""
    name = run.path.resolve().name
    title = Message("{run}: containers and virtual machines", run=name)
    on_table, on_text = claims.examine(run, TABLE), claims.examine(run, STATEMENTS)
    findings = [_section(section, run, languages) for section in sections.measured(run)]
    return markup.render(
        "page.html",
        languages,
        names=_NAMES,
        dark_pictures=Markup(palette.dark_variables()),
        titles={language: tables.plain(translated(title, language)) for language in languages},
        run=name,
        date=_date(run),
        contents=_contents(findings),
        tally=cards.tally(on_table),
        cards=cards.of(on_table, languages),
        statements=cards.of(on_text, languages),
        limits=[*claims.conditions(run), *filter(None, [provenance.unmeasured(run)])],
        sections=findings,
        across=run_tables.across(run),
        judged=run_tables.verdicts([*on_table, *on_text]),
        everything=[measurement_tables.every_measurement(run), measurement_tables.every_ratio(run)],
        raw=_raw(run),
        terms=glossary.TERMS,
        host=run_tables.host(run),
    )


def _section(section: Section, run: Run, languages: tuple[Language, ...]) -> _ShownSection:
    return _ShownSection(
        section.anchor,
        section.title,
        [_part(part, run, languages) for part in section.parts],
        calculator.section(run, languages) if section.has_calculator else "",
        run_tables.workloads(run) if section.experiment == "performance" else [],
    )


def _part(part: Part, run: Run, languages: tuple[Language, ...]) -> _ShownPart:
    return _ShownPart(
        part.text,
        pictures.drawn(part.picture, run, languages) if part.picture else None,
        part.table(run) if part.table else None,
    )


def _contents(findings: list[_ShownSection]) -> list[tuple[str, Message]]:
    return [
        ("verdicts", words.verdicts),
        ("limits", words.limits),
        ("statements", words.statements),
        *((section.anchor, section.title) for section in findings),
        ("across", words.across),
        ("judged", words.judged),
        ("everything", words.everything),
        ("terms", words.terms),
        ("host", words.host),
    ]


def _date(run: Run) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(run.settings.get("started", ""))[:10])
    except ValueError:
        return None


def _raw(run: Run) -> str:
    """Return the run's samples as an address: the file itself, compressed."""
    samples = (run.path / "measurements.csv").read_bytes()
    return data_table.address("application/gzip", gzip.compress(samples, mtime=0))
