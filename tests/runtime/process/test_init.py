"""The program of a container's first process, as it is written after another one's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from runtime import ContainerError
from runtime.container.validation import check
from runtime.launcher import program as programs
from runtime.namespaces.namespaces import Namespaces
from runtime.process import init
from runtime.rootfs.destinations import Resolver
from runtime.rootfs.root import Bundle
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode
from tests.runtime.spec.configurations import FUZZ, JUNK, SOUND, changed

if TYPE_CHECKING:
    from runtime.launcher.program import Program

CGROUPS = ("cpu", "memory", "pids", "name=systemd")


def written(document: object, identity: str, answer: int = 6) -> tuple[bytes, bytes, list[str]]:
    """What the child carries out. Raises ContainerError for a configuration that is refused."""
    spec = decode(Spec, json.dumps(document), "config.json")
    wanted = check(spec, lambda _: None)
    layout = Resolver([f"/{identity}/rootfs"]).lay_out(spec, wanted.cwd, f"/{identity}")
    plan = init.Plan(
        spec=spec, wanted=wanted, root=Bundle(f"/{identity}/rootfs"), bundle=f"/{identity}",
        layout=layout, namespaces=Namespaces(spec.linux.namespaces), streams=(0, 9, 2), report=5,
        answer=answer, keyring=identity,
    )  # fmt: skip
    outfit = init.Outfit(
        wanted=wanted, able=(1 << 41) - 1, makes_devices=True,
        cgroup_paths={words: f"/sys/fs/cgroup/{words}/{identity}" for words in CGROUPS},
    )  # fmt: skip
    program: Program = init.write(plan, outfit)
    program.finish(5)
    return bytes(program.calls), bytes(program.data), program.names


@FUZZ
@given(data=st.data(), junk=JUNK)
def test_what_was_written_before_makes_no_difference(data: st.DataObject, junk: object) -> None:
    """Parts of the last program are taken over: one that missed an input of its own would lie."""
    documents = [SOUND, changed(SOUND, data, junk), changed(SOUND, data, junk)]
    first, second = (data.draw(st.sampled_from(documents)) for _ in range(2))
    identity, answer = data.draw(st.sampled_from([("one", 6), ("two", 6), ("another", 7)]))
    try:
        programs._latest.clear()
        alone = written(second, identity, answer)
        programs._latest.clear()
        written(first, "one")
    except ContainerError:
        return
    assert written(second, identity, answer) == alone


def test_nothing_of_the_last_container_s_name_is_in_the_next() -> None:
    """Only its own name is in what it does and in what it says that it can't do."""
    written(SOUND, "one")
    _, data, names = written(SOUND, "two")
    assert b"/two/rootfs" in data
    assert b"/memory/two\0" in data
    assert b"/one/" not in data
    assert not [name for name in names if "/one" in name]
