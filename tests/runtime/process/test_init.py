"""The program of a first process does not depend on the program that was written before it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from runtime import ContainerError
from runtime.container.validation import check
from runtime.launcher import program as programs
from runtime.launcher.channel import ChildEnd
from runtime.namespaces.namespaces import Namespaces
from runtime.process import init
from runtime.process.plan import StartPlan, StartRequest
from runtime.rootfs.destinations import Resolver
from runtime.rootfs.root import Bundle
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode
from tests.runtime.spec.configurations import FUZZ, JUNK, SOUND, changed

CGROUPS = ("cpu", "memory", "pids", "name=systemd")


def written(document: object, identity: str, permits: int = 6) -> tuple[bytes, bytes, list[str]]:
    """Return the calls, the data and the names of a start. Raise ContainerError."""
    spec = decode(Spec, json.dumps(document), "config.json")
    process = check(spec, lambda _: None)
    layout = Resolver([f"/{identity}/rootfs"]).lay_out(spec, process.cwd, f"/{identity}")
    plan = StartPlan(
        request=StartRequest(
            identifier=identity,
            spec=spec,
            root=Bundle(f"/{identity}/rootfs"),
            bundle=f"/{identity}",
            streams=(0, 9, 2),
        ),
        process=process,
        layout=layout,
        namespaces=Namespaces(spec.linux.namespaces),
        channel=ChildEnd(reports=5, permits=permits),
        capabilities=(1 << 41) - 1,
        makes_devices=True,
        cgroup_paths={name: f"/sys/fs/cgroup/{name}/{identity}" for name in CGROUPS},
    )
    program = init.write(plan)
    program.finish(5)
    return bytes(program.calls), bytes(program.data), program.names


@FUZZ
@given(data=st.data(), junk=JUNK)
def test_what_was_written_before_makes_no_difference(data: st.DataObject, junk: object) -> None:
    """A cached part whose inputs were incomplete would give another program."""
    documents = [SOUND, changed(SOUND, data, junk), changed(SOUND, data, junk)]
    first, second = (data.draw(st.sampled_from(documents)) for _ in range(2))
    identity, permits = data.draw(st.sampled_from([("one", 6), ("two", 6), ("another", 7)]))
    try:
        programs._latest.clear()
        alone = written(second, identity, permits)
        programs._latest.clear()
        written(first, "one")
    except ContainerError:
        return
    assert written(second, identity, permits) == alone


def test_nothing_of_the_last_container_s_name_is_in_the_next() -> None:
    """The calls and their names contain the container's own name alone."""
    written(SOUND, "one")
    _, data, names = written(SOUND, "two")
    assert b"/two/rootfs" in data
    assert b"/memory/two\0" in data
    assert b"/one/" not in data
    assert not [name for name in names if "/one" in name]
