"""The list of profiles, experiments, targets and workloads that --list prints."""

from __future__ import annotations

from lab import experiments, targets
from lab.analysis.stored_texts import stored
from lab.experiments import profiles
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import COMMA


def text(language: Language = Language.ENGLISH) -> str:
    """Return the names, with the reason for each target that is absent on this host."""
    width = max(map(len, targets.NAMES)) + 1
    lines: list[Message] = [
        Message("profiles:     {names}", names=joined(COMMA, profiles.PROFILES)),
        Message("experiments:  {names}", names=joined(COMMA, experiments.EXPERIMENTS)),
        Message("targets:"),
    ]
    for name in targets.NAMES:
        full_only = name in targets.FULL_ONLY
        note = Message("with --profile full, or if named") if full_only else ""
        reason = stored(targets.find(name).absent())
        lines.append(joined("", (f"  {name:<{width}}", reason or note)))
    lines.append(
        Message("workloads:    those in lab/workloads; add your own with --workloads FILE")
    )
    return "\n".join(translated(line, language).rstrip() for line in lines)
