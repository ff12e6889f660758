"""Provenance of a run: host, settings and conditions, which accompany every figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab import tables, units, version
from lab.calibration import text
from lab.experiments.registry import EXPERIMENTS

if TYPE_CHECKING:
    from lab.results.run_folder import Run

_APART = frozenset({"calibration", "stopping", "workloads"})  # shown elsewhere on the page


def line(run: Run) -> str:
    """Return a line with the host and the settings of the run, which accompanies every figure."""
    host, settings = run.host, run.settings
    accelerator = settings.get("accelerator")
    parts = [
        f"host {host.get('hostname', 'unknown')}",
        f"{host.get('cpus', '?')} CPUs {host.get('cpu_model', '')}".rstrip(),
        units.quantity(host.get("memory_bytes"), "byte"),
        f"Linux {host.get('kernel', 'unknown')}",
        {"tcg": "machines emulated (TCG)", "kvm": "machines under KVM"}.get(
            str(accelerator), "accelerator unknown"
        ),
        f"page cache {settings.get('page_cache', 'unknown')}",
        f"profile {settings.get('profile', 'unknown')}",
        str(settings.get("started", "date unknown"))[:10],
        *filter(None, [_image(settings.get("image")), version.shown(settings.get("tonnage"))]),
    ]
    parts += run.torn
    if settings.get("interrupted") or "finished" not in settings:
        parts.append("interrupted: finished rounds only")
    if times := len(settings.get("resumed", ())):
        parts.append("interrupted and resumed" + (f" {times} times" if times > 1 else ""))
    return " · ".join(parts)


def _image(measured: dict[str, Any] | None) -> str:
    """Return the measured image and when it is ready, as text; empty for the common user land."""
    if not measured:
        return ""
    return f"image {measured['reference']} ({measured['digest']}), ready when {measured['ready']}"


def document(run: Run) -> dict[str, Any]:
    """Return the run's settings and host, with which every JSON document begins."""
    return {
        "run": {"folder": run.path.name, **run.settings, "torn": list(run.torn)},
        "host": run.host,
    }


def measured(run: Run) -> frozenset[str]:
    """Return the experiments that the run has figures of."""
    samples = run.samples
    return frozenset(samples.loc[samples["value"].notna(), "experiment"])


def unmeasured(run: Run) -> str:
    """Return a sentence on the experiments without figures, and why; empty if all have some."""
    missing = []
    for name in sorted(set(EXPERIMENTS) - measured(run), key=EXPERIMENTS.index):
        if reason := run.settings.get("untested", {}).get(name):
            missing.append(f"{name} ({reason})")
            continue
        attempts = run.samples.loc[run.samples["experiment"] == name, "censored"]
        failed = f" (all {len(attempts)} failed, the first because: " if len(attempts) else ""
        missing.append(f"{name}{failed}{attempts.iloc[0]})" if failed else name)
    return f"Not measured in this run: {', '.join(missing)}." if missing else ""


def disturbances(run: Run) -> str:
    """Return a sentence on disturbed rounds and their causes; empty if no round was recorded."""
    marked = run.rounds[run.rounds["disturbed"] != ""]
    if run.rounds.empty:
        return ""
    if marked.empty:
        return f"None of {len(run.rounds)} rounds was disturbed."
    causes = [
        f"other processes used up to {units.share(marked['others_share'].max())} of the CPUs",
        f"steal took up to {units.share(marked['steal_share'].max())}",
    ]
    return (
        f"{len(marked)} of {len(run.rounds)} rounds were disturbed ({', '.join(causes)})."
        " Figures exclude them where at least half of the rounds remain, and include all rounds"
        " elsewhere."
    )


def facts(run: Run) -> str:
    """Return the host's facts and the run's settings as Markdown tables."""
    host = [
        (str(fact.get("name", "")), str(fact.get("value", "")), str(fact.get("meaning", "")))
        for fact in run.host.get("facts", ())
    ] or [(key, _plain(value), "") for key, value in run.host.items()]
    settings = [
        (key.replace("_", " "), _plain(value))
        for key, value in run.settings.items()
        if key not in _APART
    ]
    document = run.settings.get("calibration")
    calibration = text.markdown(document) if document else ""
    return "\n".join(
        [
            *tables.markdown(("the host", "value", "meaning"), host),
            "",
            *tables.markdown(("the run", "value"), settings),
            "",
            *_rounds(run),
            "",
            calibration,
        ]
    )


def workloads(run: Run) -> str:
    """Return the workloads with their threads and the resource that bounds them, as Markdown."""
    described = run.settings.get("workloads", {})
    if not described:
        return "The run does not describe its workloads."
    rows = [
        (
            ", ".join(
                f"{metric} ({result['unit']}, {result['better']} is better)"
                for metric, result in workload["results"].items()
            ),
            str(workload.get("what", "")),
            str(workload.get("threads", "")),
            str(workload.get("bound_by", "")),
        )
        for workload in described.values()
    ]
    return "\n".join(tables.markdown(("result", "workload", "threads", "bound by"), rows))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


def _rounds(run: Run) -> list[str]:
    """Return a table of each experiment's rounds: number, reason to stop, disturbed ones."""
    disturbed = run.rounds[run.rounds["disturbed"] != ""].groupby("experiment").size()
    rows = [
        (
            name,
            str(ended["rounds"]),
            str(ended["ended_by"]),
            str(ended["needed"] or ""),
            str(disturbed.get(name, "")),
        )
        for name, ended in run.settings.get("stopping", {}).items()
    ]
    headings = ("experiment", "rounds", "ended by", "required for the precision", "disturbed")
    return tables.markdown(headings, rows) if rows else []
