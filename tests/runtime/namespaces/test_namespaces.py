"""Which namespaces are created and which are entered, and by which process."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runtime.errors import InvalidConfig
from runtime.namespaces.namespaces import FILES, FLAGS, Namespaces
from runtime.spec.config import Namespace


def test_every_type_has_a_file_of_the_kernel() -> None:
    assert set(FILES.values()) <= {each.name for each in Path("/proc/self/ns").iterdir()}


def test_a_process_is_born_in_new_pid_and_user_namespaces() -> None:
    kinds = ("user", "pid", "mount", "cgroup")
    with Namespaces([Namespace(type=kind) for kind in kinds]) as namespaces:
        assert namespaces.clone_flags() == FLAGS["user"] | FLAGS["pid"]
        assert all(namespaces.makes(kind) for kind in kinds)
        assert not namespaces.owns("network")
        assert not namespaces.forks


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/proc/self/ns/uts", "/proc/self/ns/uts is not a network namespace"),
        ("/etc/passwd", "/etc/passwd is not a network namespace"),
        ("/no/such/file", "can't open the network namespace /no/such/file: No such file"),
    ],
)
def test_a_path_that_is_no_namespace_of_the_type_is_refused(path: str, refusal: str) -> None:
    lowest = os.dup(0)
    os.close(lowest)
    with pytest.raises(InvalidConfig, match=re.escape(refusal)):
        Namespaces(
            [
                Namespace(type="uts", path="/proc/self/ns/uts"),
                Namespace(type="network", path=path),
            ]
        )
    assert os.dup(0) == lowest  # none was left open
    os.close(lowest)
