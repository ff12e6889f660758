"""`ps`: a container's processes."""

from __future__ import annotations

from runtime.container.container import Container
from runtime.errors import ContainerError
from runtime.oci.arguments import VALUE, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print their pids as JSON, or what ps(1) says of them by its own options."""
    options = parse(words, {"--format": VALUE}, {"-f": "--format"}, mixed=False)
    if not options.words:
        raise ContainerError("Name a container.")
    name, *ours = options.words
    shape = options.value("--format", "table")
    pids = sorted(Container.load(name, settings.root).processes())
    if shape == "json":
        print("[" + ",".join(map(str, pids)) + "]")
        return 0
    if shape != "table":
        raise ContainerError(f"--format takes table or json, not {shape!r}.")
    for line in _told(ours or ["-ef"], {str(pid) for pid in pids}):
        print(line)
    return 0


def _told(arguments: Sequence[str], pids: set[str]) -> list[str]:
    import subprocess

    try:
        done = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ContainerError("ps is not installed: ask for --format json.") from error
    if done.returncode:
        raise ContainerError(f"ps: {done.stderr.strip()}.")
    head, *lines = done.stdout.splitlines()
    columns = head.split()
    if "PID" not in columns:
        raise ContainerError("These options of ps leave out the PID, by which processes are known.")
    place = columns.index("PID")
    return [head, *(line for line in lines if line.split()[place] in pids)]
