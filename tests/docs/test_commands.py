"""Every command on a page is run, or at least parsed; a command that is neither says why."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from pathlib import Path

import pytest

from setup import manual
from tests.docs.pages import (
    PAGES,
    PLACEHOLDER,
    ROOT,
    Block,
    blocks,
    faults_of_names,
    inline,
    words,
)
from tests.docs.shell import run, workplace

BLOCKS = [block for page in PAGES for block in blocks(page)]
ACTIONS = {"run", "root", "file", "parse", "skip"}
TARGETS = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def faults(command: str) -> list[str]:
    """Return what is wrong with a line of a script: an unknown command, option or make target."""
    if PLACEHOLDER in command:
        return []
    found = []
    for program, *arguments in filter(None, words(command)):
        name = Path(program).name
        if name == "tonnage":
            found += faults_of_parsing(arguments)
        elif name == "tonnage-oci":
            found += faults_of_names(manual.oci_parser(), arguments)
        elif name == "make":
            goals = [each for each in arguments if "=" not in each and not each.startswith("-")]
            found += [f"no make target {goal}" for goal in goals if goal not in TARGETS]
        elif name.startswith("python") and arguments[:1] == ["-m"]:
            module = ROOT / arguments[1].replace(".", "/")
            if module.parts[len(ROOT.parts)] == "benchmarks" and not (
                module.with_suffix(".py").exists() or module.is_dir()
            ):
                found.append(f"no module {arguments[1]}")
        elif name.startswith("python") and (script := (arguments or [""])[0]).endswith(".py"):
            is_ours = (ROOT / script).parent.is_dir()  # else the command before it makes the folder
            found += [f"no file {script}"] if is_ours and not (ROOT / script).exists() else []
    return found


def faults_of_parsing(arguments: list[str]) -> list[str]:
    """Return the parser's complaint about the arguments of `tonnage`."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            manual.lab_parser().parse_args(arguments)
    except SystemExit as end:
        return [errors.getvalue().strip().splitlines()[-1]] if end.code else []
    except argparse.ArgumentError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_commands_of_blocks_are_known(block: Block) -> None:
    assert block.action in ACTIONS, f"{block.where}: no action {block.action!r}"
    if block.action in {"parse", "skip"} and block.argument:
        assert block.argument.startswith("— "), f"{block.where}: a reason follows a dash"
    if block.action == "file":
        return
    wrong = [f"{command}: {fault}" for command in block.commands() for fault in faults(command)]
    assert not wrong, f"{block.where}\n" + "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_within_the_text_are_known(page: Path) -> None:
    parser = manual.lab_parser()
    wrong = [
        f"`{command}`: {fault}"
        for command in inline(page)
        for program, *arguments in words(command.removeprefix("sudo ").replace(PLACEHOLDER, " "))
        if Path(program).name == "tonnage"
        for fault in faults_of_names(parser, arguments)
    ]
    assert not wrong, "\n".join(wrong)


RUN = [page for page in PAGES if any(block.action == "run" for block in blocks(page))]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    workplace(tmp_path)
    for block in blocks(page):
        if block.action == "file":
            (tmp_path / block.argument).write_text(block.text, encoding="utf-8")
        if block.action == "run":
            run(block, tmp_path)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("tonnage fly", "invalid choice: 'fly'"),
        ("sudo .venv/bin/tonnage run startup --rounds many", "--rounds"),
        ("tonnage plan shop.toml --without-proof", "unrecognized arguments"),
        ("tonnage show x | tonnage show y --nothing >z", "unrecognized arguments: --nothing"),
        ("tonnage-oci jump x", "has no command 'jump'"),
        ("tonnage-oci run --high x", "has no option --high"),
        ("make tea", "no make target tea"),
        (".venv/bin/python -m benchmarks.nothing", "no module"),
        (".venv/bin/python examples/nothing.py", "no file"),
    ],
)
def test_a_wrong_command_is_found(command: str, fault: str) -> None:
    assert fault in "\n".join(faults(command.removeprefix("sudo ")))


def test_an_unknown_option_within_text_is_found() -> None:
    assert faults_of_names(manual.lab_parser(), ["run", "startup", "--turns", "3"])
    assert not faults_of_names(manual.lab_parser(), ["run", "startup", "--rounds", "3"])
