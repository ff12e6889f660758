"""A calibration's document as Markdown, and as a sentence in a run's report."""

from __future__ import annotations

from typing import Any

from lab import tables, units
from lab.calibration import model


def markdown(document: dict[str, Any]) -> str:
    """Return the calibration as Markdown."""
    failures = [f"- failed: {failure}" for failure in document["failures"]]
    sections = (_trials(document), _overheads(document), _channels(document), failures)
    blocks = ("\n".join(lines) for lines in sections if lines)
    return "\n\n".join((*blocks, _clock(document), _host(document))) + "\n"


def sentence(document: dict[str, Any] | None) -> str:
    """Return a sentence on the calibration for a run's report, also if there is none."""
    if not document:
        return "The lab was not calibrated on this host: run tonnage calibrate."
    fewest = min((each["repetitions"] for each in document["trials"]), default=0)
    if fewest < model.FEWEST_REPETITIONS:
        return (
            f"The lab was not calibrated on this host: {fewest} repetitions of a trial, on"
            f" {document['began'][:10]}, are too few for a verdict; tonnage calibrate runs"
            f" {model.REPETITIONS}."
        )
    shares = [
        each["right"] / each["repetitions"] for each in document["trials"] if not each["size"]
    ]
    slower = [
        f"{units.share(each['size'])} in {units.share(each['right'] / each['repetitions'])}"
        for each in document["trials"]
        if each["size"]
    ]
    added = [f"{_centre(each['added'])} to {each['what']}" for each in document["added"]]
    missed = f"; missed bounds: {'; '.join(document['missed'])}" if document["missed"] else ""
    return (
        f"Calibrated {document['began'][:10]}: a target against itself shows no difference in at"
        f" least {units.share(min(shares, default=None))} of repetitions; injected slow-downs are"
        f" detected ({', '.join(slower)} of repetitions); the harness adds"
        f" {', '.join(added)}{missed}."
    )


def _trials(document: dict[str, Any]) -> list[str]:
    headings = ("trial", "correct", "of", "share", "95 % interval", "rounds", "too wide")
    return tables.markdown(
        (*headings, "bound met"),
        [
            (
                each["what"],
                str(each["right"]),
                str(each["repetitions"]),
                units.share(each["right"] / each["repetitions"]),
                f"{units.share(each['low'])} – {units.share(each['high'])}",
                f"{each['rounds']:g}",
                str(each["too_wide"] or ""),
                _met(each),
            )
            for each in document["trials"]
        ],
    )


def _overheads(document: dict[str, Any]) -> list[str]:
    return tables.markdown(
        ("the harness adds to", "duration", "added", "95 % interval", "bound", "bound met"),
        [
            (
                each["what"],
                units.quantity(each["timed_seconds"], "second"),
                _centre(each["added"]),
                _interval(each["added"]),
                units.quantity(each["bound_seconds"], "second"),
                _met(each),
            )
            for each in document["added"]
        ],
    )


def _channels(document: dict[str, Any]) -> list[str]:
    return tables.markdown(
        ("target", "request and reply", "95 % interval", "console", "95 % interval", "clock drift"),
        [
            (
                each["target"],
                _centre(each["agent"]),
                _interval(each["agent"]),
                _centre(each["console"]),
                _interval(each["console"]),
                f"{_drift(each['drift']['centre'])} ({_drift(each['drift']['low'])} to"
                f" {_drift(each['drift']['high'])})",
            )
            for each in document["channels"]
        ],
    )


def _clock(document: dict[str, Any]) -> str:
    timer = document["timer"]
    return (
        f"The host's clock: resolution {timer['resolution_ns']} ns, smallest step"
        f" {timer['step_ns']} ns, {timer['read_ns']:.0f} ns to read."
    )


def _host(document: dict[str, Any]) -> str:
    conditions = document["conditions"]
    return (
        f"Host {document['host']}, Linux {document['kernel']}, {document['began']}, seed"
        f" {document['seed']}, {conditions['seconds']:.0f} s; other processes used"
        f" {units.share(conditions['others_share'])} of the CPUs, steal took"
        f" {units.share(conditions['steal_share'])}, load {conditions['load']:.1f}."
    )


def _met(each: dict[str, Any]) -> str:
    few = each.get("repetitions", model.FEWEST_REPETITIONS) < model.FEWEST_REPETITIONS
    if each["met"] is None or (each["met"] and few):
        return f"undecided: fewer than {model.FEWEST_REPETITIONS} repetitions"
    return "yes" if each["met"] else tables.Marked("**no**")


def _centre(estimate: dict[str, Any]) -> str:
    return units.quantity(estimate["centre"], "second")


def _interval(estimate: dict[str, Any]) -> str:
    return units.interval(estimate["low"], estimate["high"], "second")


def _drift(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value * 1e6:.0f} µs/s"
