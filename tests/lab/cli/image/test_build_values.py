"""The values of `tonnage image build`'s options."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.image import build_values
from lab.cli.image.build_values import Output
from lab.errors import InvalidConfig


def test_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "outside")
    monkeypatch.delenv("UNSET", raising=False)
    assert build_values.arguments(["A=b=c", "SET", "UNSET", "E="]) == {
        "A": "b=c", "SET": "outside", "E": "",
    }  # fmt: skip


def test_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOKEN", "from the environment")
    (tmp_path / "file").write_bytes(b"\xff from a file")
    assert build_values.secrets(
        [f"id=a,src={tmp_path}/file", "id=b,env=TOKEN", "id=TOKEN", "type=env,id=c,src=TOKEN",
         f"type=file,id=d,source={tmp_path}/file"]
    ) == {
        "a": b"\xff from a file", "b": b"from the environment", "TOKEN": b"from the environment",
        "c": b"from the environment", "d": b"\xff from a file",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("src=/x", "is not id=NAME"),
        ("id=a,src=/nothing/here", "can't be read"),
        ("id=a,env=TONNAGE_UNSET", "TONNAGE_UNSET is not set"),
        ("id=a,type=odd", "is not id=NAME"),
        ("a", "is not NAME=VALUE"),
    ],
)
def test_what_is_no_secret(word: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        build_values.secrets([word])


def test_a_secret_has_a_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes((500 << 10) + 1))
    with pytest.raises(InvalidConfig, match="more than 512000 bytes"):
        build_values.secrets([f"id=a,src={tmp_path}/file"])


def test_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert build_values.agents(["default", "k=/a,/b"]) == {
        "default": [Path("/run/agent")], "k": [Path("/a"), Path("/b")],
    }  # fmt: skip
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(InvalidConfig, match="SSH_AUTH_SOCK is not set"):
        build_values.agents(["default"])
    with pytest.raises(InvalidConfig, match="is not default or ID=PATH"):
        build_values.agents(["default="])


def test_contexts(tmp_path: Path) -> None:
    assert build_values.contexts(
        [f"d={tmp_path}", "i=docker-image://debian:12", "o=oci-layout:///x:1", "g=https://h/a.git"]
    ) == {
        "d": tmp_path, "i": "docker-image://debian:12", "o": "oci-layout:///x:1",
        "g": "https://h/a.git",
    }  # fmt: skip
    with pytest.raises(InvalidConfig, match="x=/no/where is not NAME=DIR"):
        build_values.contexts(["x=/no/where"])


def test_hosts() -> None:
    assert build_values.hosts(["a:127.0.0.1", "b=::1", "c:[fe80::1]"]) == (
        ("a", "127.0.0.1"), ("b", "::1"), ("c", "fe80::1"),
    )  # fmt: skip
    for word in ("a", "a:host-gateway", ":1.2.3.4", "a:1.2.3", "a b:1.2.3.4"):
        with pytest.raises(InvalidConfig, match="--add-host"):
            build_values.hosts([word])


def test_limits() -> None:
    assert build_values.limits(["nofile=10:20", "nproc=5", "core=-1", "nproc=6"]) == (
        ("nofile", 10, 20), ("nproc", 6, 6), ("core", 2**64 - 1, 2**64 - 1),
    )  # fmt: skip
    for word in ("nofile", "odd=1", "nofile=2:1", "nofile=x", "nofile=-2"):
        with pytest.raises(InvalidConfig, match="--ulimit"):
            build_values.limits([word])


def test_annotations() -> None:
    assert build_values.manifest_annotations(["a.b=c", "manifest:d=e", "f:g=h"]) == {
        "a.b": "c", "d": "e", "f:g": "h",
    }  # fmt: skip
    with pytest.raises(InvalidConfig, match="a manifest and no index"):
        build_values.manifest_annotations(["index:a=b"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Output()),
        (["out"], Output("local", "out")),
        (["-"], Output("tar", "-")),
        (["type=tar,dest=x.tar"], Output("tar", "x.tar")),
        (["type=docker"], Output()),
        (["type=docker,dest=-"], Output("docker", "-")),
        (['type=image,"name=a,b"'], Output("image", "", ("a", "b"))),
    ],
)
def test_outputs(words: list[str], expected: Output) -> None:
    assert build_values.output(words) == expected


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["a", "b"], "given twice"),
        (["type=odd"], "type=odd is none of"),
        (["type=local"], "needs dest"),
        (["type=image,push=true"], "tonnage image push"),
    ],
)
def test_outputs_that_are_refused(words: list[str], named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        build_values.output(words)


def test_the_rest() -> None:
    assert build_values.shared_memory_bytes("1g") == 1 << 30
    assert build_values.shared_memory_bytes(None) is None
    assert build_values.allowed(["security.insecure"]) and not build_values.allowed([])
    with pytest.raises(InvalidConfig, match="--shm-size: 'x' is no size"):
        build_values.shared_memory_bytes("x")
    with pytest.raises(InvalidConfig, match="--allow 'device'"):
        build_values.allowed(["device"])
