"""Manual pages and completion scripts that setup/manual.py makes from the parsers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.oci.cli import VERBS
from setup import manual

PROJECT = Path(__file__).parents[2]
PAGES = ("tonnage.1", "tonnage-image.1", "tonnage-vm.1", "tonnage-oci.8")


def generate(kind: str, directory: Path) -> Path:
    subprocess.run(
        [sys.executable, PROJECT / "setup/manual.py", kind, directory],
        cwd=PROJECT, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = generate("man", tmp_path_factory.mktemp("man"))
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_each_program_has_a_page(pages: dict[str, str]) -> None:
    assert set(pages) == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_every_option_and_command_is_explained(pages: dict[str, str], name: str) -> None:
    lines = pages[name].splitlines()
    for number, line in enumerate(lines):
        if line == ".TP":
            assert lines[number + 2] not in {"", "\\&"}, lines[number + 1]
        elif line.startswith(".SS"):
            assert lines[number + 1], line


def test_the_runtimes_page_has_its_commands(pages: dict[str, str]) -> None:
    assert re.findall(r"^\.SS (\w+)", pages["tonnage-oci.8"], re.MULTILINE) == list(VERBS)


def test_the_machines_page_has_what_virsh_users_look_for(pages: dict[str, str]) -> None:
    commands = re.findall(r"^\.SS (\S+)", pages["tonnage-vm.1"].replace("\\-", "-"), re.MULTILINE)
    assert {"start", "shutdown", "snapshot-create", "console", "undefine"} <= set(commands)


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_groff_has_no_warnings(pages: dict[str, str], name: str) -> None:
    result = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-K", "utf8", "-z"],
        input=pages[name], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("program", "word", "expected"),
    [("tonnage", "re", ["report"]), ("tonnage-oci", "sta", ["start", "state"])],
)
def test_bash_completes_verbs(tmp_path: Path, program: str, word: str, expected: list[str]) -> None:
    script = generate("completion", tmp_path) / f"{program}.bash"
    function = f"_shtab_{program.replace('-', '_')}"
    typed = f"source {script}; COMP_WORDS=({program} {word}); COMP_CWORD=1"
    complete = f'{function} {program} {word} {program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    result = subprocess.run(
        ["bash", "-c", f"{typed}; {complete}"], capture_output=True, text=True, check=True
    )
    assert sorted(result.stdout.split()) == expected
    assert (tmp_path / f"_{program}").exists()


def test_the_parser_of_options_is_put_back() -> None:
    from runtime.oci import arguments
    from runtime.oci.commands import kill

    manual.oci_parser()
    assert vars(kill)["parse"] is arguments.parse
    assert arguments.parse(["box"], {}, {}, mixed=True).words == ["box"]
