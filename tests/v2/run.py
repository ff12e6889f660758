"""The runtime's tests on a host with cgroup v2 alone and systemd: in a machine booted for it.

    make test-v2 ARGS='tests/system/runtime/test_cgroups.py'

Each file of tests is run by a pytest of its own, so that what one does to the machine's Python the
next does not see. Where the machine is emulated all takes ten to thirty times as long: the tests'
own deadlines are what they are on any host. What came out is printed, and with --record written to
results/test-v2/.
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
    """How one test ended: `passed`, `failed` or `skipped`, and what it said if not passed."""

    file: str
    test: str
    ended: str
    seconds: float
    reason: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-v2", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="files of tests; without any, the runtime's")
    parser.add_argument("-k", dest="expression", default="", help="only tests that match it")
    parser.add_argument(
        "--record", nargs="?", const=RESULTS, type=Path, metavar="FOLDER",
        help="write what came out to a folder, by default results/test-v2/",
    )  # fmt: skip
    arguments = parser.parse_args()
    try:
        return run(arguments.files or files(), arguments.expression, arguments.record)
    except (LabError, MachineError) as error:
        say(str(error))
        return 1


def run(paths: list[str], expression: str, record: Path | None) -> int:
    """Run them in a machine; 0 if none of their tests failed."""
    begin = time.monotonic()
    with guest.booted(say) as domain:
        facts = {name: guest.shell(domain, script, 60) for name, script in FOUND.items()}
        say(", ".join(f"{name} {value}" for name, value in facts.items()))
        outcomes = [each for path in paths for each in tested(domain, path, expression)]
    told = {
        "date": date.today().isoformat(),
        **facts,
        "seconds": round(time.monotonic() - begin),
        **counts(outcomes),
    }
    say(shown(counts(outcomes)))
    if record:
        write(record, told, outcomes)
    return int(bool(told["failed"]) or not told["passed"])


def say(text: str) -> None:
    print(text, flush=True)


def files() -> list[str]:
    """Those that are there, by their path in the project."""
    found = (path for pattern in FILES for path in sorted(guest.PROJECT.glob(pattern)))
    return [str(path.relative_to(guest.PROJECT)) for path in found]


def tested(domain: vms.Domain, file: str, expression: str) -> list[Outcome]:
    """Run one file's tests in the machine; say and return how they ended."""
    begin = time.monotonic()
    done = domain.inside.run(
        ["/usr/bin/env", "-C", guest.INSIDE, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
         "timeout", "-k", "10", str(FILE_SECONDS), guest.PYTHON, "-m", "pytest", file,
         "-k", expression, "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}",
         "--junitxml=/tmp/outcome.xml"],
        FILE_SECONDS + 60,
    )  # fmt: skip
    said = done.stdout.decode(errors="replace").strip()
    if done.exit_code not in {0, 1}:  # not even all tests were run
        complaint = f"pytest ended with {done.exit_code}"
        outcomes = [Outcome(file, "", "failed", time.monotonic() - begin, complaint)]
    else:
        outcomes = list(read(file, b"".join(domain.inside.read_file("/tmp/outcome.xml", 60))))
    if done.exit_code:
        say(said)
    say(f"{file}: {shown(counts(outcomes))} in {time.monotonic() - begin:.0f} s")
    return outcomes


def counts(outcomes: list[Outcome]) -> dict[str, int]:
    """How many of them ended how."""
    kinds = ("passed", "failed", "skipped")
    return {kind: sum(each.ended == kind for each in outcomes) for kind in kinds}


def shown(count: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in count.items() if number)


def read(file: str, xml: bytes) -> Iterator[Outcome]:
    """What pytest wrote. (JUnit's XML, as pytest has it)"""
    for case in ET.fromstring(xml).iter("testcase"):
        ended, reason = "passed", ""
        for kind, word in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            if (found := case.find(kind)) is not None:
                ended, reason = word, found.get("message", "")
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
    """Markdown: where and what, and what did not pass."""
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
