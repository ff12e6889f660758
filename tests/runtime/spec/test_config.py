"""Configurations that are refused before anything is changed, and the default."""

from __future__ import annotations

import pytest

from runtime import ContainerError, Spec, default_spec
from runtime.container.validation import check
from runtime.spec.config import IdMapping, Linux, Mount, Namespace, Process
from runtime.spec.json_structs import decode, encode


def with_linux(**fields: object) -> Spec:
    namespaces = fields.pop("namespaces", (Namespace(type="mount"),))
    return Spec(
        oci_version="1.3.0",
        process=Process(cwd="/", args=("true",)),
        linux=Linux(namespaces=namespaces, **fields),  # type: ignore[arg-type]
    )


def test_the_default_passes_and_is_an_oci_document() -> None:
    spec = default_spec(["sh", "-c", "true"])
    check(spec, silent)
    assert decode(Spec, encode(spec), "config.json") == spec
    text = encode(spec)
    assert '"noNewPrivileges":true' in text
    assert '"/proc/kcore"' in text
    assert {each.type for each in spec.linux.namespaces} == {
        "pid", "network", "ipc", "uts", "mount", "cgroup",
    }  # fmt: skip


def silent(_: str) -> None:
    pass


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (Spec(oci_version="1.3.0", process=Process(cwd="/")), "process.args is empty"),
        (Spec(oci_version="1.3.0", process=Process(cwd="/", args=("",))), "process.args is empty"),
        (Spec(oci_version="1.3.0", process=Process(cwd="b", args=("a",))), "process.cwd"),
        (Spec(oci_version="1.3.0", process=Process(cwd="/", args=("a\0b",))), "holds a NUL"),
        (
            with_linux(
                namespaces=(Namespace(type="user"),),
                uid_mappings=(IdMapping(container_id=0, host_id=1, size=1),),
                gid_mappings=(IdMapping(container_id=0, host_id=1, size=1),),
            ),
            "without a mount namespace",
        ),
        (with_linux(namespaces=(Namespace(type="moon"),)), "there is no 'moon'"),
        (
            with_linux(namespaces=(Namespace(type="mount"), Namespace(type="mount"))),
            "names a namespace twice",
        ),
        (with_linux(readonly_paths=("etc",)), "must be an absolute path"),
        (with_linux(sysctl={"kernel.pid_max": "1"}), "the whole host"),
        (with_linux(sysctl={"kernel/pid_max": "1"}), "the whole host"),
        (with_linux(sysctl={"net.ipv4.ip_forward": "1"}), "needs a namespace of the type network"),
        (
            with_linux(sysctl={"net/ipv4/conf/a.b/rp_filter": "1"}),
            "needs a namespace of the type network",
        ),
        (with_linux(sysctl={"kernel/msgmax": "1"}), "needs a namespace of the type ipc"),
        (
            with_linux(sysctl={"net.ipv4.//.//.kernel.pid_max": "1"}),
            "not the name of a kernel parameter",
        ),
        (
            with_linux(sysctl={"net/../kernel/pid_max": "1"}),
            "not the name of a kernel parameter",
        ),
        (with_linux(sysctl={"/net/ipv4/ip_forward": "1"}), "not the name of a kernel parameter"),
        (with_linux(sysctl={".net.ipv4.ip_forward": "1"}), "not the name of a kernel parameter"),
        (with_linux(sysctl={"net": "1"}), "the whole host"),
        (with_linux(sysctl={"user.max_net_namespaces": "1"}), "needs a namespace of the type user"),
        (with_linux(rootfs_propagation="sideways"), "there is no 'sideways'"),
    ],
)
def test_what_cannot_be_started_is_refused_with_its_field(spec: Spec, sentence: str) -> None:
    with pytest.raises(ContainerError, match=sentence):
        check(spec, silent)


@pytest.mark.parametrize("kind", ["bind", "none"])
def test_a_bind_without_its_option_is_refused(kind: str) -> None:
    """The kernel's own error would be "no such device"."""
    spec = with_linux().replace(mounts=(Mount(destination="/m", type=kind, source="/etc"),))
    with pytest.raises(ContainerError, match="without the option bind"):
        check(spec, silent)
