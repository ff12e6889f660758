"""A random configuration gives a container or an error in one sentence, and leaves nothing."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runtime
from lab.userland import build
from runtime.spec.json_structs import decode, encode
from tests.cgroup_tree import cgroups_named
from tests.runtime.spec.configurations import JUNK, MANY, changed

pytestmark = pytest.mark.root
SECONDS = 20.0
NAME = f"tonnage-fuzz-{os.getpid()}"


@pytest.fixture(scope="module")
def tree() -> Path:
    return build.build(lambda _: None).tree


def left() -> list[str]:
    """Return the cgroups, mounts and children that are left."""
    cgroups = [str(path) for path in cgroups_named(f"*{NAME}*")]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if NAME in line]
    return cgroups + mounts + Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@settings(
    max_examples=MANY or 60,
    derandomize=not MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), junk=JUNK)
def test_a_container_runs_or_an_error_is_raised(
    data: st.DataObject, junk: object, tree: Path, tmp_path: Path
) -> None:
    sound = json.loads(encode(runtime.default_spec(["true"])))
    sound["linux"]["cgroupsPath"] = f"/{NAME}"
    text = json.dumps(changed(sound, data, junk))
    before = left()
    root = tmp_path / "c"
    try:
        spec = decode(runtime.Spec, text, "config.json")
        if not spec.linux.cgroups_path.startswith(f"/{NAME}"):
            return  # a cgroup that this test could not remove
        name = f"{NAME}-{next(NUMBERS)}"
        with runtime.Container.run(name, spec, [tree], root=root) as container:
            container.wait(SECONDS)
    except runtime.ContainerError as error:
        assert str(error).endswith((".", "\n"))
    assert left() == before
    assert not list(root.glob("*"))


NUMBERS = itertools.count()
