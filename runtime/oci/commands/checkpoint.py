"""`checkpoint`: a container that runs is written to files, by criu."""

from __future__ import annotations

import os

from runtime.container import criu
from runtime.container.checkpoint import checkpoint
from runtime.container.container import Container
from runtime.errors import ContainerError
from runtime.oci.arguments import SWITCH, VALUE, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

# What criu has by the same name, or another.
_HANDED_ON = {
    "--tcp-established": "--tcp-established",
    "--tcp-skip-in-flight": "--skip-in-flight",
    "--ext-unix-sk": "--ext-unix-sk",
    "--shell-job": "--shell-job",
    "--file-locks": "--file-locks",
    "--link-remap": "--link-remap",
    "--auto-dedup": "--auto-dedup",
}
OPTIONS = {
    "--image-path": VALUE,
    "--work-path": VALUE,
    "--manage-cgroups-mode": VALUE,
    **dict.fromkeys(_HANDED_ON, SWITCH),
}
_OWN = {"--leave-running": SWITCH, "--pre-dump": SWITCH, "--parent-path": VALUE}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Write it; it is stopped then, unless it is to be left running."""
    options = parse(words, {**OPTIONS, **_OWN}, {}, mixed=True)
    if len(options.words) != 1:
        raise ContainerError("Name one container.")
    container = Container.load(options.words[0], settings.root)
    program = chosen(options, settings)
    if parent := options.value("--parent-path"):
        _check_parent(program.images, parent)
        words = (*program.words, "--prev-images-dir", parent, "--track-mem")
        program = program.replace(words=words)
    checkpoint(
        container,
        program,
        leaves=options.has("--leave-running"),
        only_memory=options.has("--pre-dump"),
    )
    return 0


def chosen(options: Options, settings: Settings) -> criu.Criu:
    """criu, as the options have it. Raises ContainerError."""
    mode = options.value("--manage-cgroups-mode", "soft")
    if mode not in criu.CGROUP_MODES:
        raise ContainerError(
            f"--manage-cgroups-mode takes {', '.join(sorted(criu.CGROUP_MODES))}, not {mode!r}."
        )
    handed_on = [theirs for ours, theirs in _HANDED_ON.items() if options.has(ours)]
    work = options.value("--work-path")
    program = criu.find(settings.criu)
    if work:
        os.makedirs(work, mode=0o700, exist_ok=True)
    return criu.Criu(
        program=program,
        images=os.path.abspath(options.value("--image-path", "checkpoint")),
        work=os.path.abspath(work) if work else "",
        words=(f"--manage-cgroups={mode}", *handed_on),
    )


def _check_parent(images: str, parent: str) -> None:
    """criu looks for it from where the images are."""
    if os.path.isabs(parent):
        raise ContainerError(f"--parent-path {parent} must be relative to --image-path.")
    if not os.path.isdir(os.path.join(images, parent)):
        raise ContainerError(f"--parent-path: {os.path.join(images, parent)} is no directory.")
