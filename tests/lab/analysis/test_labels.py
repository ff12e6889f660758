"""Labels: the names themselves in English, and Chinese for all that the lab records."""

from __future__ import annotations

import dataclasses
import re

import pytest

from lab import metrics
from lab.analysis import labels
from lab.experiments.registry import EXPERIMENTS
from lab.language.message import Language, translated
from lab.results.run_folder import Run
from tests.lab.claims.judging import on


@pytest.fixture
def run(tmp_path: object) -> Run:
    return on(tmp_path)  # type: ignore[arg-type]


def is_chinese(text: str) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", translated(text, Language.CHINESE)))


@pytest.mark.parametrize("name", sorted({name for _, name in metrics.METRICS}))
def test_every_metric_has_a_label(name: str) -> None:
    assert labels.metric(name) == name
    assert is_chinese(labels.metric(name))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_label(name: str) -> None:
    assert labels.experiment(name) == name
    assert is_chinese(labels.experiment(name))


@pytest.mark.parametrize("family", metrics.FAMILIES, ids=lambda family: family.prefix)
def test_a_member_of_a_family_keeps_its_own_name(family: metrics.Family) -> None:
    name = family.of("clone3").name
    assert labels.metric(name) == name
    assert is_chinese(labels.metric(name))
    assert translated(labels.metric(name), Language.CHINESE).endswith("clone3")


def test_cpu_time_of_a_workload_is_named_by_it() -> None:
    assert translated(labels.metric("cpu: disk-read"), Language.CHINESE) == "CPU 时间：随机读磁盘"


def test_an_emulated_machine_is_labelled_so(run: Run) -> None:
    emulated = dataclasses.replace(run, settings={**run.settings, "accelerator": "tcg"})
    assert labels.target("vm", emulated) == "vm (emulated)"
    assert translated(labels.target("vm", emulated), Language.CHINESE) == "虚拟机（模拟）"
    assert labels.target("container", emulated) == "container"


def test_names_that_users_chose_are_kept() -> None:
    assert labels.target_name("youki") == "youki"
    assert labels.metric("my-workload") == "my-workload"
