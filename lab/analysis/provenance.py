"""Provenance of a run: host, settings and conditions, which accompany every figure."""

from __future__ import annotations

from collections import Counter
from itertools import starmap
from typing import TYPE_CHECKING, Any

from lab import tables, units, version
from lab.analysis import labels
from lab.analysis.series import failures, series
from lab.analysis.stored_texts import stored
from lab.calibration import text
from lab.experiments.registry import EXPERIMENTS
from lab.language.message import Language, Message, clause, joined, recalled, translated
from lab.language.punctuation import COLON, COMMA, SEMICOLON

if TYPE_CHECKING:
    from lab.results.run_folder import Run

_UNKNOWN = Message("unknown")
_ACCELERATORS = {
    "tcg": Message("machines emulated (TCG)"),
    "kvm": Message("machines under KVM"),
}
_UNITS = {"second": Message("second")}
_APART = frozenset({"calibration", "stopping", "workloads"})  # shown elsewhere on the page
WORKLOAD_COLUMNS = (
    Message("result"),
    Message("workload"),
    Message("threads"),
    Message("bound by"),
)
ROUND_COLUMNS = (
    Message("experiment"),
    Message("rounds"),
    Message("ended by"),
    Message("required for the precision"),
    Message("disturbed"),
)


def line(run: Run) -> Message:
    """Return a line with the host and the settings of the run, which accompanies every figure."""
    host, settings = run.host, run.settings
    number = host.get("cpus", "?")
    cpus = Message("1 CPU") if number == 1 else Message("{cpus} CPUs", cpus=number)
    parts: list[str] = [
        Message("host {name}", name=host.get("hostname", _UNKNOWN)),
        joined(" ", filter(None, (cpus, str(host.get("cpu_model", "")).rstrip()))),
        units.quantity(host.get("memory_bytes"), "byte"),
        joined(" ", ("Linux", host.get("kernel", _UNKNOWN))),
        _ACCELERATORS.get(str(settings.get("accelerator")), Message("accelerator unknown")),
        Message("page cache {state}", state=_recalled(settings.get("page_cache"))),
        Message("profile {name}", name=_recalled(settings.get("profile"))),
        str(settings["started"])[:10] if "started" in settings else Message("date unknown"),
        *filter(None, [_image(settings.get("image")), version.shown(settings.get("tonnage"))]),
    ]
    parts += run.torn
    if settings.get("interrupted") or "finished" not in settings:
        parts.append(Message("interrupted: finished rounds only"))
    if times := len(settings.get("resumed", ())):
        parts.append(
            Message("interrupted and resumed {times} times", times=times)
            if times > 1
            else Message("interrupted and resumed")
        )
    return joined(" · ", parts)


def _recalled(setting: object) -> Message:
    return recalled(str(setting)) if setting is not None else _UNKNOWN


def _image(measured: dict[str, Any] | None) -> str:
    """Return the measured image and when it is ready, as text; empty for the common user land."""
    if not measured:
        return ""
    return Message(
        "image {reference} ({digest}), ready when {ready}",
        reference=measured["reference"],
        digest=measured["digest"],
        ready=recalled(str(measured["ready"])),
    )


def document(run: Run) -> dict[str, Any]:
    """Return the run's settings and host, with which every JSON document begins."""
    return {
        "run": {"folder": run.path.name, **run.settings, "torn": list(run.torn)},
        "host": run.host,
    }


def measured(run: Run) -> frozenset[str]:
    """Return the experiments that the run has figures of."""
    return frozenset(experiment for (experiment, _, _), each in series(run).items() if each.values)


def unmeasured(run: Run) -> str:
    """Return a sentence on the experiments without figures, and why; empty if all have some."""
    missing: list[str] = []
    for name in sorted(set(EXPERIMENTS) - measured(run), key=EXPERIMENTS.index):
        label = labels.experiment(name)
        if reason := run.settings.get("untested", {}).get(name):
            missing.append(
                Message("{experiment} ({reason})", experiment=label, reason=stored(str(reason)))
            )
            continue
        failed = [
            failure
            for (experiment, _), each in failures(run).items() if experiment == name
            for failure in each
        ]  # fmt: skip
        if not failed:
            missing.append(label)
            continue
        because = clause(stored(failed[0].reason))
        if len(failed) == 1:
            missing.append(
                Message(
                    "{experiment} (the only attempt failed: {reason})",
                    experiment=label,
                    reason=because,
                )
            )
            continue
        missing.append(
            Message(
                "{experiment} (all {count} failed, the first because: {reason})",
                experiment=label,
                count=len(failed),
                reason=because,
            )
        )
    if not missing:
        return ""
    return Message("Not measured in this run: {names}.", names=joined(COMMA, missing))


def disturbances(run: Run) -> str:
    """Return a sentence on disturbed rounds and their causes; empty if no round was recorded."""
    rounds = run.round_columns
    causes = rounds["disturbed"]
    marked = [place for place, cause in enumerate(causes) if cause]
    if not causes:
        return ""
    if not marked:
        return Message("Disturbed rounds: none of {all}.", all=len(causes))
    return Message(
        "Disturbed rounds: {count} of {all} (other processes used up to {others} of the CPUs, steal"
        " took up to {steal}). Figures exclude them where at least half of the rounds remain, and"
        " include all rounds elsewhere.",
        count=len(marked),
        all=len(causes),
        others=units.share(max(rounds["others_share"][place] for place in marked)),
        steal=units.share(max(rounds["steal_share"][place] for place in marked)),
    )


def facts(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the host's facts and the run's settings as Markdown tables."""
    document = run.settings.get("calibration")
    calibration = text.markdown(document, language) if document else ""
    value = Message("value")
    return "\n".join(
        [
            *tables.markdown(
                (Message("the host"), value, Message("meaning")), host_rows(run), language
            ),
            "",
            *tables.markdown((Message("the run"), value), setting_rows(run), language),
            "",
            *_rounds(run, language),
            "",
            calibration,
        ]
    )


def host_rows(run: Run) -> list[tuple[str, ...]]:
    """Return each fact of the host: its name, its value and what it means."""
    return [
        tuple(stored(str(fact.get(key, ""))) for key in ("name", "value", "meaning"))
        for fact in run.host.get("facts", ())
    ] or [(recalled(key), _plain(value), "") for key, value in run.host.items()]


def setting_rows(run: Run) -> list[tuple[str, ...]]:
    """Return each setting of the run that no other table shows, and its value."""
    return [
        (recalled(key.replace("_", " ")), _plain(value))
        for key, value in run.settings.items()
        if key not in _APART
    ]


def workloads(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the workloads with their threads and the resource that bounds them, as Markdown."""
    rows = workload_rows(run)
    if not rows:
        return translated(Message("The run does not describe its workloads."), language)
    return "\n".join(tables.markdown(WORKLOAD_COLUMNS, rows, language))


def workload_rows(run: Run) -> list[tuple[str, ...]]:
    """Return each workload of the run: its results, its work, its threads, what bounds it."""
    return [
        (
            joined(COMMA, starmap(_result, workload["results"].items())),
            recalled(str(workload.get("what", ""))),
            recalled(str(workload.get("threads", ""))),
            recalled(str(workload.get("bound_by", ""))),
        )
        for workload in run.settings.get("workloads", {}).values()
    ]


def _result(metric: str, result: dict[str, str]) -> Message:
    known = {"metric": labels.metric(metric), "unit": _UNITS.get(result["unit"], result["unit"])}
    if result["better"] == "less":
        return Message("{metric} ({unit}, less is better)", **known)
    return Message("{metric} ({unit}, more is better)", **known)


def _plain(value: object) -> Message:
    if isinstance(value, dict):
        return joined(
            SEMICOLON,
            (joined(COLON, (recalled(str(key)), _plain(item))) for key, item in value.items()),
        )
    if isinstance(value, list):
        return joined(COMMA, map(_plain, value)) if value else Message("none")
    if value is None:
        return Message("not given")
    if isinstance(value, bool):
        return Message("yes") if value else Message("no")
    return stored(str(value))


def _rounds(run: Run, language: Language) -> list[str]:
    rows = round_rows(run)
    return tables.markdown(ROUND_COLUMNS, rows, language) if rows else []


def round_rows(run: Run) -> list[tuple[str, ...]]:
    """Return each experiment's rounds: number, reason to stop, disturbed ones."""
    rounds = run.round_columns
    disturbed = Counter(
        experiment
        for experiment, cause in zip(rounds["experiment"], rounds["disturbed"], strict=True)
        if cause
    )
    return [
        (
            labels.experiment(name),
            str(ended["rounds"]),
            recalled(str(ended["ended_by"])),
            str(ended["needed"] or ""),
            str(disturbed.get(name, "")),
        )
        for name, ended in run.settings.get("stopping", {}).items()
    ]
