"""The list of profiles, experiments, targets and workloads that --list prints."""

from __future__ import annotations

from lab import experiments, targets
from lab.experiments import profiles


def text() -> str:
    """Return the names, with the reason for each target that is absent on this host."""
    lines = [f"profiles:     {', '.join(profiles.PROFILES)}"]
    lines.append(f"experiments:  {', '.join(experiments.EXPERIMENTS)}")
    lines.append("targets:")
    for name in targets.NAMES:
        note = "with --profile full, or if named" if name in targets.FULL_ONLY else ""
        lines.append(f"  {name:<16}{targets.find(name).absent() or note}".rstrip())
    lines.append("workloads:    those in lab/workloads; add your own with --workloads FILE")
    return "\n".join(lines)
