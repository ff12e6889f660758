"""Examples for the help of each verb: a command, and what it does."""

from __future__ import annotations

Example = tuple[str, str]

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "doctor": (
        ("tonnage doctor", "what can be measured here, and why the rest can't"),
        ("tonnage doctor --format json", "the same for a script"),
    ),
    "table": (
        ("sudo tonnage table", "the quick profile: every claim, some 5 minutes"),
        ("sudo tonnage table --profile full", "reliable figures, over an hour"),
        ("sudo tonnage table --targets container,vm", "these targets alone"),
    ),
    "run": (
        ("sudo tonnage run startup --rounds 50", "one question, more rounds"),
        ("sudo tonnage run startup --precision 5%", "until the intervals are that narrow"),
        ("sudo tonnage run performance --workloads my.toml", "your own workload, in every target"),
        ("sudo tonnage run startup footprint --image nginx:1.27", "any image, in every target"),
        ("sudo tonnage run --resume results/2026-11-29-vm", "finish an interrupted run"),
    ),
    "show": (
        ("tonnage show results/2026-11-29-vm", "every figure with its interval"),
        ("tonnage show results/2026-11-29-vm --format csv", "for a spreadsheet"),
    ),
    "report": (
        ("tonnage report results/2026-11-29-vm", "the page, in the run's folder"),
        ("tonnage report results/2026-11-29-vm --out page", "the same elsewhere"),
    ),
    "compare": (
        ("tonnage compare results/a results/b", "which figures differ, and by how much"),
        ("tonnage compare results/a results/b --different", "only those that differ"),
    ),
    "calibrate": (("sudo tonnage calibrate", "does it find no difference where there is none?"),),
    "clean": (("sudo tonnage clean", "remove what killed runs left"),),
    "plan": (
        ("tonnage plan examples/plan.toml", "how many hosts, what binds, what is stranded"),
        ("tonnage plan plan.toml --format json", "with the proof, for plan --check"),
        ("tonnage plan plan.toml --picture hosts.png", "the packed hosts as a picture"),
        ("tonnage plan plan.toml --what-if", "losses, growth, wrong assumptions"),
        ("tonnage plan --check plan.json", "check the proof, without the solver"),
    ),
    "scale": (
        ("tonnage scale examples/scale.toml", "a peak, for containers and machines"),
        ("tonnage scale examples/scale.toml --picture peak.png", "and a picture of it"),
    ),
    "race": (
        ("sudo tonnage race", "what is installed of container, podman, docker, vm"),
        ("sudo tonnage race container,crun,microvm", "these targets"),
        ("tonnage race --replay results/2026-11-29-vm", "a run's starts again; needs no root"),
    ),
}


def text(verb: str) -> str | None:
    """Return the examples of a verb as the end of its help; None if it has none."""
    if verb not in EXAMPLES:
        return None
    lines = [f"  {command}\n      {what}" for command, what in EXAMPLES[verb]]
    return "\n".join(["examples:", *lines])
