"""RUN's mounts, network, limits and privileges, and what of them reaches the image."""

from __future__ import annotations

import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.build.builder import build
from runtime.build.options import Options
from runtime.errors import ContainerError, InvalidConfig
from tests.system.runtime.build.images import built, left_in

if TYPE_CHECKING:
    from runtime.images.store import Store

pytestmark = pytest.mark.root


def test_writes_to_binds_are_discarded(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base AS other\nRUN mkdir /d && echo low >/d/low && echo gone >/d/gone\n"
        "RUN echo high >/d/high && rm /d/gone\n"
        "FROM base\n"
        "RUN --mount=target=/c,rw echo w >/c/a.txt && cat /c/a.txt >/one\n"
        "RUN --mount=target=/c,source=a.txt,rw echo w >/c && cat /c >/two\n"
        "RUN --mount=target=/c cat /c/a.txt >/three && ! touch /c/no\n"
        "RUN --mount=from=other,source=/d,target=/o ls /o >/four && ! touch /o/no\n"
        "RUN --mount=from=other,source=/d,target=/o,rw rm /o/low && touch /o/new && ls /o >/five\n"
        "RUN --mount=from=other,source=/,target=/o ls /o/d /o/bin >/six\n"
        "RUN --mount=from=other,source=/d/high,target=/o cat /o >/seven\n",
    )  # fmt: skip
    assert (context / "a.txt").read_text() == "a\n"
    assert sorted(path.name for path in context.iterdir()) == ["a.txt", "b.txt", "sub"]
    assert [made.read(f"/{name}") for name in ("one", "two", "three", "four", "five", "seven")] == [
        "w\n", "w\n", "a\n", "high\nlow\n", "high\nnew\n", "high\n",
    ]  # fmt: skip
    assert "busybox" in made.read("/six") and "low" in made.read("/six")
    assert not made.has("/c") and not made.has("/o")
    assert left_in(store) == []


def test_a_bind_of_the_context_is_an_input_of_the_step(store: Store, context: Path) -> None:
    text = "FROM base\nRUN --mount=target=/c,source=sub cat /c/c.txt >/x\n"
    built(store, context, text)
    (context / "a.txt").write_text("another\n")
    assert built(store, context, text).cached == 1
    (context / "sub/c.txt").write_text("changed\n")
    changed = built(store, context, text)
    assert (changed.cached, changed.read("/x")) == (0, "changed\n")


def test_a_bind_lacks_what_dockerignore_leaves_out(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nRUN --mount=target=/c find /c | sort >/x\n"
        "RUN --mount=target=/f,source=a.txt cat /f >/y\n",
        ignored=("sub/*", "!sub/deep", "b.txt"),
    )  # fmt: skip
    assert made.read("/x").split() == [
        "/c", "/c/a.txt", "/c/sub", "/c/sub/deep", "/c/sub/deep/d.sh",
    ]  # fmt: skip
    assert made.read("/y") == "a\n"


def test_caches(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base AS seed\nRUN mkdir /s && echo seed >/s/f\nFROM base\n"
        "RUN --mount=type=cache,id=k,target=/c,uid=7,gid=8,mode=0750 stat -c %u:%g:%a /c >/mode\n"
        "RUN --mount=type=cache,id=k,target=/c echo kept >/c/x\n"
        "RUN --mount=type=cache,id=k,target=/d,ro cat /d/x >/kept && ! touch /d/no\n"
        "RUN --mount=type=cache,id=/k,target=/c ls /c >/other\n"
        "RUN --mount=type=cache,id=s,target=/c,from=seed,source=/s cat /c/f >/seed\n"
        "RUN --mount=type=cache,id=s,target=/c echo more >>/c/f && cat /c/f >/more\n",
    )  # fmt: skip
    assert [made.read(f"/{name}") for name in ("mode", "kept", "other", "seed", "more")] == [
        "7:8:750\n", "kept\n", "", "seed\n", "seed\nmore\n",
    ]  # fmt: skip
    assert not made.has("/c")


@pytest.mark.parametrize(
    ("sharing", "program", "shown"),
    [
        ("shared", "until test -e /c/a && test -e /c/b; do sleep 0.1; done", "2"),
        ("private", "sleep 1", "1"),
        ("locked", "sleep 1", "1"),
    ],
)
def test_how_a_cache_is_shared_by_stages_at_once(
    store: Store, context: Path, sharing: str, program: str, shown: str
) -> None:
    mount = f"--mount=type=cache,id={sharing},target=/c,sharing={sharing}"
    end = "" if sharing == "shared" else " && rm /c/$S"
    command = f"touch /c/$S && {program} && ls /c | wc -l >/n{end}"
    stages = "".join(f"FROM base AS {s}\nENV S={s}\nRUN {mount} {command}\n" for s in "ab")
    made = built(
        store, context,
        f"{stages}FROM scratch\nCOPY --from=a /n /a\nCOPY --from=b /n /b\n", jobs=2,
    )  # fmt: skip
    assert {made.read("/a").strip(), made.read("/b").strip()} == {shown}


def test_secrets_are_files_and_variables_and_stay_out(store: Store, context: Path) -> None:
    secrets = {"one": b"zqhush-1", "two": b"zqhush-2"}
    made = built(
        store, context,
        "FROM base\nUSER me\n"
        "RUN --mount=type=secret,id=one,uid=1000,mode=0440 "
        "test $(cat /run/secrets/one | wc -c) = 8 && stat -c %u:%a /run/secrets/one >/tmp/mode\n"
        "RUN --mount=type=secret,id=two,env=TWO test ${#TWO} = 8 && test ! -e /run/secrets/two\n"
        "RUN --mount=type=secret,id=one,env=ONE,target=/tmp/s,mode=0444 test $(cat /tmp/s) = $ONE\n"
        "RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n",
        secrets=secrets, arguments={"HTTP_PROXY": "http://zqhush-3"},
    )  # fmt: skip
    assert made.read("/tmp/mode") == "1000:440\n"
    assert not made.has("/run")
    for path in store.directory.rglob("*"):
        if path.is_file():
            assert b"zqhush" not in path.read_bytes(), path
    with pytest.raises(InvalidConfig, match="the secret 'x' is required: pass --secret"):
        built(store, context, "FROM base\nRUN --mount=type=secret,id=x,required true\n")
    assert left_in(store) == []


def test_an_agent_is_reached_by_the_user_alone(store: Store, context: Path, scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(scratch / "agent"))
        agent.listen()
        made = built(
            store, context,
            "FROM base\n"
            "RUN --mount=type=ssh,uid=1000,gid=1001,mode=0660 "
            "stat -c %F:%u:%g:%a $SSH_AUTH_SOCK >/x && echo $SSH_AUTH_SOCK >>/x\n"
            "RUN --mount=type=ssh,id=other,target=/agent test ! -e /agent && echo none >/y\n"
            "RUN --mount=type=ssh,target=/agent stat -c %F /agent >/z\n",
            agents={"default": scratch / "agent"},
        )  # fmt: skip
    assert made.read("/x") == "socket:1000:1001:660\n/run/buildkit/ssh_agent.0\n"
    assert (made.read("/y"), made.read("/z")) == ("none\n", "socket\n")
    assert not made.has("/run") and not made.has("/agent")
    assert "SSH_AUTH_SOCK" not in str(made.image.config.config)
    with pytest.raises(InvalidConfig, match="the ssh 'default' is required: pass --ssh"):
        built(store, context, "FROM base\nRUN --mount=type=ssh,required true\n")


def test_options_of_the_build_reach_every_run(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nRUN grep given /etc/hosts >/hosts\n"
        "RUN grep ' /dev/shm ' /proc/mounts >/shm\nRUN ulimit -Sn >/n && ulimit -Hn >>/n\n"
        "RUN --mount=type=tmpfs,target=/t,size=3m grep ' /t ' /proc/mounts >/t.txt\n"
        "RUN --network=none ls /sys/class/net >/net\n",
        hosts=(("given.by.us", "192.0.2.7"),), shared_memory_bytes=5 << 20,
        limits=(("nofile", 100, 200),),
    )  # fmt: skip
    assert made.read("/hosts").split() == ["192.0.2.7", "given.by.us"]
    assert "size=5120k" in made.read("/shm")
    assert made.read("/n").split() == ["100", "200"]
    assert "size=3072k" in made.read("/t.txt")
    assert made.read("/net").split() in (["lo"], [])
    assert not made.has("/t")


def test_the_network_of_the_build_is_the_default(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nRUN readlink /proc/self/ns/net >/a\nRUN --network=host readlink "
        "/proc/self/ns/net >/b\n",
        network="none",
    )  # fmt: skip
    host = str(Path("/proc/self/ns/net").readlink())
    assert made.read("/a").strip() != host
    assert made.read("/b").strip() == host


def test_privileges_need_an_entitlement(store: Store, context: Path) -> None:
    text = "FROM base\nRUN --security=insecure grep CapEff /proc/self/status >/caps\n"
    with pytest.raises(InvalidConfig, match=r"needs --allow security\.insecure"):
        built(store, context, text)
    made = built(store, context, text, allows_insecure=True)
    plain = built(store, context, text.replace("--security=insecure ", "--security=sandbox "))
    privileged = int(made.read("/caps").split()[1], 16)
    assert privileged & int(plain.read("/caps").split()[1], 16) != privileged
    with pytest.raises(InvalidConfig, match="--security=odd"):
        built(store, context, "FROM base\nRUN --security=odd true\n")


def test_mount_points_leave_nothing(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nRUN --mount=type=tmpfs,target=/a/b/c --mount=type=tmpfs,target=/root/d "
        "mkdir /a/own && touch /empty\n",
    )  # fmt: skip
    assert made.has("/a/own") and made.has("/empty")
    assert not made.has("/a/b") and not made.has("/root/d")


def test_output_is_told_while_a_program_runs(store: Store, context: Path) -> None:
    told: list[tuple[float, str]] = []
    begun = time.monotonic()

    build(
        store,
        Options(
            context, "FROM base\nRUN echo first; sleep 1; echo second >&2\n",
            tell=lambda line: told.append((time.monotonic() - begun, line)),
        ),
    )  # fmt: skip
    times = {line.split()[-1]: at for at, line in told if len(line.split()) == 3}
    assert times["second"] - times["first"] > 0.8


def test_a_failed_program_with_a_mount_leaves_nothing(store: Store, context: Path) -> None:
    with pytest.raises(ContainerError, match="exit code 7"):
        built(
            store, context,
            "FROM base\nRUN --mount=type=secret,id=s --mount=target=/c,rw "
            "--mount=type=cache,target=/k exit 7\n",
            secrets={"s": b"hush"},
        )  # fmt: skip
    assert left_in(store) == []
    assert stat.S_ISDIR((store.directory / "build-mounts").stat().st_mode)
