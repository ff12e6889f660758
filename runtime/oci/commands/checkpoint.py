"""`checkpoint`: write the state of a running container to files, by criu."""

from __future__ import annotations

import os

from runtime.container import criu
from runtime.container.checkpoint import checkpoint
from runtime.container.container import Container
from runtime.errors import InvalidConfig
from runtime.oci.arguments import SWITCH, VALUE, one_container, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

# Our options, and criu's options with the same effect.
_CRIU_OPTIONS = {
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
    **dict.fromkeys(_CRIU_OPTIONS, SWITCH),
}
_OWN = {"--leave-running": SWITCH, "--pre-dump": SWITCH, "--parent-path": VALUE}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Write the checkpoint, and stop the container unless --leave-running is given."""
    options = parse(words, {**OPTIONS, **_OWN}, {}, mixed=True)
    container = Container.load(one_container(options), settings.root)
    program = chosen(options, settings)
    if parent := options.value("--parent-path"):
        _check_parent(program.images, parent)
        words = (*program.words, "--prev-images-dir", parent, "--track-mem")
        program = program.replace(words=words)
    checkpoint(
        container,
        program,
        leave_running=options.has("--leave-running"),
        only_memory=options.has("--pre-dump"),
    )
    return 0


def chosen(options: Options, settings: Settings) -> criu.Criu:
    """Return criu with the given options. Raise ContainerError."""
    mode = options.value("--manage-cgroups-mode", "soft")
    if mode not in criu.CGROUP_MODES:
        raise InvalidConfig(
            f"--manage-cgroups-mode must be one of {', '.join(sorted(criu.CGROUP_MODES))},"
            f" not {mode!r}."
        )
    passed = [option for own, option in _CRIU_OPTIONS.items() if options.has(own)]
    work = options.value("--work-path")
    program = criu.find(settings.criu)
    if work:
        os.makedirs(work, mode=0o700, exist_ok=True)
    return criu.Criu(
        program=program,
        images=os.path.abspath(options.value("--image-path", "checkpoint")),
        work=os.path.abspath(work) if work else "",
        words=(f"--manage-cgroups={mode}", *passed),
    )


def _check_parent(images: str, parent: str) -> None:
    """Check the path, which criu resolves relative to the images. Raise InvalidConfig."""
    if os.path.isabs(parent):
        raise InvalidConfig(f"--parent-path {parent} must be relative to --image-path.")
    if not os.path.isdir(os.path.join(images, parent)):
        raise InvalidConfig(f"--parent-path: {os.path.join(images, parent)} is not a directory.")
