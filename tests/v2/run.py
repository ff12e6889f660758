"""The runtime's tests on a host with systemd and cgroup version 2 only: a machine for them.

    make test-v2 ARGS='tests/system/runtime/test_cgroups.py'

Each file of tests is run by its own pytest, so that changes of the machine's Python do not affect
the next file. An emulated machine is ten to thirty times slower, while the deadlines in the tests
stay the same. The outcomes are printed, and with --record written to results/test-v2/.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from lab.errors import LabError
from tests.v2 import guest
from vms import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import vms

RESULTS = guest.PROJECT / "results" / "test-v2"
FILES = (
    "tests/system/runtime/test_*.py",
    "tests/oci/test_*.py",
)
FILE_SECONDS = 2400
TEST_SECONDS = 240
FOUND = {
    "kernel": "uname -r",
    "systemd": "systemctl --version | head -n1 | cut -d' ' -f2",
    "python": f"{guest.PYTHON} -c 'import platform; print(platform.python_version())'",
    "cgroups": "findmnt -rno FSTYPE -R /sys/fs/cgroup | sort -u | paste -sd,",
    "controllers": "cat /sys/fs/cgroup/cgroup.controllers",
    "machine": "systemd-detect-virt",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a test: `passed`, `failed` or `skipped`, and why if it did not pass."""

    file: str
    test: str
    ended: str
    seconds: float
    reason: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-v2", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="files of tests, by default those of the runtime")
    parser.add_argument("-k", dest="expression", default="", help="run matching tests only")
    parser.add_argument(
        "--record", nargs="?", const=RESULTS, type=Path, metavar="FOLDER",
        help="write the outcomes to a folder, by default results/test-v2/",
    )  # fmt: skip
    arguments = parser.parse_args()
    try:
        return run(arguments.files or files(), arguments.expression, arguments.record)
    except (LabError, MachineError) as error:
        say(str(error))
        return 1


def run(paths: list[str], expression: str, record: Path | None) -> int:
    """Run the tests in a machine; return 0 if none failed."""
    begin = time.monotonic()
    with guest.booted(say) as domain:
        facts = {name: guest.shell(domain, script, 60) for name, script in FOUND.items()}
        say(", ".join(f"{name} {value}" for name, value in facts.items()))
        outcomes = [each for path in paths for each in tested(domain, path, expression)]
    summary = {
        "date": date.today().isoformat(),
        **facts,
        "seconds": round(time.monotonic() - begin),
        **counts(outcomes),
    }
    say(shown(counts(outcomes)))
    if record:
        write(record, summary, outcomes)
    return int(bool(summary["failed"]) or not summary["passed"])


def say(text: str) -> None:
    print(text, flush=True)


def files() -> list[str]:
    """Return the files of tests, relative to the project. Raise LabError if a pattern has none."""
    paths: list[Path] = []
    for pattern in FILES:
        matching = sorted(guest.PROJECT.glob(pattern))
        if not matching:
            raise LabError(f"No file of tests matches {pattern}: correct FILES in {__file__}.")
        paths += matching
    return [str(path.relative_to(guest.PROJECT)) for path in paths]


def tested(domain: vms.Domain, file: str, expression: str) -> list[Outcome]:
    """Run one file's tests in the machine; print and return their outcomes."""
    begin = time.monotonic()
    result = domain.inside.run(
        ["/usr/bin/env", "-C", guest.INSIDE, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
         "timeout", "-k", "10", str(FILE_SECONDS), guest.PYTHON, "-m", "pytest", file,
         "-k", expression, "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}",
         "--junitxml=/tmp/outcome.xml"],
        FILE_SECONDS + 60,
    )  # fmt: skip
    output = result.stdout.decode(errors="replace").strip()
    if result.exit_code not in {0, 1}:  # not all tests were run
        complaint = f"pytest ended with {result.exit_code}"
        outcomes = [Outcome(file, "", "failed", time.monotonic() - begin, complaint)]
    else:
        outcomes = list(read(file, b"".join(domain.inside.read_file("/tmp/outcome.xml", 60))))
    if result.exit_code:
        say(output)
    say(f"{file}: {shown(counts(outcomes))} in {time.monotonic() - begin:.0f} s")
    return outcomes


def counts(outcomes: list[Outcome]) -> dict[str, int]:
    """Count the outcomes by kind."""
    kinds = ("passed", "failed", "skipped")
    return {kind: sum(each.ended == kind for each in outcomes) for kind in kinds}


def shown(count: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in count.items() if number)


def read(file: str, xml: bytes) -> Iterator[Outcome]:
    """Yield the outcomes in pytest's JUnit XML."""
    for case in ET.fromstring(xml).iter("testcase"):
        ended, reason = "passed", ""
        for kind, word in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            if (element := case.find(kind)) is not None:
                ended, reason = word, element.get("message", "")
        yield Outcome(file, case.get("name", ""), ended, float(case.get("time", 0)), reason)


def write(folder: Path, record: dict[str, object], outcomes: list[Outcome]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{record['date']}-{record['kernel']}"
    by_file = {
        file: counts([each for each in outcomes if each.file == file])
        for file in dict.fromkeys(each.file for each in outcomes)
    }
    others = [asdict(each) for each in outcomes if each.ended != "passed"]
    whole = {**record, "files": by_file, "not_passed": others}
    (folder / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    (folder / f"{name}.md").write_text(as_table(record, outcomes))


def as_table(record: dict[str, object], outcomes: list[Outcome]) -> str:
    """Return a table in Markdown: the machine, and the tests that did not pass."""
    lines = ["# The runtime's tests on cgroup v2 alone", ""]
    lines += [f"- {name}: {value}" for name, value in record.items()]
    lines += ["", "| file | test | ended | why |", "|---|---|---|---|"]
    lines += [
        f"| {each.file} | {each.test} | {each.ended} | {_in_one_cell(each.reason)} |"
        for each in outcomes
        if each.ended != "passed"
    ]
    return "\n".join(lines) + "\n"


def _in_one_cell(text: str) -> str:
    first, *_ = text.splitlines() or [""]
    return first.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
