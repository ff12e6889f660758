"""Examples for the help of each verb: a command, and what it does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

_TITLE = "examples:"

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
        ("tonnage show results/2026-11-29-vm --lang zh", "in Chinese"),
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
        ("tonnage race --replay results/2026-11-29-vm --lang zh", "the same in Chinese"),
    ),
    "class": (
        ("tonnage class make near-native --students class.csv", "a notebook for each student"),
        ("tonnage class serve --student 2026-017", "JupyterLab with all notebooks, here"),
        ("tonnage class collect submitted/", "points and reasons, checked again"),
        ("sudo tonnage class pack class.tar", "everything for hosts without a network"),
    ),
    "image": (
        ("tonnage image pull alpine:3.20", "from its registry into the store"),
        ("tonnage image build -t app:1 .", "from the Dockerfile in this folder"),
        ("tonnage image ls --format csv", "the store's images, for a spreadsheet"),
        ("tonnage image ls --format '{{.ID}}'", "docker's templates"),
    ),
    "vm": (
        ("sudo tonnage vm build", "an image with the user land of the lab"),
        ("tonnage vm list --connect qemu:///system", "the machines of a libvirt daemon"),
        ("tonnage vm start web --connect qemu:///system", "boot a machine"),
        ("tonnage vm stats --connect qemu:///system --format csv", "what each machine uses"),
    ),
    "class make": (
        ("tonnage class make near-native --student 2026-017", "in both languages"),
        ("tonnage class make trust images --students class.csv --lang zh", "a class, in Chinese"),
        ("tonnage class make trust --student 2026-017 --teacher", "with the answers"),
    ),
    "class serve": (
        ("tonnage class serve --student 2026-017", "one student, on port 8888"),
        ("tonnage class serve --students class.csv --port 9000", "a server for each, from 9000 on"),
    ),
    "class collect": (
        ("tonnage class collect submitted/", "into class-results/"),
        ("tonnage class collect submitted/ --students class.csv", "and who has not submitted"),
        ("tonnage class collect submitted/ --format csv", "each answer, for a spreadsheet"),
    ),
    "class export-otter": (("tonnage class export-otter trust --student 2026-017", "into otter/"),),
    "class pack": (
        ("sudo tonnage class pack class.tar", "everything, some 600 MB"),
        ("tonnage class pack class.tar --no-userland", "to replay a run; needs no root"),
    ),
    "class unpack": (
        ("tonnage class unpack class.tar", "into tonnage-class/"),
        ("tonnage class unpack class.tar --out /srv/class", "into another folder"),
    ),
}


class HelpFormatter(argparse.HelpFormatter):
    """Wraps the description of a verb to the terminal, and leaves its examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(_TITLE) else super()._fill_text(text, width, indent)


def attach(verbs: Verbs, above: str, known: dict[str, tuple[Example, ...]]) -> None:
    """End the help of the verbs below `above`, and of those below them, with their examples."""
    for name, parser in verbs.choices.items():
        full_name = f"{above} {name}"
        parser.epilog = text(full_name, known)
        parser.formatter_class = HelpFormatter
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                attach(action, full_name, known)


def text(verb: str, known: dict[str, tuple[Example, ...]] = EXAMPLES) -> str | None:
    """Return the examples of a verb as the end of its help; None if it has none."""
    if verb not in known:
        return None
    lines = [f"  {command}\n      {what}" for command, what in known[verb]]
    return "\n".join([_TITLE, *lines])
