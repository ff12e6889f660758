"""Texts that runs store: the ones that are translated are ones that the lab writes."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.analysis import series, step_names, stored_reasons, stored_texts
from lab.analysis.stored_texts import stored
from lab.language.message import Language, Message, translated
from lab.results import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
RUNS = sorted(path.parent for path in ROOT.glob("results/*/measurements.csv"))
CHINESE = re.compile("[\u4e00-\u9fff]")
FIELD = "9"
FILLED = re.compile(r"\(\w+\)|\d7")
# The lists of stored texts themselves are no place where they are written.
LISTS = {"step_names.py", "stored_reasons.py", "stored_texts.py", "labels.py"}
WHOLE = (
    *stored_texts.FACTS, *stored_texts.VALUES, *stored_texts.MEANINGS, *stored_texts.PAGE_CACHE,
    *stored_reasons.ABSENT, *stored_reasons.LIMITS,
)  # fmt: skip
TEMPLATES = (
    *stored_texts.TEMPLATES, *stored_reasons.ABSENT_TEMPLATES, *stored_reasons.FAILED_TEMPLATES,
    *stored_reasons.NOTE_TEMPLATES,
)  # fmt: skip
# Where reasons are written that a run records.
RECORDED = (
    "lab/delivery", "lab/experiments/registry", "lab/host", "lab/network", "lab/targets",
    "lab/userland", "vms/qemu/acceleration",
)  # fmt: skip
COMPOSED = {"{program} absent", "a failed start: {reason}"}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_notes_on_memory_are_chinese(path: Path) -> None:
    run = run_folder.load(path)
    for note in series.one(run, "density", "container", "memory-per-instance-available").notes:
        shown = translated(stored_texts.stored(note), Language.CHINESE)
        assert not re.search("took|before|after", shown)


@cache
def modules() -> dict[Path, ast.Module]:
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for package in ("lab", "runtime", "vms")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in LISTS
    }


def text_of(node: ast.AST) -> str | None:
    """Return a literal's text, with FIELD in place of each field."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or FIELD for part in node.values)
    return None


@cache
def written() -> frozenset[str]:
    texts = (text_of(node) for module in modules().values() for node in ast.walk(module))
    return frozenset(text for text in texts if text)


def steps_in_code() -> Iterator[str]:
    for path, module in modules().items():
        names = {"step", "begin", "note"} if "runtime" in path.parts else {"Span", "timing"}
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
                if name in names:
                    yield text_of(node.args[0]) or ""


def reasons_in_code() -> Iterator[str]:
    """Yield the reasons that functions return, and those of the probe of KVM."""
    for path, module in modules().items():
        if not path.relative_to(ROOT).as_posix().startswith(RECORDED):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                purpose = ast.get_docstring(node) or ""
                if re.match(r"Return (why|(the|a) reason)", purpose):
                    returns = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                    for literal in returns:
                        yield from alternatives(literal.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Verdict":
                yield from alternatives(node.args[1] if len(node.args) > 1 else None)


def alternatives(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from alternatives(node.body)
        yield from alternatives(node.orelse)
    elif node is not None and (text := text_of(node)):
        yield text


def filled(template: str) -> str:
    """Return a text of the template: fields that are numbers have one, others their name."""
    fields = list(re.finditer(r"\{(\w+)\}", template))
    numbers = {"number", "used", "most"}
    values = {
        each[1]: f"{place}7" if each[1] in numbers else f"({each[1]})"
        for place, each in enumerate(fields, 1)
    }
    return template.format(**values)


def is_translated(text: str) -> bool:
    return bool(CHINESE.search(translated(stored(text), Language.CHINESE)))


@pytest.mark.parametrize("text", WHOLE)
def test_a_stored_text_is_one_that_the_lab_writes(text: str) -> None:
    assert text in written()
    assert is_translated(text)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_stored_text_with_fields_is_translated(template: str) -> None:
    pattern = re.sub(r"\\\{\w+\\\}", r".+", re.escape(template))
    literals = (text.removeprefix("; ") for text in written())
    assert template in COMPOSED or any(re.fullmatch(pattern, each) for each in literals)
    text = filled(template)
    shown = translated(stored(text), Language.CHINESE)
    assert CHINESE.search(shown)
    assert sorted(FILLED.findall(shown)) == sorted(FILLED.findall(text))
    assert stored(text) == text


def test_every_reason_in_the_code_is_known() -> None:
    reasons = {
        each.removesuffix(FIELD) if each.endswith("installed9") else each
        for each in reasons_in_code()
        if re.search(r"[a-z]{3}", each)
    }
    assert len(reasons) > 20
    assert [each for each in sorted(reasons) if not is_translated(each)] == []


def test_every_step_in_the_code_is_known() -> None:
    steps = {each for each in steps_in_code() if each and FIELD not in each}
    assert len(steps) > 30
    assert sorted(steps - set(step_names.STEPS)) == []


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_every_step_and_reason_of_a_run_is_known(run: Path) -> None:
    loaded = run_folder.load(run)
    metrics = map(str, loaded.samples["metric"].unique())
    steps = {name.removeprefix("step: ") for name in metrics if name.startswith("step: ")}
    assert sorted(steps - set(step_names.STEPS)) == []
    reasons = {
        *map(str, loaded.samples["censored"].unique()),
        *map(str, loaded.settings.get("absent", {}).values()),
        *(str(fact.get("meaning", "")) for fact in loaded.host.get("facts", ())),
        str(loaded.host.get("kvm", {}).get("reason", "")),
    }
    assert [each for each in sorted(reasons) if each and not is_translated(each)] == []


def test_a_step_is_one_of_the_code_or_of_a_run() -> None:
    recorded = {
        str(name).removeprefix("step: ")
        for run in RUNS
        for name in run_folder.load(run).samples["metric"].unique()
    }
    assert sorted(set(step_names.STEPS) - written() - recorded) == []


def test_reasons_within_reasons_are_translated() -> None:
    text = (
        "does not work: a Linux guest hung: no output within 8 s; from an uncompressed kernel"
        " (PVH): QEMU ended: exit code 1"
    )
    assert translated(stored(text), Language.CHINESE) == (
        "不可用：Linux 客户机停住，8 s 内没有输出；从未压缩的内核 (PVH) 启动：QEMU 已退出：退出码 1"
    )


def test_an_unknown_text_stays() -> None:
    for text in ("its port is 80: of no use; at all", "ended early"):
        assert translated(stored(text), Language.ENGLISH) == text
    assert translated(stored("ended early"), Language.CHINESE) == "ended early"


def test_settings_of_a_run_are_named() -> None:
    settings = run_folder.load(RUNS[-1]).settings
    shown = {key.replace("_", " ") for key in settings} - {"calibration", "stopping", "workloads"}
    assert [each for each in sorted(shown - {"tonnage"}) if not is_translated(each)] == []


def test_the_disk_of_a_host_is_no_use_of_disks() -> None:
    assert translated(stored("disk"), Language.CHINESE) == "磁盘"


def test_a_step_is_a_message() -> None:
    assert isinstance(step_names.step_name("kernel"), Message)
    assert step_names.step_name("of another package") == "of another package"
