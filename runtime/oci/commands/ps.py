"""`ps`: list the processes of a container."""

from __future__ import annotations

from runtime.container.container import Container
from runtime.errors import ContainerError, InvalidConfig, Unavailable
from runtime.oci.arguments import VALUE, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print the pids as JSON, or the lines of ps(1) with the given options."""
    options = parse(words, {"--format": VALUE}, {"-f": "--format"}, mixed=False)
    if not options.words:
        raise InvalidConfig("Name a container.")
    name, *ours = options.words
    shape = options.value("--format", "table")
    pids = sorted(Container.load(name, settings.root).processes())
    if shape == "json":
        print("[" + ",".join(map(str, pids)) + "]")
        return 0
    if shape != "table":
        raise InvalidConfig(f"--format must be table or json, not {shape!r}.")
    for line in _lines(ours or ["-ef"], {str(pid) for pid in pids}):
        print(line)
    return 0


def _lines(arguments: Sequence[str], pids: set[str]) -> list[str]:
    import subprocess

    try:
        result = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable("ps is not installed: install it, or pass --format json.") from error
    if result.returncode:
        raise ContainerError(f"ps: {result.stderr.strip()}.")
    head, *lines = result.stdout.splitlines()
    columns = head.split()
    if "PID" not in columns:
        raise InvalidConfig("The output of ps has no PID column: pass options of ps that print it.")
    place = columns.index("PID")
    return [head, *(line for line in lines if line.split()[place] in pids)]
