"""A comparison of runs as JSON and as tables on a terminal."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.analysis import across_runs, labels
from lab.analysis.comparison import Difference
from lab.analysis.stored_texts import stored
from lab.analysis.summary_text import INTERVAL
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import COLON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from lab.analysis.comparison import Comparison

_FIGURE_HEADINGS = (Message("figure"), Message("metric"))
_RUN_HEADING = Message("later run")
_HEADINGS = (
    Message("first"),
    Message("later"),
    Message("change"),
    INTERVAL,
    Message("verdict"),
)
_VERDICTS = {
    "same": Message("same"),
    "different": Message("different"),
    "unknown": Message("unknown"),
}
_LARGEST_CONFIDENCE = 1 - 1e-6  # shown as more than 99.999 %: no measurement is certain
_TWO_RUNS = Message(
    "The interval of a run covers that run alone: at another time, more figures differ than the"
    " confidence suggests, even if nothing was changed. Three or more runs show by how much."
)


def document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as a JSON document."""
    return {**asdict(comparison), "agreement": comparison.agreement()}


def csv_lines(comparison: Comparison, *, only_different: bool = False) -> str:
    """Return a line for each ratio and each median as CSV, in base units."""
    compared = _chosen((*comparison.ratios, *comparison.medians), only_different)
    notes = ("first_note", "later_note")
    keys = [each.name for each in fields(Difference) if each.name != "noted"]
    return tables.records(
        [
            {
                **{key: value for key, value in asdict(each).items() if key != "noted"},
                **dict(zip(notes, each.noted, strict=True)),
            }
            for each in compared
        ],
        (*keys, *notes),
    )


def markdown(
    comparison: Comparison,
    *,
    only_different: bool = False,
    language: Language = Language.ENGLISH,
) -> str:
    """Return the agreement and each figure as Markdown."""
    sentences = [
        *(Message("warning: {sentence}", sentence=each) for each in comparison.overlooked),
        *(joined(COLON, each) for each in comparison.versions),
        _agreement(comparison),
    ]
    blocks = [tables.literal(translated(each, language)) for each in sentences]
    for title, differences in _parts(comparison):
        if chosen := _chosen(differences, only_different):
            headings, rows = _table(chosen, comparison)
            lines = tables.markdown(headings, rows, language)
            blocks += [f"## {translated(title, language)}", "\n".join(lines)]
    if comparison.across:
        title = _across_title(comparison)
        lines = across_runs.markdown(_across(comparison), language)
        blocks += [f"## {translated(title, language)}", "\n".join(lines)]
    else:
        blocks.append(tables.literal(translated(_TWO_RUNS, language)))
    return "\n\n".join(blocks) + "\n"


def _parts(comparison: Comparison) -> tuple[tuple[Message, Sequence[Difference]], ...]:
    return (
        (Message("ratios within rounds"), comparison.ratios),
        (Message("medians"), comparison.medians),
    )


def _chosen(differences: Sequence[Difference], only_different: bool) -> list[Difference]:
    return [each for each in differences if not only_different or each.verdict == "different"]


def _across_title(comparison: Comparison) -> Message:
    return Message("across {count} runs, each as one value", count=1 + len(comparison.later))


def show(
    comparison: Comparison,
    console: Console | None = None,
    *,
    only_different: bool = False,
    language: Language = Language.ENGLISH,
) -> None:
    """Print the agreement and each figure, by default on standard output.

    `only_different` leaves out figures that are the same or can't be compared.
    """
    from rich.console import Console

    console = console or Console()
    for sentence in comparison.overlooked:
        warning = Message("warning: {sentence}", sentence=sentence)
        console.print(tables.paragraph(translated(warning, language), "yellow"))
    for name, version in comparison.versions:
        text = joined(COLON, (name, version))
        console.print(tables.paragraph(translated(text, language), "dim"))
    console.print(tables.paragraph(translated(_agreement(comparison), language)))
    for title, differences in _parts(comparison):
        chosen = _chosen(differences, only_different)
        _show_differences(title, chosen, comparison, console, language)
    if comparison.across:
        title = _across_title(comparison)
        rows = across_runs.rows(_across(comparison))
        console.print(tables.numeric(title, across_runs.COLUMNS, rows, language))
    else:
        console.print(tables.paragraph(translated(_TWO_RUNS, language), "dim"))


def _show_differences(
    title: Message,
    differences: Sequence[Difference],
    comparison: Comparison,
    console: Console,
    language: Language,
) -> None:
    """Print a table, and below it the notes of figures that differ; nothing without any row."""
    if not differences:
        return
    headings, rows = _table(differences, comparison)
    console.print(tables.folding(headings, rows, title, language=language))
    for each in differences:
        for run, note in zip((Message("first"), Message("later")), each.noted, strict=True):
            if note and each.verdict == "different":
                line = Message(
                    "{figure} {metric}, {run}: {note}",
                    figure=_figure(each, comparison),
                    metric=labels.metric(each.metric),
                    run=run,
                    note=stored(note),
                )
                console.print(tables.paragraph(translated(line, language), "dim"))


def _figure(each: Difference, comparison: Comparison) -> Message:
    """Return the experiment, and the target or both targets of a ratio."""
    return joined(COLON, (labels.experiment(each.experiment), _named(each.name, comparison)))


def _named(name: str, comparison: Comparison) -> Message:
    """Return a target or the two of a ratio; an emulated machine is labelled so."""
    targets = name.split(" / ")
    return joined(" / ", (labels.labeled(each, emulated=comparison.emulated) for each in targets))


def _across(comparison: Comparison) -> list[across_runs.Across]:
    return [replace(each, name=_named(each.name, comparison)) for each in comparison.across]


def _table(
    differences: Sequence[Difference], comparison: Comparison
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headings and a row for each difference, with the later run if there are many."""
    many = len(comparison.later) > 1
    headings = (*_FIGURE_HEADINGS, *([_RUN_HEADING] if many else []), *_HEADINGS)
    rows = [
        (
            _figure(each, comparison),
            labels.metric(each.metric),
            *([each.run] if many else []),
            *_row(each),
        )
        for each in differences
    ]
    return headings, rows


def _row(each: Difference) -> tuple[str, ...]:
    return (
        units.quantity(each.first, each.unit),
        units.quantity(each.later, each.unit),
        units.quantity(each.change, "ratio"),
        units.interval(each.low, each.high, "ratio"),
        _verdict(each),
    )


def _agreement(comparison: Comparison) -> Message:
    same, comparable = comparison.tally()
    return Message(
        "ratios that agree: {same} of {comparable} ({share}); without an interval, and so not"
        " comparable: {others}",
        same=same,
        comparable=comparable,
        share=units.share(comparison.agreement()),
        others=len(comparison.ratios) - comparable,
    )


def _verdict(each: Difference) -> Message:
    if each.verdict == "same" and each.low is not None and each.high is not None:
        share = units.share(max(1 - each.low, each.high - 1))
        if each.by == "points":
            return Message("same, within {share}, by points", share=share)
        return Message("same, within {share}", share=share)
    if each.by == "points" and each.verdict == "different":
        return Message(
            "different, by {first} and {later} points of a single round",
            first=each.first_n,
            later=each.later_n,
        )
    if each.verdict == "different" and each.confidence is not None:
        confidence = units.share(min(each.confidence, _LARGEST_CONFIDENCE))
        return Message("different ({confidence} confidence)", confidence=confidence)
    return _VERDICTS[each.verdict]
