"""Stages at once: what is built, in which order, and what a failure leaves."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from runtime.build.builder import build
from runtime.build.options import Options
from runtime.errors import ContainerError, InvalidConfig
from tests.system.runtime.build.images import built, left_in

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.store import Store

pytestmark = pytest.mark.root

# Each waits for the other, by a cache that both see: neither could be built alone.
MEETING = (
    "FROM base AS {own}\nRUN --mount=type=cache,id=meet,target=/m"
    " touch /m/{own} && until test -e /m/{other}; do sleep 0.05; done && echo {own} >/{own}\n"
)


def test_stages_that_do_not_need_each_other_are_built_at_once(store: Store, context: Path) -> None:
    made = built(
        store, context,
        MEETING.format(own="one", other="two") + MEETING.format(own="two", other="one") +
        "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
        jobs=2,
    )  # fmt: skip
    assert (made.read("/one"), made.read("/two")) == ("one\n", "two\n")
    assert left_in(store) == []


def test_lines_of_stages_carry_their_steps_numbers(store: Store, context: Path) -> None:
    text = (
        "FROM base AS one\nRUN for i in 1 2 3; do echo one $i; sleep 0.1; done\n"
        "FROM base AS two\nRUN for i in 1 2 3; do echo two $i; sleep 0.1; done\n"
        "FROM scratch\nCOPY --from=one /etc /1\nCOPY --from=two /etc /2\n"
    )
    told = built(store, context, text, jobs=2).told
    titles = {line.split()[0]: line for line in told if "] RUN" in line}
    assert {re.sub(r" RUN.*", "", line.partition(" ")[2]) for line in titles.values()} == {
        "[one 1/1]", "[two 1/1]",
    }  # fmt: skip
    for number, title in titles.items():
        name = "one" if "[one" in title else "two"
        own = [line.split()[2:] for line in told if re.match(rf"{number} \d+\.\d+ ", line)]
        assert own == [[name, "1"], [name, "2"], [name, "3"]]


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_the_digest_does_not_depend_on_the_order(store: Store, context: Path, jobs: int) -> None:
    text = (
        "".join(
            f"FROM base AS s{n}\nRUN echo {n} >/{n} && mkdir /d && touch /d/x /d/y\nCOPY . /c{n}\n"
            for n in range(4)
        )
        + "FROM base\n"
        + "".join(f"COPY --from=s{n} /{n} /c{n} /d /all{n}/\n" for n in range(4))
    )
    first, second = (
        built(store, context, text, epoch_seconds=1_000_000_000, use_cache=False, jobs=count)
        for count in (jobs, 3)
    )
    assert first.image.descriptor.digest == second.image.descriptor.digest
    assert first.cached == second.cached == 0


def test_equal_steps_of_stages_are_carried_out_once(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base AS one\nRUN sleep 0.5 && date +%s%N >/now\nRUN echo 1 >/1\n"
        "FROM base AS two\nRUN sleep 0.5 && date +%s%N >/now\nRUN echo 2 >/2\n"
        "FROM scratch\nCOPY --from=one /now /1 /one/\nCOPY --from=two /now /2 /two/\n",
        jobs=2,
    )  # fmt: skip
    assert made.read("/one/now") == made.read("/two/now")
    assert (made.read("/one/1"), made.read("/two/2"), made.cached) == ("1\n", "2\n", 1)


def test_a_later_stage_may_be_copied_from(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base AS first\nCOPY --from=last /x /\nFROM base AS last\nRUN echo x >/x\n",
        target="first",
    )  # fmt: skip
    assert made.read("/x") == "x\n"


def test_a_cycle_is_refused_before_anything_is_built(store: Store, context: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"need each other: (a → b → a|b → a → b)"):
        built(
            store, context,
            "FROM base AS a\nRUN false\nCOPY --from=b / /\nFROM base AS b\n"
            "RUN --mount=from=a,target=/a true\n",
        )  # fmt: skip
    assert left_in(store) == []


def test_triggers_may_copy_from_stages(store: Store, context: Path) -> None:
    built(
        store, context, "FROM base\nONBUILD COPY --from=files /x /y\nONBUILD RUN cat /y >/z\n",
        names=("trigger",),
    )  # fmt: skip
    made = built(
        store, context,
        "FROM base AS files\nRUN echo x >/x\nFROM trigger AS child\nFROM child\nRUN cat /z >/w\n",
    )  # fmt: skip
    assert made.read("/w") == "x\n"
    with pytest.raises(InvalidConfig, match="need each other"):
        built(store, context, "FROM trigger AS files\n")
    within = built(store, context, "FROM base AS b\nONBUILD RUN echo t >/t\nFROM b AS c\nFROM c\n")
    assert within.read("/t") == "t\n"
    assert len(within.image.manifest.layers) == 2


def test_the_first_failure_ends_the_others(store: Store, context: Path) -> None:
    told: list[str] = []
    begun = time.monotonic()
    with pytest.raises(ContainerError, match="exit code 3"):
        build(
            store,
            Options(
                context,
                "FROM base AS slow\nRUN echo slow begins; sleep 60\nRUN echo never\n"
                "FROM base AS bad\nRUN sleep 1; exit 3\n"
                "FROM scratch\nCOPY --from=slow / /\nCOPY --from=bad / /\n",
                names=("new",), tell=told.append, jobs=2,
            ),
        )  # fmt: skip
    assert time.monotonic() - begun < 30
    assert any("slow begins" in line for line in told)
    assert not any("never" in line for line in told)
    assert left_in(store) == []
    assert [image.name for image in store.images()] == ["docker.io/library/base:latest"]
    assert not [each for each in threading.enumerate() if each.name.startswith("stage")]


def test_stages_that_are_not_needed_are_not_built(store: Store, context: Path) -> None:
    made = built(store, context, "FROM nowhere AS unused\nRUN false\nFROM base AS b\nFROM b\n")
    assert made.has("/bin/sh")
    told = built(store, context, "FROM base AS a\nRUN true\nFROM base\nRUN echo 2\n").told
    assert not any("[a " in line for line in told)


def test_one_stage_without_its_cache(store: Store, context: Path) -> None:
    text = "FROM base AS a\nRUN echo a >/a\nFROM base AS b\nRUN echo b >/b\nCOPY --from=a /a /\n"
    built(store, context, text)
    again = built(store, context, text, uncached=frozenset({"a"}))
    lines = [line for line in again.told if "CACHED" in line]
    assert len(lines) == 2  # both steps of b: the content that it copies is the same
