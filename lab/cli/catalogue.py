"""What there is to be measured, by name, for who is choosing."""

from __future__ import annotations

from lab import experiments, targets
from lab.experiments import profiles


def text() -> str:
    """Return the names of profiles, experiments and targets, and why a target is absent here."""
    lines = [f"profiles:     {', '.join(profiles.PROFILES)}"]
    lines.append(f"experiments:  {', '.join(experiments.EXPERIMENTS)}")
    lines.append("targets:")
    for name in targets.NAMES:
        left_out = "with --profile full, or by name" if name in targets.FULL_ONLY else ""
        lines.append(f"  {name:<16}{targets.find(name).absent() or left_out}".rstrip())
    lines.append("workloads:    those in lab/workloads, and your own with --workloads FILE")
    return "\n".join(lines)
