"""What is refused before anything is changed, and what the default is."""

from __future__ import annotations

import pytest

from runtime import ContainerError, Spec, default_spec
from runtime.document import decode, encode
from runtime.spec import Cpu, Linux, Memory, Mount, Namespace, Pids, Process, Resources
from runtime.validation import check


def with_linux(**fields: object) -> Spec:
    namespaces = fields.pop("namespaces", (Namespace(type="mount"),))
    return Spec(
        process=Process(cwd="/", args=("true",)),
        linux=Linux(namespaces=namespaces, **fields),  # type: ignore[arg-type]
    )


def limited(**fields: object) -> Spec:
    return with_linux(resources=Resources(**fields))  # type: ignore[arg-type]


def test_the_default_passes_and_is_an_oci_document() -> None:
    spec = default_spec(["sh", "-c", "true"])
    check(spec)
    assert decode(Spec, encode(spec), "config.json") == spec
    text = encode(spec)
    assert '"noNewPrivileges":true' in text
    assert '"/proc/kcore"' in text
    assert {each.type for each in spec.linux.namespaces} == {
        "pid", "network", "ipc", "uts", "mount", "cgroup",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (Spec(process=Process(cwd="/")), "process.args is empty"),
        (Spec(process=Process(cwd="/", args=("",))), "process.args is empty"),
        (Spec(process=Process(cwd="b", args=("a",))), "process.cwd"),
        (Spec(process=Process(cwd="/", args=("a\0b",))), "holds a NUL"),
        (with_linux(namespaces=()), "no mount namespace"),
        (with_linux(namespaces=(Namespace(type="moon"),)), "no namespace 'moon'"),
        (
            with_linux(namespaces=(Namespace(type="mount"), Namespace(type="mount"))),
            "names a namespace twice",
        ),
        (with_linux(masked_paths=("/proc/kcore",)), "needs a mount of /proc"),
        (with_linux(readonly_paths=("/etc",)), "only paths of /proc and /sys"),
        (limited(memory=Memory(limit=0)), "memory.limit is 0"),
        (limited(cpu=Cpu(period=-5)), "cpu.period is -5"),
        (limited(pids=Pids(limit=0)), "pids.limit is 0"),
        (
            Spec(
                process=Process(cwd="/", args=("a",)),
                mounts=(Mount(destination="/a/../../b"),),
                linux=Linux(namespaces=(Namespace(type="mount"),)),
            ),
            "without `..`",
        ),
    ],
)
def test_what_cannot_be_started_is_refused_with_its_field(spec: Spec, sentence: str) -> None:
    with pytest.raises(ContainerError, match=sentence):
        check(spec)
