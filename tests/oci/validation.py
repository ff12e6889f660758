"""The public validation programs of the OCI runtime-tools, run against one runtime.

make conformance RUNTIME=runc

The programs are in $RUNTIME_TOOLS, or else beside `runtimetest` on the PATH; none of them is part
of this repository. Each prints points in the Test Anything Protocol. Their output, the clean ones,
and the cgroup directories that the runtime left are printed, and written to results/conformance/ as
JSON and as a table.

A program is clean if it exits with 0 and reports no failure: no point is `not ok`, and a program
without points printed no error. A skipped point counts as skipped, not as ok.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import mount_namespace
from lab.paths import cache_directory
from lab.targets.containers.oci import hide_unified_hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RESULTS = Path(__file__).parents[2] / "results" / "conformance"
CGROUPS = Path("/sys/fs/cgroup")
DEADLINE_SECONDS = 180.0
SETTLE_SECONDS = 3.0
_POINT = re.compile(r"^(?P<failed>not )?ok\b[ \d]*(?:- )?(?P<said>[^#]*)(?P<directive>#.*)?$")
_COMPLAINT = re.compile(r'^\s+"error": "(?P<said>(?:[^"\\]|\\.)+)"', re.MULTILINE)
_SKIPPED = re.compile(r"#\s*skip", re.IGNORECASE)
# The suite names its containers, and their cgroups, by random UUIDs.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUITE = re.compile(rf"{_UUID.pattern}|/cgrouptest|/testdir|/runtime-validation")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one program: numbers of points, exit code, complaints."""

    ok: int
    not_ok: int
    skipped: int
    exit_code: int
    seconds: float
    failures: list[str] = field(default_factory=list)
    stderr: str = ""

    @property
    def clean(self) -> bool:
        return self.exit_code == 0 and not self.failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--runtime", default="tonnage-oci", help="the runtime: a name on the PATH, or a path"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], help="the names of the programs to run; default: all"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the record")
    options = parser.parse_args()
    runtime, tools = find_runtime(options.runtime), find_tools()
    if isinstance(runtime, str) or isinstance(tools, str):
        print(next(why for why in (runtime, tools) if isinstance(why, str)), file=sys.stderr)
        return 0 if isinstance(tools, str) else 1
    with one_at_a_time(), prepared_for(runtime):
        before = cgroup_directories()
        outcomes = {path.stem: run(path, runtime, tools) for path in chosen(tools, options.only)}
        left = settled(before)
        remove(left)
    record = summary(runtime, tools, outcomes, left)
    table = as_table(record, outcomes)
    print(table)
    if not options.only:
        options.out.mkdir(parents=True, exist_ok=True)
        stem = options.out / f"{runtime.name}-{date.today().isoformat()}"
        stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        stem.with_suffix(".md").write_text(table)
        print(f"written: {stem}.json, {stem}.md", file=sys.stderr)
    return 0


def find_runtime(name: str) -> Path | str:
    """Return the path of the runtime, or an error message. Ours is the one in this environment."""
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if "/" not in name and beside.exists() else shutil.which(name)
    return Path(path).absolute() if path else f"{name} is not installed."


def find_tools() -> Path | str:
    """Return the directory of `runtimetest` and the programs, or an error message."""
    named = os.environ.get("RUNTIME_TOOLS")
    path = Path(named, "runtimetest") if named else Path(shutil.which("runtimetest") or "")
    if not path.is_file():
        return (
            "The OCI runtime-tools' validation programs are not here: build them with Go, and put"
            " their directory on the PATH or name it in RUNTIME_TOOLS."
        )
    return path.resolve().parent


def chosen(tools: Path, only: Iterable[str]) -> list[Path]:
    expected = set(only)
    programs = sorted(tools.glob("validation/*/*.t"), key=lambda path: path.stem)
    return [path for path in programs if not expected or path.stem in expected]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for other runs on this host: their cgroups have the same names."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "conformance.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def prepared_for(runtime: Path) -> Iterator[None]:
    """Enter a mount namespace without the hybrid layout, which crun refuses."""
    mount_namespace.enter_private_mount_namespace()
    if runtime.name == "crun":
        hide_unified_hierarchy()
    yield


def run(program: Path, runtime: Path, tools: Path) -> Outcome:
    """Run one program in the tools' directory, where it finds its root file system."""
    print(f"{program.stem:36}", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    process = subprocess.Popen(
        [program],
        cwd=tools,
        env={**os.environ, "RUNTIME": str(runtime)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
    outcome = read_points(
        stdout.decode(errors="replace"),
        process.returncode,
        time.monotonic() - began,
        stderr.decode(errors="replace"),
    )
    print(
        f"{outcome.ok:5} ok {outcome.not_ok:3} not ok {outcome.skipped:5} skipped"
        f"  exit {outcome.exit_code}",
        file=sys.stderr,
    )
    return outcome


def read_points(tap: str, exit_code: int, seconds: float, stderr: str) -> Outcome:
    """Count the points. Nested points are indented, and belong to the point after them."""
    points = [match for line in tap.splitlines() if (match := _POINT.match(line))]
    skipped = [each for each in points if _SKIPPED.match(each["directive"] or "")]
    failed = [each for each in points if each["failed"] and each not in skipped]
    output = [each["said"].strip() for each in failed]
    if not points:
        output = [each["said"].partition("\\n")[0] for each in _COMPLAINT.finditer(tap)]
    return Outcome(
        ok=len(points) - len(skipped) - len(failed),
        not_ok=len(failed),
        skipped=len(skipped),
        exit_code=exit_code,
        seconds=round(seconds, 2),
        failures=output,
        stderr=stderr.strip()[-500:],
    )


def cgroup_directories() -> set[Path]:
    return {Path(directory) for directory, _, _ in os.walk(CGROUPS)}


def settled(before: set[Path]) -> list[Path]:
    """Return the suite's cgroups that are left once dying processes have ended."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        new = cgroup_directories() - before
        left = sorted(path for path in new if _SUITE.search(str(path)))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def remove(left: Iterable[Path]) -> None:
    """Kill the processes that are left, and remove the cgroups, the innermost first."""
    for path in sorted(left, reverse=True):
        with suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        for _ in range(50):
            with suppress(OSError):
                path.rmdir()
            if not path.exists():
                break
            time.sleep(0.02)


def summary(
    runtime: Path, tools: Path, outcomes: dict[str, Outcome], left: list[Path]
) -> dict[str, object]:
    output = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=False)
    version = tools / "VERSION"
    return {
        "runtime": runtime.name,
        "version": " ".join(output.stdout.split()[:3]),
        "suite": version.read_text().strip() if version.is_file() else "unknown",
        "date": date.today().isoformat(),
        "kernel": platform.release(),
        "programs": len(outcomes),
        "clean": sum(each.clean for each in outcomes.values()),
        "ok": sum(each.ok for each in outcomes.values()),
        "not_ok": sum(each.not_ok for each in outcomes.values()),
        "skipped": sum(each.skipped for each in outcomes.values()),
        "cgroups_left": [_UUID.sub("<id>", str(path)) for path in left],
        "outcomes": {name: asdict(each) for name, each in outcomes.items()},
    }


def as_table(record: dict[str, object], outcomes: dict[str, Outcome]) -> str:
    """Return a table in Markdown: the figures, and first the programs that are not clean."""
    left = record["cgroups_left"]
    assert isinstance(left, list)
    lines = [
        f"# {record['version']}: the OCI runtime-tools' validation programs",
        "",
        f"{record['clean']} of {record['programs']} programs clean; {record['ok']} points ok,"
        f" {record['not_ok']} not ok, {record['skipped']} skipped; {len(left)} cgroup directories"
        f" left behind. Linux {record['kernel']}, {record['date']}.",
        "",
        "| program | ok | not ok | skipped | exit | what was not ok |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in sorted(outcomes.items(), key=lambda item: (item[1].clean, item[0])):
        failures = "<br>".join(word.replace("|", "\\|") for word in each.failures)
        lines.append(
            f"| {name} | {each.ok} | {each.not_ok} | {each.skipped} | {each.exit_code}"
            f" | {failures} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
