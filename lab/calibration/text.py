"""A calibration's document as Markdown, and as a sentence in a run's report."""

from __future__ import annotations

from typing import Any

from lab import tables, units
from lab.calibration import model, names
from lab.language.message import Language, Message, joined, recalled, translated
from lab.language.punctuation import COMMA, SEMICOLON

_INTERVAL = Message("95 % interval")
_BOUND_MET = Message("bound met")


def markdown(document: dict[str, Any], language: Language = Language.ENGLISH) -> str:
    """Return the calibration as Markdown."""
    failures = [
        translated(Message("- failed: {failure}", failure=failure), language)
        for failure in document["failures"]
    ]
    tables_of = (table(document, language) for table in (_trials, _overheads, _channels))
    blocks = ("\n".join(lines) for lines in (*tables_of, failures) if lines)
    sentences = (translated(each, language) for each in (_clock(document), _host(document)))
    return "\n\n".join((*blocks, *sentences)) + "\n"


def csv_lines(document: dict[str, Any]) -> str:
    """Return a line for each trial and each time that the harness adds, in seconds and shares."""
    records = [
        {
            "kind": "trial",
            "what": each["what"],
            "value": each["right"] / each["repetitions"],
            "low": each["low"],
            "high": each["high"],
            "repetitions": each["repetitions"],
            "met": each["met"],
        }
        for each in document["trials"]
    ]
    records += [
        {
            "kind": "added_seconds",
            "what": each["what"],
            "value": each["added"]["centre"],
            "low": each["added"]["low"],
            "high": each["added"]["high"],
            "repetitions": None,
            "met": each["met"],
        }
        for each in document["added"]
    ]
    return tables.records(records)


def sentence(document: dict[str, Any] | None) -> Message:
    """Return a sentence on the calibration for a run's report, also if there is none."""
    if not document:
        return Message("The lab was not calibrated on this host: run tonnage calibrate.")
    fewest = min((each["repetitions"] for each in document["trials"]), default=0)
    if fewest < model.FEWEST_REPETITIONS:
        return Message(
            "The lab was not calibrated on this host: {fewest} repetitions of a trial, on {day},"
            " are too few for a verdict; tonnage calibrate runs {repetitions}.",
            fewest=fewest,
            day=document["began"][:10],
            repetitions=model.REPETITIONS,
        )
    shares = [
        each["right"] / each["repetitions"] for each in document["trials"] if not each["size"]
    ]
    slower = [
        Message(
            "{slow_down} in {share}",
            slow_down=units.share(each["size"]),
            share=units.share(each["right"] / each["repetitions"]),
        )
        for each in document["trials"]
        if each["size"]
    ]
    added = [
        Message("{added} to {what}", added=_centre(each["added"]), what=names.stored(each["what"]))
        for each in document["added"]
    ]
    missed: str = ""
    if document["missed"]:
        bounds = joined(SEMICOLON, map(names.stored, document["missed"]))
        missed = Message("; missed bounds: {bounds}", bounds=bounds)
    return Message(
        "Calibrated {day}: a target against itself shows no difference in at least {share} of"
        " repetitions; injected slow-downs are detected ({slower} of repetitions); the harness adds"
        " {added}{missed}.",
        day=document["began"][:10],
        share=units.share(min(shares, default=None)),
        slower=joined(COMMA, slower),
        added=joined(COMMA, added),
        missed=missed,
    )


def _trials(document: dict[str, Any], language: Language) -> list[str]:
    return tables.markdown(
        (
            Message("trial"),
            Message("correct"),
            Message("of"),
            Message("share"),
            _INTERVAL,
            Message("rounds"),
            Message("too wide"),
            _BOUND_MET,
        ),
        [
            (
                names.stored(each["what"]),
                str(each["right"]),
                str(each["repetitions"]),
                units.share(each["right"] / each["repetitions"]),
                f"{units.share(each['low'])} – {units.share(each['high'])}",
                f"{each['rounds']:g}",
                str(each["too_wide"] or ""),
                _met(each, language),
            )
            for each in document["trials"]
        ],
        language,
    )


def _overheads(document: dict[str, Any], language: Language) -> list[str]:
    return tables.markdown(
        (
            Message("the harness adds to"),
            Message("duration"),
            Message("added"),
            _INTERVAL,
            Message("bound"),
            _BOUND_MET,
        ),
        [
            (
                names.stored(each["what"]),
                units.quantity(each["timed_seconds"], "second"),
                _centre(each["added"]),
                _interval(each["added"]),
                units.quantity(each["bound_seconds"], "second"),
                _met(each, language),
            )
            for each in document["added"]
        ],
        language,
    )


def _channels(document: dict[str, Any], language: Language) -> list[str]:
    return tables.markdown(
        (
            Message("target"),
            Message("request and reply"),
            _INTERVAL,
            Message("console"),
            _INTERVAL,
            Message("clock drift"),
        ),
        [
            (
                recalled(each["target"]),
                _centre(each["agent"]),
                _interval(each["agent"]),
                _centre(each["console"]),
                _interval(each["console"]),
                Message(
                    "{drift} ({low} to {high})",
                    drift=_drift(each["drift"]["centre"]),
                    low=_drift(each["drift"]["low"]),
                    high=_drift(each["drift"]["high"]),
                ),
            )
            for each in document["channels"]
        ],
        language,
    )


def _clock(document: dict[str, Any]) -> Message:
    timer = document["timer"]
    return Message(
        "The host's clock: resolution {resolution} ns, smallest step {step} ns, {read:.0f} ns to"
        " read.",
        resolution=timer["resolution_ns"],
        step=timer["step_ns"],
        read=timer["read_ns"],
    )


def _host(document: dict[str, Any]) -> Message:
    conditions = document["conditions"]
    return Message(
        "Host {host}, Linux {kernel}, {began}, seed {seed}, {seconds:.0f} s; other processes used"
        " {others} of the CPUs, steal took {steal}, load {load:.1f}.",
        host=document["host"],
        kernel=document["kernel"],
        began=document["began"],
        seed=document["seed"],
        seconds=conditions["seconds"],
        others=units.share(conditions["others_share"]),
        steal=units.share(conditions["steal_share"]),
        load=conditions["load"],
    )


def _met(each: dict[str, Any], language: Language) -> str:
    few = each.get("repetitions", model.FEWEST_REPETITIONS) < model.FEWEST_REPETITIONS
    if each["met"] is None or (each["met"] and few):
        return Message("undecided: fewer than {count} repetitions", count=model.FEWEST_REPETITIONS)
    if each["met"]:
        return Message("yes")
    return tables.Marked(f"**{translated(Message('no'), language)}**")


def _centre(estimate: dict[str, Any]) -> str:
    return units.quantity(estimate["centre"], "second")


def _interval(estimate: dict[str, Any]) -> str:
    return units.interval(estimate["low"], estimate["high"], "second")


def _drift(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value * 1e6:.0f} µs/s"
