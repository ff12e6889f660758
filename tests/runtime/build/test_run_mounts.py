"""The fields of RUN --mount."""

from __future__ import annotations

import pytest

from runtime.build import run_mounts, settings
from runtime.build.dockerfile import parse
from runtime.build.run_mounts import RunMount
from runtime.errors import InvalidConfig


def mounts(*options: str) -> list[RunMount]:
    own = settings.of_image(None, "\\")
    own.directory, own.environment["V"] = "/w", "value"
    text = " ".join(f"--mount={each}" for each in options)
    return run_mounts.parse(parse(f"RUN {text} true").instructions[0], own)


def test_defaults() -> None:
    bind, cache, tmpfs, secret, agent = mounts(
        "target=src", "type=cache,dst=/c", "type=tmpfs,target=/t,size=64m", "type=secret,id=a/key",
        "type=ssh",
    )  # fmt: skip
    assert (bind.kind, bind.target, bind.source, bind.read_only) == ("bind", "/w/src", "/", True)
    assert (cache.name, cache.mode, cache.sharing, cache.read_only) == (
        "/c", 0o755, "shared", False,
    )  # fmt: skip
    assert tmpfs.size_bytes == 64 << 20
    assert (secret.name, secret.target, secret.mode) == ("a/key", "/run/secrets/key", 0o400)
    assert (agent.name, agent.target, agent.mode) == (
        "default", "/run/buildkit/ssh_agent.0", 0o600,
    )  # fmt: skip


def test_fields() -> None:
    bind, cache, secret, first, second = mounts(
        "type=bind,from=stage,src=/a,dst=/b,rw", "type=cache,id=$V,target=/c,uid=7,gid=8,mode=0700,"
        "sharing=locked,ro", "type=secret,id=key,env=KEY,required", "type=ssh,id=one",
        "type=ssh,required=true,uid=5",
    )  # fmt: skip
    assert (bind.origin, bind.source, bind.read_only) == ("stage", "/a", False)
    assert (cache.name, cache.uid, cache.gid, cache.mode, cache.sharing, cache.read_only) == (
        "value", 7, 8, 0o700, "locked", True,
    )  # fmt: skip
    assert (secret.target, secret.variable, secret.required) == ("", "KEY", True)
    assert (first.name, first.required, second.required, second.uid) == ("one", False, True, 5)
    assert second.target == "/run/buildkit/ssh_agent.1"


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("type=odd,target=/x", "'odd'"),
        ("type=bind", "has no target"),
        ("type=cache,target=/", "covers the root directory"),
        ("type=cache,target=/c,sharing=some", "sharing=some"),
        ("type=cache,target=/c,mode=9", "mode=9 is no number"),
        ("type=tmpfs,target=/t,size=big", "'big' is no size"),
        ("type=tmpfs,target=/t,id=x", "type=tmpfs has no field 'id'"),
        ("type=bind,target=/t,required", "type=bind has no field 'required'"),
        ("type=secret", "needs an id"),
        ("type=secret,id=x,required=maybe", "neither true nor false"),
        ("type=ssh,source=/x", "type=ssh has no field 'source'"),
    ],
)
def test_what_is_wrong_is_said(option: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        mounts(option)
